//! Each way in which a channel can be wrong is told.

use chat_proto::entry::{Created, MemberRole, MembersChange, Message};
use chat_proto::{Body, ChannelType, ClientId, MessageId, Ordinal, Role, Timestamp};
use chat_testkit::history::{self, Digest};
use uuid::Uuid;

use super::super::plan::{Plan, user};
use super::*;

/// `anna` creates a channel, says something, adds `bert`, answers herself; `bert` leaves; she says something more.
struct Case {
    plan: Plan,
    log: Vec<Entry>,
    spoken: Vec<Spoken>,
    changed: Vec<Changed>,
    devices: Vec<DeviceNotes>,
}

impl Case {
    fn new(history: History) -> Self {
        let anna = named("anna");
        let bert = named("bert");
        let host = named("host");
        let create_id = client_id(0);
        let channel = ChannelId::created(&anna, create_id);
        let created = Created {
            channel_type: ChannelType::Group,
            title: None,
            members: vec![role(&anna, Role::Owner), role(&host, Role::Member)],
            history,
            data: None,
            external_id: None,
        };
        let add = MembersChange {
            add: vec![role(&bert, Role::Member)],
            ..MembersChange::default()
        };
        let leave = MembersChange {
            remove: vec![bert.clone()],
            ..MembersChange::default()
        };
        let log = vec![
            entry(1, 0, &anna, EntryKind::Created(created)),
            entry(2, 1, &anna, message(1, None)),
            entry(3, 1, &anna, EntryKind::Members(add)),
            entry(4, 2, &anna, message(2, Some(Seq(2)))),
            entry(5, 2, &bert, EntryKind::Members(leave)),
            entry(6, 3, &anna, message(3, None)),
        ];
        let spoken = [(1, 1), (3, 2), (5, 3)].map(|(place, number): (usize, u128)| Spoken {
            line: place,
            reply_to: (number == 2).then_some(Seq(2)),
            sent: history::Sent {
                user: anna.clone(),
                device: device(1),
                channel,
                client_id: client_id(number),
                body: Some(Digest::of_text(&format!("text {number}"))),
                outcome: Outcome::Acknowledged {
                    head: log[place].head(),
                    message: log[place].message,
                },
            },
        });
        let seen =
            |from: usize, through: usize| log[from - 1..through].iter().map(Seen::of).collect();
        let notes = |user: &UserId, number, parts| DeviceNotes {
            user: user.clone(),
            device: device(number),
            sightings: Sightings { parts },
        };
        let first = match history {
            History::All => 1,
            History::Joined => 3,
        };
        let devices = vec![
            notes(&anna, 1, vec![seen(1, 6)]),
            notes(&host, 2, vec![seen(1, 6)]),
            notes(&bert, 3, vec![seen(first, 5), Vec::new()]),
            // Was away when its user left.
            notes(&bert, 4, vec![seen(first, 4), Vec::new()]),
        ];
        let plan = Plan {
            title: "a case".to_owned(),
            creator: anna.clone(),
            host: host.clone(),
            create_id,
            channel,
            history,
            people: BTreeSet::from([anna.clone(), bert.clone(), host.clone()]),
            rounds: Vec::new(),
            members_at_end: BTreeSet::from([anna, host]),
            messages: 3,
        };
        let changed = vec![
            Changed {
                seq: Seq(3),
                change: Change::Add(vec![bert.clone()]),
            },
            Changed {
                seq: Seq(5),
                change: Change::Leave(bert),
            },
        ];
        Self {
            plan,
            log,
            spoken: spoken.into(),
            changed,
            devices,
        }
    }

    fn difference(self) -> Option<String> {
        let observed = Observed {
            plan: &self.plan,
            log: &self.log,
            spoken: &self.spoken,
            changed: &self.changed,
            devices: self.devices,
            is_ordered: true,
        };
        let checked = observed.check();
        assert!(
            checked.report.is_clean() || checked.difference.is_some(),
            "{}",
            checked.report
        );
        checked.difference
    }
}

fn named(name: &str) -> UserId {
    user(name).expect("a good name")
}

fn client_id(number: u128) -> ClientId {
    ClientId::from_uuid(Uuid::from_u128(number))
}

fn device(number: u128) -> DeviceId {
    DeviceId::from_uuid(Uuid::from_u128(number))
}

fn role(user: &UserId, role: Role) -> MemberRole {
    MemberRole {
        user: user.clone(),
        role,
    }
}

