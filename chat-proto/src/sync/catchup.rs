//! Which `sync` frames are still to be asked.

use std::collections::{BTreeMap, BTreeSet};

use super::settings::retry_delay_ms;
use crate::id::{ChannelId, Epoch, Seq};
use crate::wire::{SyncAnswer, SyncQuery};

/// Comparing what the client holds with the server: all of it after connecting, and later what something happened to
/// that the client cannot tell by itself.
#[derive(Debug, Default)]
pub(super) struct Catchup {
    run: Option<Run>,
    /// Look for channels that are not known yet.
    wanted: bool,
    /// Look also at these, which are known.
    doubtful: BTreeSet<ChannelId>,
    failures: u32,
    waiting: bool,
}

#[derive(Debug)]
struct Run {
    complete: bool,
    /// Channels whose cursor no frame has carried yet.
    rest: BTreeSet<ChannelId>,
    asked: Option<SyncQuery>,
    /// Of the first answer, taken before any of the others.
    since: Option<String>,
    in_flight: bool,
}

/// A run has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finished {
    /// It compared every channel.
    pub(super) complete: bool,
    /// For the next time.
    pub(super) since: Option<String>,
}

/// What a query is made of.
pub(super) struct Known<'a> {
    pub(super) epoch: Option<Epoch>,
    pub(super) since: Option<&'a str>,
    pub(super) user_seq: Seq,
    pub(super) entries: u32,
    pub(super) cursors_max: usize,
}

impl Catchup {
    /// Begins to compare everything.
    pub(super) fn start(&mut self, channels: impl IntoIterator<Item = ChannelId>) {
        self.wanted = false;
        self.doubtful.clear();
        self.waiting = false;
        self.run = Some(Run::new(true, channels.into_iter().collect()));
    }

    /// Wants channels that are not known yet. Returns whether they were not wanted already.
    pub(super) fn want(&mut self) -> bool {
        !std::mem::replace(&mut self.wanted, true)
    }

    /// Wants a channel that was never looked for, without waiting for the next look for others.
    pub(super) fn want_now(&mut self) {
        self.wanted = true;
        self.waiting &= self.failures > 0;
    }

    /// Wants to know how a known channel stands.
    pub(super) fn doubt(&mut self, channel: ChannelId) {
        self.wanted = true;
        self.doubtful.insert(channel);
    }

    /// The next frame to send, if one is due.
    pub(super) fn next_query(
        &mut self,
        known: &Known<'_>,
        cursor: impl Fn(ChannelId) -> Option<(Seq, Seq)>,
    ) -> Option<SyncQuery> {
        if self.waiting {
            return None;
        }
        if self.run.is_none() && self.wanted {
            self.wanted = false;
            self.run = Some(Run::new(false, std::mem::take(&mut self.doubtful)));
        }
        let run = self.run.as_mut().filter(|run| !run.in_flight)?;
        run.in_flight = true;
        if let Some(asked) = &run.asked {
            return Some(asked.clone());
        }
        let mut cursors = BTreeMap::new();
        while cursors.len() < known.cursors_max {
            let Some(channel) = run.rest.pop_first() else {
                break;
            };
            if let Some(cursor) = cursor(channel) {
                cursors.insert(channel, cursor);
            }
        }
        let query = SyncQuery {
            epoch: known.epoch,
            // From the beginning, where nothing is known.
            user_seq: Some(known.user_seq).filter(|seq| *seq > Seq(0)),
            // The frames after the first list channels without a cursor only if they changed since the first.
            since: run.since.clone().or_else(|| known.since.map(str::to_owned)),
            cursors,
            entries: known.entries,
            page: None,
        };
        run.asked = Some(query.clone());
        Some(query)
    }

    /// The cursor with which the frame that is being answered asked for a channel.
    pub(super) fn asked_at(&self, channel: ChannelId) -> Option<Seq> {
        let asked = self.run.as_ref()?.asked.as_ref()?;
        asked.cursors.get(&channel).map(|(cursor, _)| *cursor)
    }

    /// Notes an answer. When the run has ended with it, says so.
    pub(super) fn answered(&mut self, answer: &SyncAnswer) -> Option<Finished> {
        self.failures = 0;
        let run = self.run.as_mut()?;
        run.in_flight = false;
        if run.since.is_none() {
            run.since = Some(answer.since.clone());
        }
        match &answer.page {
            Some(page) => {
                if let Some(asked) = &mut run.asked {
                    asked.page = Some(page.clone());
                }
                return None;
            }
            None => run.asked = None,
        }
        if !run.rest.is_empty() {
            return None;
        }
        let run = self.run.take()?;
        Some(Finished {
            complete: run.complete,
            since: run.since,
        })
    }

    /// Notes a refusal; the same is asked again after the returned milliseconds, or everything from the beginning.
    pub(super) fn failed(
        &mut self,
        transient: bool,
        all: impl IntoIterator<Item = ChannelId>,
    ) -> u64 {
        self.failures = self.failures.saturating_add(1);
        match &mut self.run {
            Some(run) if transient => run.in_flight = false,
            Some(_) | None => self.start(all),
        }
        self.waiting = true;
        retry_delay_ms(self.failures)
    }

    /// Asks nothing for a while.
    pub(super) fn pause(&mut self) {
        self.waiting = true;
    }

    pub(super) fn resume(&mut self) {
        self.waiting = false;
    }

    pub(super) fn stop(&mut self) {
        *self = Self::default();
    }
}

impl Run {
    fn new(complete: bool, rest: BTreeSet<ChannelId>) -> Self {
        Self {
            complete,
            rest,
            asked: None,
            since: None,
            in_flight: false,
        }
    }
}
