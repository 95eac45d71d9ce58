//! Where a user stands in a channel.
//!
//! A user's own message raises the read mark when everything before it was read. Updates may come in any order and again, and
//! marks may be raised between them, so a row remembers the own messages that it was told of: *raised* to, or *waiting*,
//! because something before was unread or not yet told. One that waits is followed when the message right before it turns
//! out to be one that was raised to; a mark that somebody raised to that place does not make it so. Told again, nothing
//! happens. Of what was raised to only the last is kept, and of those that wait so many.

use std::collections::BTreeMap;

use chat_core::ports::{Mark, MarkKind, MarkRise};
use chat_proto::{Head, Ordinal, Seq, Timestamp};

/// Own messages that are remembered; they wait only for updates that are on their way.
const OWN_MAX: usize = 64;

/// A user's marks in one channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Marks {
    /// Read up to here.
    pub(super) read: Head,
    /// Shown to others as read: behind `read` where the user read on in private.
    pub(super) shown: Head,
    /// Received up to here.
    pub(super) delivered: Head,
    /// When a mark last rose.
    pub(super) raised_at: Timestamp,
    /// By ordinal.
    pub(super) own: BTreeMap<u64, Own>,
}

/// An own message, or the place where a membership began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) seq: Seq,
    /// The mark went over it.
    pub(super) raised: bool,
}

impl Own {
    /// As its column: the higher of two bytewise is the one that was raised to.
    pub(super) fn column(self) -> i64 {
        let seq = crate::store::column(self.seq.0);
        if self.raised { -seq } else { seq }
    }

    pub(super) fn of_column(column: i64) -> Self {
        Self {
            seq: Seq(column.unsigned_abs()),
            raised: column < 0,
        }
    }
}

impl Marks {
    /// As others are shown them.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            read: self.shown,
            delivered: self.delivered,
        }
    }

    /// Raises a mark as asked.
    pub(super) fn raise(&mut self, rise: &MarkRise) {
        let mark = match rise.kind {
            MarkKind::Read => &mut self.read,
            MarkKind::Delivered => &mut self.delivered,
        };
        if rise.to > *mark {
            *mark = rise.to;
            self.raised_at = self.raised_at.max(rise.at);
        }
        if rise.kind == MarkKind::Read && !rise.private {
            self.shown = self.shown.max(rise.to);
        }
    }

    /// The user became a member by the entry that made this head: nothing before it is unread, or hidden.
    pub(super) fn begin_at(&mut self, joined: Head) {
        self.shown = self.shown.max(joined);
        if joined >= self.read {
            self.raise_over(joined);
        }
    }

    /// The user's own message made this head.
    pub(super) fn tell_own(&mut self, own: Head) {
        if own.n <= self.read.n || self.own.contains_key(&own.n.0) {
            return;
        }
        if Some(self.read.n.0) == own.n.0.checked_sub(1) {
            if self.shown == self.read {
                self.shown = own;
            }
            self.raise_over(own);
        } else {
            let waiting = Own {
                seq: own.seq,
                raised: false,
            };
            self.own.insert(own.n.0, waiting);
        }
    }

    fn raise_over(&mut self, head: Head) {
        self.read = head;
        let raised = Own {
            seq: head.seq,
            raised: true,
        };
        self.own = self.own.split_off(&head.n.0);
        self.own.insert(head.n.0, raised);
        self.follow();
    }

    /// Goes over the own messages that follow right behind where the marks were raised to.
    pub(super) fn follow(&mut self) {
        let (begins, together) = (self.read, self.shown == self.read);
        self.read = followed(&self.own, self.read);
        self.shown = if together {
            self.read
        } else {
            followed(&self.own, self.shown)
        };
        if let Some(own) = self.own.get_mut(&self.read.n.0)
            && own.seq == self.read.seq
            && begins != self.read
        {
            own.raised = true;
            self.own = self.own.split_off(&self.read.n.0);
        }
    }

    /// What of this is not in `known`, which is as the columns are, to be written.
    pub(super) fn own_since(&self, known: &Self) -> OwnWrites {
        let last_raised = |marks: &Self| {
            let mut own = marks.own.iter().rev();
            own.find(|(_, own)| own.raised).map(|(n, own)| (*n, *own))
        };
        let replaces = last_raised(self).filter(|raised| last_raised(known) != Some(*raised));
        let too_many = self.own.len().saturating_sub(OWN_MAX);
        let kept = || self.own.iter().map(|(n, own)| (*n, *own)).skip(too_many);
        // The first to be kept takes the place of all before it.
        let first_kept = kept().next().filter(|_| too_many > 0);
        let is_new = |(n, own): &(u64, Own)| !own.raised && !known.own.contains_key(n);
        OwnWrites {
            replaces: replaces.into_iter().chain(first_kept).collect(),
            waiting: kept().filter(is_new).collect(),
        }
    }
}

