//! Channels and their entries, wherever they come from.

use std::sync::Arc;

use super::SyncMachine;
use crate::entry::{Entry, EntryKind};
use crate::id::{ChannelId, Head, Seq};
use crate::sync::event::Event;
use crate::sync::log::{ChannelLog, Offered};
use crate::sync::settings::{GAP_WAIT_MS, GapPolicy, retry_delay_ms};
use crate::sync::timers::Timer;
use crate::wire::{PullAnswer, Summary};

impl SyncMachine {
    /// An entry came by itself, or was composed from a command and its answer.
    pub(super) fn arrived(&mut self, now_ms: u64, channel: ChannelId, entry: Arc<Entry>) {
        if self.channels.contains_key(&channel) {
            let offered = self.offer(channel, entry);
            self.watch_gap(now_ms, channel, offered);
        } else {
            self.met_stranger(channel, Some(entry));
        }
    }

    /// A log is known to go up to here, and what is missing is not on its way.
    pub(super) fn told_head(&mut self, channel: ChannelId, head: Head) {
        match self.channels.get_mut(&channel) {
            Some(log) => {
                log.raise_head(head);
                self.pull_if_behind(channel);
            }
            None => self.met_stranger(channel, None),
        }
    }

    /// A channel as the server lists it.
    pub(super) fn listed(&mut self, mut summary: Summary) {
        let channel = summary.channel;
        let entries = std::mem::take(&mut summary.entries);
        let gap = summary.gap.take();
        let visible_from = summary.visible_from;
        // Older entries show only to who left and joined again. What was told begins in the middle now.
        let is_rejoined = self
            .channels
            .get(&channel)
            .is_some_and(|log| visible_from < log.visible_from());
        if is_rejoined {
            self.left(channel);
        }
        let met = match self.channels.get_mut(&channel) {
            Some(log) => {
                log.summarized(&summary);
                Vec::new()
            }
            None => {
                self.channels.insert(channel, ChannelLog::new(&summary));
                self.strangers.take(channel, &mut self.budget)
            }
        };
        let summary = Box::new(summary);
        self.event(Event::ChannelChanged { summary });
        self.skip_to(channel, visible_from.previous());
        if let (Some(gap), GapPolicy::Drop) = (gap, self.settings.gap_policy) {
            self.skip_to(channel, gap.to);
        }
        for entry in entries.into_iter().map(Arc::new).chain(met) {
            self.offer(channel, entry);
        }
        // What was pulled in vain has a timer; a list that was asked for because of that must not start it at once.
        if self
            .channels
            .get(&channel)
            .is_some_and(|log| log.fruitless == 0)
        {
            self.pull_if_behind(channel);
        }
    }

    /// The user is not in the channel.
    pub(super) fn left(&mut self, channel: ChannelId) {
        if let Some(mut log) = self.channels.remove(&channel) {
            log.drop_held(&mut self.budget);
            self.pulls_ready.remove(&channel);
            self.timers.cancel(Timer::Gap(channel));
            self.timers.cancel(Timer::Marks(channel));
            self.marks.forget(channel);
            self.event(Event::Left { channel });
        }
    }

    /// A page of the log came that follows `after`.
    pub(super) fn pulled(
        &mut self,
        now_ms: u64,
        channel: ChannelId,
        after: Seq,
        answer: PullAnswer,
    ) {
        let Some(log) = self.channels.get_mut(&channel) else {
            return;
        };
        log.pulling = false;
        log.raise_head(answer.head);
        // A page begins right after what was asked, or where the user's view of the log begins. A page that was asked
        // before the user left and came back says nothing about what lies before it.
        let is_of_this_log = log.cursor() >= after;
        if let Some(first) = answer.entries.first().filter(|_| is_of_this_log) {
            self.skip_to(channel, first.seq.previous());
        }
        for entry in answer.entries {
            self.offer(channel, Arc::new(entry));
        }
        let Some(log) = self.channels.get_mut(&channel) else {
            return;
        };
        if !log.is_behind() {
            log.fruitless = 0;
            self.timers.cancel(Timer::Gap(channel));
        } else if log.cursor() > after {
            log.fruitless = 0;
            self.want_pull(channel);
        } else {
            self.pull_later(now_ms, channel, None);
        }
    }

