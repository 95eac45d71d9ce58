//! What can be asked now.

use super::{Link, SyncMachine};
use crate::id::ChannelId;
use crate::sync::catchup::Known;
use crate::sync::command::Command;
use crate::sync::log::ChannelLog;
use crate::sync::requests::Request;
use crate::sync::settings::{PULLS_IN_FLIGHT_MAX, REQUESTS_IN_FLIGHT_MAX, SYNC_CURSORS_MAX};
use crate::wire::{ClientOp, PullQuery};

impl SyncMachine {
    /// Asks for what is wanted as far as there is room: first what changed, then what is missing, then what the user
    /// said.
    pub(super) fn pump(&mut self) {
        match self.link {
            Link::Open => while self.requests.len() < REQUESTS_IN_FLIGHT_MAX && self.ask_next() {},
            Link::Leaving if self.requests.len() == 0 => self.close(),
            Link::Offline | Link::Greeting | Link::Leaving | Link::Closing => {}
        }
    }

    fn ask_next(&mut self) -> bool {
        self.ask_sync() || self.ask_pull() || self.ask_mark() || self.ask_command()
    }

    fn ask_sync(&mut self) -> bool {
        let known = Known {
            epoch: self.epoch,
            since: self.since.as_deref(),
            user_seq: self.user_seq,
            entries: self.settings.entries_per_channel,
            cursors_max: self.limits.sync_cursors_max.clamp(1, SYNC_CURSORS_MAX),
        };
        let channels = &self.channels;
        let cursor = |channel: ChannelId| {
            channels
                .get(&channel)
                .map(|log: &ChannelLog| (log.cursor(), log.read().seq))
        };
        match self.catchup.next_query(&known, cursor) {
            Some(query) => {
                self.ask(Request::Sync, ClientOp::Sync(query));
                true
            }
            None => false,
        }
    }

    fn ask_pull(&mut self) -> bool {
        if self.pulls_in_flight >= PULLS_IN_FLIGHT_MAX {
            return false;
        }
        while let Some(channel) = self.pulls_ready.pop_first() {
            if let Some(log) = self.channels.get_mut(&channel)
                && !log.pulling
            {
                log.pulling = true;
                let after = log.cursor();
                self.pulls_in_flight += 1;
                let query = PullQuery {
                    channel,
                    after,
                    limit: None,
                };
                self.ask(Request::Pull { channel, after }, ClientOp::Pull(query));
                return true;
            }
        }
        false
    }

    fn ask_mark(&mut self) -> bool {
        match self.marks.next_ready() {
            Some((channel, kind, seq)) => {
                self.ask(Request::Mark { channel, kind, seq }, kind.op(channel, seq));
                true
            }
            None => false,
        }
    }

    fn ask_command(&mut self) -> bool {
        let Some((order, command)) = self.outbox.next_ready() else {
            return false;
        };
        let request = match command {
            Command::Send(_) => Request::Send { order },
            Command::Edit(_) | Command::Delete(_) | Command::React(_) | Command::Pin(_) => {
                Request::Change { order }
            }
        };
        self.ask(request, command.into());
        true
    }
}