/// Own messages to be written.
#[derive(Debug, PartialEq)]
pub(super) struct OwnWrites {
    /// Each takes the place of all before it.
    pub(super) replaces: Vec<(u64, Own)>,
    /// These are set beside the others.
    pub(super) waiting: Vec<(u64, Own)>,
}

/// From a place that was raised to over the messages right behind it.
fn followed(own: &BTreeMap<u64, Own>, from: Head) -> Head {
    let begins = own
        .get(&from.n.0)
        .is_some_and(|own| own.raised && own.seq <= from.seq);
    let mut mark = from;
    while begins && let Some(next) = own.get(&(mark.n.0 + 1)) {
        mark = Head {
            seq: next.seq,
            n: Ordinal(mark.n.0 + 1),
        };
    }
    mark
}

#[cfg(test)]
mod tests {
    use chat_proto::ChannelId;

    use super::*;

    fn rise(n: u64, private: bool) -> MarkRise {
        MarkRise {
            channel: ChannelId::external("room"),
            user: "ann".parse().expect("a good name"),
            kind: MarkKind::Read,
            to: at(n),
            at: Timestamp(n),
            private,
        }
    }

    /// The message with this ordinal in a log that began with one entry.
    fn at(n: u64) -> Head {
        Head::new(n + 1, n)
    }

    fn begun() -> Marks {
        let mut marks = Marks::default();
        marks.begin_at(at(0));
        marks
    }

    #[test]
    fn own_messages_told_in_any_order_and_again_end_alike() {
        let orders: [&[u64]; 6] = [
            &[1, 2, 3, 4],
            &[4, 3, 2, 1],
            &[2, 4, 1, 3],
            &[3, 3, 1, 1, 4, 2, 2],
            &[1, 3, 2, 4, 1],
            &[4, 1, 2, 3],
        ];
        for order in orders {
            let mut marks = Marks::default();
            order.iter().for_each(|n| marks.tell_own(at(*n)));
            marks.begin_at(at(0));
            assert_eq!((marks.read, marks.shown), (at(4), at(4)), "{order:?}");
            assert_eq!(marks.own.len(), 1, "{order:?}");
        }
    }

    #[test]
    fn an_own_message_behind_unread_ones_waits_also_when_told_again() {
        let mut marks = begun();
        marks.tell_own(at(2));
        assert_eq!(marks.read, at(0));
        marks.raise(&rise(1, false));
        marks.tell_own(at(2));
        marks.follow();
        assert_eq!((marks.read, marks.shown), (at(1), at(1)));
        marks.raise(&rise(2, false));
        marks.tell_own(at(3));
        assert_eq!(marks.read, at(3));
    }

    #[test]
    fn what_is_hidden_stays_hidden_behind_own_messages() {
        let mut marks = begun();
        marks.raise(&rise(2, false));
        marks.raise(&rise(4, true));
        marks.tell_own(at(5));
        assert_eq!((marks.read, marks.shown), (at(5), at(2)));
        marks.raise(&rise(5, false));
        marks.tell_own(at(6));
        assert_eq!((marks.read, marks.shown), (at(6), at(6)));
        marks.raise(&rise(8, true));
        marks.begin_at(Head::new(20, 8));
        assert_eq!(
            (marks.read, marks.shown),
            (Head::new(20, 8), Head::new(20, 8))
        );
    }

    #[test]
    fn two_who_write_at_once_are_merged_when_read() {
        let known = begun();
        let (mut one, mut other) = (known.clone(), known.clone());
        one.tell_own(at(1));
        other.tell_own(at(2));
        // As the columns merge: the higher mark, the last that was raised to, and what waits behind it.
        let mut merged = one.clone();
        merged.own.extend(other.own_since(&known).waiting);
        merged.follow();
        assert_eq!((merged.read, merged.shown), (at(2), at(2)));
    }

    #[test]
    fn own_messages_that_wait_are_bounded() {
        let mut marks = begun();
        for n in 2..200 {
            let known = marks.clone();
            marks.tell_own(at(n));
            let writes = marks.own_since(&known);
            assert_eq!(writes.waiting.len(), 1);
            if let Some((first, _)) = writes.replaces.first() {
                marks.own = marks.own.split_off(first);
            }
            assert!(marks.own.len() <= OWN_MAX);
        }
        let known = begun();
        let mut marks = known.clone();
        (2..200).for_each(|n| marks.tell_own(at(n)));
        assert_eq!(marks.own_since(&known).waiting.len(), OWN_MAX);
    }

    #[test]
    fn a_raised_own_message_wins_over_one_that_waits() {
        let seq = Seq(7);
        let [raised, waiting] = [true, false].map(|raised| Own { seq, raised });
        assert!(raised.column().to_be_bytes() > waiting.column().to_be_bytes());
        assert_eq!(Own::of_column(raised.column()), raised);
        assert_eq!(Own::of_column(waiting.column()), waiting);
    }
}