fn message(number: u128, reply_to: Option<Seq>) -> EntryKind {
    EntryKind::Message(Message {
        client_id: client_id(number),
        body: Some(Body::text(format!("text {number}"))),
        erased: false,
        rev: None,
        reply_to,
        thread: None,
        mentions: Vec::new(),
    })
}

fn entry(seq: u64, n: u64, from: &UserId, kind: EntryKind) -> Entry {
    Entry {
        seq: Seq(seq),
        n: Ordinal(n),
        message: MessageId(seq),
        at: Timestamp(0),
        from: from.clone(),
        device: None,
        withheld: false,
        kind,
    }
}

/// What is said of a case after something was done to it, for both kinds of history.
fn told(twist: impl Fn(&mut Case)) -> [String; 2] {
    [History::All, History::Joined].map(|history| {
        let mut case = Case::new(history);
        twist(&mut case);
        case.difference().expect("a difference is found")
    })
}

fn all_say(told: [String; 2], words: &str) {
    for one in told {
        assert!(one.contains(words), "{one}");
    }
}

#[test]
fn what_is_right_is_clean() {
    for history in [History::All, History::Joined] {
        assert_eq!(Case::new(history).difference(), None);
    }
}

#[test]
fn who_left_has_no_hole_before() {
    let twist = |case: &mut Case| {
        let parts = &mut case.devices[2].sightings.parts;
        let hole = vec![parts[0][0], parts[0][2]];
        parts.insert(0, hole);
    };
    all_say(told(twist), "has every visible entry");
}

#[test]
fn who_stays_is_told_of_leaving() {
    let twist = |case: &mut Case| {
        let parts = &mut case.devices[0].sightings.parts;
        parts.insert(0, parts[0][..3].to_vec());
    };
    all_say(told(twist), "was told that they had left");
}

#[test]
fn a_member_who_lacks_the_last_entry() {
    all_say(
        told(|case| case.devices[1].sightings.parts[0].truncate(5)),
        "has every visible entry",
    );
}

#[test]
fn a_hole_in_the_log_of_one_who_left() {
    all_say(
        told(|case| case.devices[2].sightings.parts[0].retain(|seen| seen.head.seq != Seq(4))),
        "has every visible entry",
    );
}

#[test]
fn an_entry_that_was_told_twice() {
    let twist = |case: &mut Case| {
        let first = case.devices[0].sightings.parts[0][0];
        case.devices[0].sightings.parts[0].push(first);
    };
    all_say(told(twist), "no entry twice");
}

#[test]
fn an_entry_after_the_user_had_left() {
    let twist = |case: &mut Case| {
        let last = Seen::of(&case.log[5]);
        case.devices[2].sightings.parts[0].push(last);
    };
    all_say(told(twist), "nothing but visible entries");
}

#[test]
fn an_entry_from_before_the_user_came() {
    let mut case = Case::new(History::Joined);
    let earlier = Seen::of(&case.log[1]);
    case.devices[2].sightings.parts[0].insert(0, earlier);
    let told = case.difference().expect("a difference is found");
    assert!(told.contains("nothing but visible entries"), "{told}");
}

#[test]
fn a_channel_that_somebody_never_was_in() {
    let twist = |case: &mut Case| case.devices[1].user = named("stranger");
    all_say(told(twist), "nothing but visible entries");
}

#[test]
fn an_acknowledged_message_that_is_gone() {
    let twist = |case: &mut Case| {
        case.log.pop();
        for device in &mut case.devices[..2] {
            device.sightings.parts[0].pop();
        }
    };
    all_say(told(twist), "what was acknowledged is in the log");
}

#[test]
fn an_acknowledged_change_that_is_elsewhere() {
    all_say(told(|case| case.changed[0].seq = Seq(4)), "is not there");
}

#[test]
fn a_member_whom_nobody_planned() {
    all_say(
        told(|case| {
            case.plan
                .members_at_end
                .retain(|user| *user != named("host"))
        }),
        "host is a member",
    );
}

#[test]
fn a_reply_to_something_else() {
    all_say(told(|case| case.spoken[1].reply_to = None), "answers Some");
}

#[test]
fn lines_out_of_order() {
    let twist = |case: &mut Case| {
        // Told by another device, so that no law about one device's order is broken first.
        case.spoken[0].sent.device = device(9);
        case.spoken.swap(0, 1);
    };
    all_say(told(twist), "and the later line");
}