    /// A pull brought nothing.
    pub(super) fn pull_later(
        &mut self,
        now_ms: u64,
        channel: ChannelId,
        retry_after_ms: Option<u64>,
    ) {
        if let Some(log) = self.channels.get_mut(&channel) {
            log.pulling = false;
            log.fruitless = log.fruitless.saturating_add(1);
            let delay_ms = retry_after_ms.unwrap_or_else(|| retry_delay_ms(log.fruitless));
            self.timers
                .set(Timer::Gap(channel), now_ms.saturating_add(delay_ms));
        }
    }

    pub(super) fn pull_if_behind(&mut self, channel: ChannelId) {
        if self
            .channels
            .get(&channel)
            .is_some_and(ChannelLog::is_behind)
        {
            self.want_pull(channel);
        }
    }

    pub(super) fn met_stranger(&mut self, channel: ChannelId, entry: Option<Arc<Entry>>) {
        if self.strangers.meet(channel, entry, &mut self.budget) {
            self.catchup.want_now();
        }
    }

    fn want_pull(&mut self, channel: ChannelId) {
        self.timers.cancel(Timer::Gap(channel));
        if let Some(log) = self.channels.get(&channel)
            && !log.pulling
        {
            self.pulls_ready.insert(channel);
        }
    }

    fn offer(&mut self, channel: ChannelId, entry: Arc<Entry>) -> Offered {
        let Some(log) = self.channels.get_mut(&channel) else {
            return Offered::Old;
        };
        let mut next = Vec::new();
        let offered = log.offer(entry, &mut self.budget, &mut next);
        self.tell(channel, next);
        if offered == Offered::NoRoom {
            self.want_pull(channel);
        }
        offered
    }

    fn skip_to(&mut self, channel: ChannelId, seq: Seq) {
        let Some(log) = self.channels.get_mut(&channel) else {
            return;
        };
        let mut next = Vec::new();
        if let Some((from, to)) = log.skip_to(seq, &mut self.budget, &mut next) {
            self.event(Event::GapDropped { channel, from, to });
        }
        self.tell(channel, next);
    }

    /// Gives what is missing before an entry that came by itself the time to come by itself too.
    fn watch_gap(&mut self, now_ms: u64, channel: ChannelId, offered: Offered) {
        let Some(log) = self.channels.get(&channel) else {
            return;
        };
        let timer = Timer::Gap(channel);
        if !log.is_behind() {
            self.timers.cancel(timer);
        } else if !log.pulling && !self.pulls_ready.contains(&channel) {
            let at_ms = now_ms.saturating_add(GAP_WAIT_MS);
            match offered {
                // One gap closed and another is left, which has its own time.
                Offered::Next => self.timers.set(timer, at_ms),
                Offered::Old | Offered::Held | Offered::NoRoom => {
                    self.timers.set_if_unset(timer, at_ms);
                }
            }
        }
    }

    fn tell(&mut self, channel: ChannelId, entries: Vec<Arc<Entry>>) {
        for entry in entries {
            let user = self.user.clone();
            let read = user.as_ref().and_then(|user| {
                let log = self.channels.get_mut(&channel)?;
                log.mark_after(&entry, user)
            });
            let is_newest = self
                .channels
                .get(&channel)
                .is_some_and(|log| entry.seq >= log.head().seq);
            // Whether the user is in the channel is the server's to say: this may be an old story, told again to
            // somebody who came back.
            let leaves = is_newest
                && matches!((&entry.kind, &user), (EntryKind::Members(change), Some(user)) if change.remove.contains(user));
            self.event(Event::Entry { channel, entry });
            if let (Some(user), Some(Head { seq, n })) = (user, read) {
                self.event(Event::Read {
                    channel,
                    user,
                    seq,
                    n,
                });
            }
            if leaves {
                self.catchup.doubt(channel);
            }
        }
    }
}
