//! What the server says of its own accord.

use super::{LEAVING_MS_MAX, Link, SyncMachine};
use crate::id::Head;
use crate::sync::event::{Ending, Event};
use crate::sync::timers::Timer;
use crate::wire::{ChannelHead, GoAway, GoAwayReason, MarkPush, Push, TypingPush};

impl SyncMachine {
    pub(super) fn pushed(&mut self, now_ms: u64, push: Push) {
        // Before `hello` is answered nobody knows of which epoch an entry is. What exists, the sync will tell.
        if !self.told_connected && !matches!(push, Push::GoAway(_)) {
            return;
        }
        match push {
            Push::Entry(push) => self.arrived(now_ms, push.channel, push.entry),
            Push::Heads(push) => {
                for ChannelHead { channel, head } in push.channels {
                    self.told_head(channel, head);
                }
            }
            Push::Read(push) => self.read_rose(push),
            Push::Delivered(MarkPush {
                channel,
                user,
                seq,
                n,
            }) => self.event(Event::Delivered {
                channel,
                user,
                seq,
                n,
            }),
            Push::User(push) => self.own_pushed(push.entry),
            Push::Presence(presence) => self.event(Event::Presence { presence }),
            Push::Typing(TypingPush { channel, user }) => {
                self.event(Event::Typing { channel, user });
            }
            Push::GoAway(goaway) => self.told_to_go(now_ms, goaway),
        }
    }

    fn read_rose(&mut self, push: MarkPush) {
        let MarkPush {
            channel,
            user,
            seq,
            n,
        } = push;
        if self.user.as_ref() == Some(&user) {
            // The summary of a channel that is not known yet will say it.
            let rose = self
                .channels
                .get_mut(&channel)
                .is_some_and(|log| log.raise_read(Head { seq, n }));
            if !rose {
                return;
            }
        }
        self.event(Event::Read {
            channel,
            user,
            seq,
            n,
        });
    }

    fn told_to_go(&mut self, now_ms: u64, goaway: GoAway) {
        match goaway.reason {
            GoAwayReason::Revoked => self.end(Ending::Revoked),
            GoAwayReason::Drain
            | GoAwayReason::Slow
            | GoAwayReason::Replaced
            | GoAwayReason::Unknown => {
                self.goaway = Some(goaway);
                self.link = Link::Leaving;
                self.timers
                    .set(Timer::Leave, now_ms.saturating_add(LEAVING_MS_MAX));
            }
        }
    }
}
