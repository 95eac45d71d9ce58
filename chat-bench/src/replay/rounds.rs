//! The two orders in which the lines of a log are replayed.

use std::collections::BTreeSet;

use chat_proto::UserId;

use super::plan::{BySpeaker, Change, Dice, Happening, Planned, Round};

/// When a speaker must be added, those who are about to speak within so many lines are added too, in the same entry.
const ADD_AHEAD_LINES: usize = 16;
/// Users in one entry that adds.
const ADD_MAX: usize = 500;
/// Minutes in which everybody speaks at the same time.
const CONCURRENT_MINUTES: usize = 5;

/// Line by line: nobody speaks before the former message is acknowledged.
pub(crate) fn ordered(happenings: &[Happening<'_>], creator: &UserId, dice: &mut Dice) -> Planned {
    let mut membership = Membership::new(creator);
    let mut rounds = Vec::new();
    let mut pending = Vec::new();
    for (at, happening) in happenings.iter().enumerate() {
        match happening {
            Happening::Comes(user) => membership.comes(user, &mut pending),
            Happening::Goes(user) => membership.goes(user, &mut pending),
            Happening::Renames(old, new) => {
                membership.goes(old, &mut pending);
                membership.comes(new, &mut pending);
            }
            Happening::Says(user, line) => {
                if !membership.members.contains(user) {
                    membership.comes(user, &mut pending);
                    for ahead in happenings.iter().skip(at).take(ADD_AHEAD_LINES) {
                        if let Happening::Says(soon, _) = ahead {
                            membership.comes(soon, &mut pending);
                        }
                    }
                }
                let before = std::mem::take(&mut pending);
                rounds.push(Round {
                    before,
                    says: vec![vec![dice.say(user, line)]],
                    after: Vec::new(),
                });
            }
        }
    }
    rounds.push(Round {
        before: pending,
        ..Round::default()
    });
    membership.planned(rounds)
}

/// Some minutes at a time: who comes or speaks in them is added first, then all speak at once, then those go who went.
pub(crate) fn concurrent(
    happenings: &[Happening<'_>],
    creator: &UserId,
    dice: &mut Dice,
) -> Planned {
    let mut membership = Membership::new(creator);
    let mut rounds = Vec::new();
    for window in windows(happenings) {
        let mut round = Round::default();
        let mut says = BySpeaker::default();
        let mut going = BTreeSet::new();
        for happening in window {
            match happening {
                Happening::Comes(user) => {
                    going.remove(user);
                    membership.comes(user, &mut round.before);
                }
                Happening::Goes(user) => {
                    going.insert(user);
                }
                Happening::Renames(old, new) => {
                    going.insert(old);
                    going.remove(new);
                    membership.comes(new, &mut round.before);
                }
                Happening::Says(user, line) => {
                    going.remove(user);
                    membership.comes(user, &mut round.before);
                    says.push(dice.say(user, line));
                }
            }
        }
        for user in going {
            membership.goes(user, &mut round.after);
        }
        round.says = says.into_says();
        rounds.push(round);
    }
    membership.planned(rounds)
}

/// Cuts where so many minutes are over. Lines without a time are of the minute before them.
fn windows<'a, 'l>(happenings: &'a [Happening<'l>]) -> Vec<&'a [Happening<'l>]> {
    let mut windows = Vec::new();
    let mut start = 0;
    let mut minutes = 0;
    let mut last = None;
    for (at, happening) in happenings.iter().enumerate() {
        let Happening::Says(_, line) = happening else {
            continue;
        };
        let Some(t) = line.t.as_deref() else { continue };
        if last != Some(t) {
            last = Some(t);
            if minutes == CONCURRENT_MINUTES {
                windows.push(&happenings[start..at]);
                start = at;
                minutes = 0;
            }
            minutes += 1;
        }
    }
    windows.push(&happenings[start..]);
    windows
}

/// Who is in, as far as the plan goes.
struct Membership {
    members: BTreeSet<UserId>,
    ever: BTreeSet<UserId>,
}

impl Membership {
    fn new(creator: &UserId) -> Self {
        let members = BTreeSet::from([creator.clone()]);
        Self {
            ever: members.clone(),
            members,
        }
    }

    fn comes(&mut self, user: &UserId, changes: &mut Vec<Change>) {
        if !self.members.insert(user.clone()) {
            return;
        }
        self.ever.insert(user.clone());
        match changes.last_mut() {
            Some(Change::Add(users)) if users.len() < ADD_MAX => users.push(user.clone()),
            Some(Change::Add(_) | Change::Leave(_)) | None => {
                changes.push(Change::Add(vec![user.clone()]))
            }
        }
    }

    /// Who was in before the log began and never spoke cannot go.
    fn goes(&mut self, user: &UserId, changes: &mut Vec<Change>) {
        if self.members.remove(user) {
            changes.push(Change::Leave(user.clone()));
        }
    }

    fn planned(self, rounds: Vec<Round>) -> Planned {
        Planned {
            rounds,
            members: self.members,
            ever: self.ever,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::corpus::{Kind, Line};
    use super::super::plan::user;
    use super::*;

    fn line(at: usize, t: &str, from: &str) -> Line {
        Line {
            t: Some(t.to_owned()),
            kind: Kind::Message,
            from: Some(from.to_owned()),
            text: format!("line {at}"),
            line: at,
            replies_to: vec![at],
        }
    }

    fn named(name: &str) -> UserId {
        user(name).expect("a good name")
    }

    #[test]
    fn a_speaker_is_added_before_the_line_and_one_who_left_again() {
        let lines = [
            line(0, "10:00", "a"),
            line(1, "10:00", "b"),
            line(2, "10:01", "b"),
        ];
        let happenings = [
            Happening::Says(named("a"), &lines[0]),
            Happening::Says(named("b"), &lines[1]),
            Happening::Goes(named("b")),
            Happening::Goes(named("stranger")),
            Happening::Says(named("b"), &lines[2]),
        ];
        let planned = ordered(&happenings, &named("a"), &mut Dice::new(1));
        let before: Vec<&[Change]> = planned.rounds.iter().map(|round| &*round.before).collect();
        let add = || Change::Add(vec![named("b")]);
        let expected = [
            vec![],
            vec![add()],
            vec![Change::Leave(named("b")), add()],
            vec![],
        ];
        assert_eq!(before, expected);
        assert_eq!(planned.members.len(), 2);
    }

    #[test]
    fn those_who_speak_in_the_same_minutes_speak_in_one_round() {
        let minute = |at: usize| format!("10:{:02}", at / 2);
        let lines: Vec<Line> = (0..24)
            .map(|at| line(at, &minute(at), ["a", "b"][at % 2]))
            .collect();
        let happenings: Vec<_> = lines
            .iter()
            .map(|line| Happening::Says(named(["a", "b"][line.line % 2]), line))
            .collect();
        let planned = concurrent(&happenings, &named("a"), &mut Dice::new(1));
        let sizes: Vec<Vec<usize>> = planned
            .rounds
            .iter()
            .map(|round| round.says.iter().map(Vec::len).collect())
            .collect();
        assert_eq!(sizes, [[5, 5], [5, 5], [2, 2]]);
    }
}
