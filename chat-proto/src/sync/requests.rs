//! What is outstanding on the connection.

use std::collections::BTreeMap;

use super::marks::MarkKind;
use crate::id::{ChannelId, Seq};

/// What an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Hello,
    Sync,
    /// A message, by its place in the outbox.
    Send {
        order: u64,
    },
    /// A command about a message, by its place in the outbox.
    Change {
        order: u64,
    },
    Pull {
        channel: ChannelId,
        after: Seq,
    },
    Mark {
        channel: ChannelId,
        kind: MarkKind,
        seq: Seq,
    },
    /// A question of the application.
    Asked(Question),
}

/// What the application may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Sync,
    Pull,
    History,
    Prefs,
    Receipts,
    Watch,
    /// One whose answer has nothing to tell.
    Done,
}

/// Ids that are unique among what is outstanding.
#[derive(Debug, Default)]
pub(super) struct Requests {
    outstanding: BTreeMap<u32, Request>,
    last_id: u32,
    asked: usize,
}

impl Requests {
    pub(super) fn open(&mut self, request: Request) -> u32 {
        let mut id = self.last_id.wrapping_add(1);
        // Ends: fewer are outstanding than there are ids.
        while self.outstanding.contains_key(&id) {
            id = id.wrapping_add(1);
        }
        self.last_id = id;
        self.asked += usize::from(matches!(request, Request::Asked(_)));
        self.outstanding.insert(id, request);
        id
    }

    pub(super) fn close(&mut self, id: u32) -> Option<Request> {
        let request = self.outstanding.remove(&id)?;
        self.asked -= usize::from(matches!(request, Request::Asked(_)));
        Some(request)
    }

    pub(super) fn take_all(&mut self) -> BTreeMap<u32, Request> {
        self.asked = 0;
        std::mem::take(&mut self.outstanding)
    }

    pub(super) fn len(&self) -> usize {
        self.outstanding.len()
    }

    /// How many of them the application asked.
    pub(super) fn asked(&self) -> usize {
        self.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_in_use_is_passed_over_when_numbers_wrap() {
        let mut requests = Requests {
            last_id: u32::MAX - 1,
            ..Requests::default()
        };
        assert_eq!(requests.open(Request::Hello), u32::MAX);
        assert_eq!(requests.open(Request::Sync), 0);
        requests.last_id = u32::MAX - 1;
        assert_eq!(requests.open(Request::Sync), 1);
        assert_eq!(requests.close(u32::MAX), Some(Request::Hello));
        assert_eq!(requests.close(u32::MAX), None);
    }
}
