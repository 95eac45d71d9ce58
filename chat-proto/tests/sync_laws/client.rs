//! An application: keeps what the machine tells, and insists that it is told once and in order.

use std::collections::{BTreeMap, BTreeSet};

use chat_proto::people::UserEntry;
use chat_proto::sync::Event;
use chat_proto::{ChannelId, ClientId, Entry, Seq};

#[derive(Default)]
pub(crate) struct Application {
    pub(crate) logs: BTreeMap<ChannelId, Vec<Entry>>,
    /// Where a log may go on after a gap.
    gaps: BTreeMap<ChannelId, Seq>,
    /// The user's own log.
    pub(crate) own: Vec<UserEntry>,
    pub(crate) acknowledged: BTreeSet<ClientId>,
    pub(crate) rejected: BTreeSet<ClientId>,
}

impl Application {
    pub(crate) fn take(&mut self, event: Event) {
        match event {
            Event::Entry { channel, entry } => {
                let log = self.logs.entry(channel).or_default();
                let gap_end = self.gaps.remove(&channel);
                if let Some(last) = log.last() {
                    let expected = gap_end.unwrap_or(last.seq).next();
                    assert_eq!(entry.seq, expected, "in order, without a hole, once");
                }
                log.push(Entry::clone(&entry));
            }
            Event::GapDropped { channel, from, to } => {
                let log = self.logs.entry(channel).or_default();
                if let Some(last) = log.last() {
                    assert_eq!(from, last.seq.next(), "a gap begins where the log ends");
                }
                assert!(from <= to);
                self.gaps.insert(channel, to);
            }
            Event::UserEntry { entry } => {
                let expected = self.own.last().map_or(Seq(1), |last| last.seq.next());
                assert_eq!(entry.seq, expected, "in order, without a hole, once");
                self.own.push(*entry);
            }
            Event::Acknowledged { client_id, .. } | Event::Changed { client_id, .. } => {
                assert!(self.acknowledged.insert(client_id), "acknowledged once");
                assert!(!self.rejected.contains(&client_id));
            }
            Event::Rejected { client_id, .. } => {
                assert!(self.rejected.insert(client_id), "rejected once");
                assert!(!self.acknowledged.contains(&client_id));
            }
            Event::Left { channel } => {
                self.logs.remove(&channel);
                self.gaps.remove(&channel);
            }
            Event::Reset => {
                self.logs.clear();
                self.gaps.clear();
                self.own.clear();
            }
            Event::Ended { ending } => panic!("nothing here is final: {ending}"),
            _ => {}
        }
    }
}
