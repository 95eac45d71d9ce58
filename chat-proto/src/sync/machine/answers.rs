//! What the server answers.

use std::sync::Arc;

use super::{Link, SyncMachine};
use crate::entry::{Entry, EntryKind, Message};
use crate::id::{ChannelId, Head, Ordinal, Seq};
use crate::rejection::{Code, Rejection};
use crate::sync::command::Command;
use crate::sync::event::{Ending, Event, Output, RequestError};
use crate::sync::log::ChannelLog;
use crate::sync::marks::MarkKind;
use crate::sync::requests::{Question, Request};
use crate::sync::settings::retry_delay_ms;
use crate::sync::timers::Timer;
use crate::wire::{
    Answer, ChangeAnswer, HelloAnswer, PrefsAnswer, RawAnswer, SendAnswer, SendMessage, SyncAnswer,
    Unreadable,
};

impl SyncMachine {
    pub(super) fn answered(
        &mut self,
        now_ms: u64,
        id: u32,
        answer: &RawAnswer,
    ) -> Result<(), Unreadable> {
        // An answer to nothing, as a network that repeats would bring it.
        let Some(request) = self.requests.close(id) else {
            return Ok(());
        };
        match request {
            Request::Hello => self.greeted(answer.read()?),
            Request::Sync => self.synced(now_ms, answer.read()?),
            Request::Send { order } => self.sent(now_ms, order, &answer.read()?),
            Request::Change { order } => self.changed(order, answer.read()?),
            Request::Pull { channel, after } => {
                self.pulls_in_flight = self.pulls_in_flight.saturating_sub(1);
                self.pulled(now_ms, channel, after, answer.read()?);
            }
            Request::Mark { channel, kind, seq } => self.marked(channel, kind, seq),
            Request::Asked(question) => {
                let answer = match question {
                    Question::Sync => Answer::Sync(answer.read()?),
                    Question::Pull => Answer::Pull(answer.read()?),
                    Question::History => Answer::History(answer.read()?),
                    Question::Prefs => {
                        let answer: PrefsAnswer = answer.read()?;
                        // The server tells the entry to the user's other devices only.
                        if answer.user_seq > self.user_seq {
                            self.catchup.want();
                        }
                        Answer::Prefs(answer)
                    }
                    Question::Receipts => Answer::Receipts(answer.read()?),
                    Question::Watch => Answer::Watch(answer.read()?),
                    Question::Done => Answer::Done,
                };
                self.outputs.push_back(Output::Answer {
                    request: id,
                    result: Ok(answer),
                });
            }
        }
        Ok(())
    }

    pub(super) fn refused(&mut self, now_ms: u64, id: u32, rejection: Rejection) {
        let Some(request) = self.requests.close(id) else {
            return;
        };
        let transient = rejection.code.is_transient();
        match request {
            Request::Hello => match rejection.code {
                Code::Unauthenticated => self.end(Ending::Unauthenticated {
                    message: rejection.message.into_owned(),
                }),
                Code::BadRequest
                | Code::Forbidden
                | Code::NotFound
                | Code::Conflict
                | Code::TooLarge
                | Code::RateLimited
                | Code::Unavailable
                | Code::UnknownOutcome
                | Code::Unsupported => self.close(),
            },
            Request::Sync => {
                if !transient {
                    self.since = None;
                }
                let delay_ms = self
                    .catchup
                    .failed(transient, self.channels.keys().copied());
                let delay_ms = rejection.retry_after_ms.unwrap_or(delay_ms);
                self.timers
                    .set(Timer::Catchup, now_ms.saturating_add(delay_ms));
            }
            Request::Send { order } | Request::Change { order } => {
                self.command_refused(now_ms, order, rejection);
            }
            Request::Pull { channel, .. } => {
                self.pulls_in_flight = self.pulls_in_flight.saturating_sub(1);
                self.pull_later(now_ms, channel, rejection.retry_after_ms);
                if !transient && self.channels.contains_key(&channel) {
                    self.catchup.doubt(channel);
                }
            }
            Request::Mark { channel, kind, .. } if transient => {
                if let Some(delay_ms) = self.marks.failed(channel, kind) {
                    let delay_ms = rejection.retry_after_ms.unwrap_or(delay_ms);
                    self.timers
                        .set(Timer::Marks(channel), now_ms.saturating_add(delay_ms));
                }
            }
            Request::Mark { channel, kind, .. } => self.marks.refused(channel, kind),
            Request::Asked(_) => self.outputs.push_back(Output::Answer {
                request: id,
                result: Err(RequestError::Rejected(rejection)),
            }),
        }
    }

    fn greeted(&mut self, answer: HelloAnswer) {
        if let Some(stored) = self.user.as_ref().filter(|stored| **stored != answer.user) {
            let stored = stored.clone();
            self.end(Ending::OtherUser {
                stored,
                actual: answer.user,
            });
            return;
        }
        if self.epoch != Some(answer.epoch) {
            // Without an epoch there is nothing that could be of another one.
            if self.epoch.is_some() || !self.channels.is_empty() || self.user_seq > Seq(0) {
                self.reset();
            }
            self.epoch = Some(answer.epoch);
        }
        self.user = Some(answer.user.clone());
        self.device = Some(answer.device);
        self.limits = answer.limits;
        self.heartbeat_ms = Some(answer.heartbeat_ms);
        self.outbox.belongs_to(&answer.user);
        if self.link == Link::Greeting {
            self.link = Link::Open;
        }
        self.told_connected = true;
        self.event(Event::Connected {
            user: answer.user,
            device: answer.device,
            node: answer.node,
        });
        self.catchup.start(self.channels.keys().copied());
    }

    fn synced(&mut self, now_ms: u64, answer: SyncAnswer) {
        if answer.reset {
            // The stores changed under the connection. Which epoch they are of now only another `hello` tells.
            self.reset();
            self.epoch = None;
            self.close();
            return;
        }
        // An answer is older than entries that came since it was asked for: they may tell of coming back.
        let (gone, doubtful): (Vec<ChannelId>, Vec<ChannelId>) =
            answer.left.iter().partition(|channel| {
                let cursor = self.channels.get(channel).map(ChannelLog::cursor);
                let asked_at = self.catchup.asked_at(**channel);
                asked_at.is_none() || cursor.is_none() || cursor == asked_at
            });
        let finished = self.catchup.answered(&answer);
        for entry in answer.user_entries {
            self.own_entry(entry);
        }
        for channel in gone {
            self.left(channel);
        }
        for channel in doubtful {
            self.catchup.doubt(channel);
        }
        for summary in answer.channels {
            self.listed(summary);
        }
        let Some(finished) = finished else {
            return;
        };
        self.since = finished.since;
        if finished.complete {
            self.backoff.reset();
            self.event(Event::Synced);
        }
        if let Some(attempts) = self.strangers.looked_for(&mut self.budget)
            && self.catchup.want()
        {
            self.catchup.pause();
            let at_ms = now_ms.saturating_add(retry_delay_ms(attempts));
            self.timers.set(Timer::Catchup, at_ms);
        }
    }

    fn sent(&mut self, now_ms: u64, order: u64, answer: &SendAnswer) {
        let Some(Command::Send(message)) = self.outbox.finish(order) else {
            return;
        };
        let SendAnswer {
            channel,
            seq,
            n,
            message: name,
            at,
            duplicate,
        } = *answer;
        self.event(Event::Acknowledged {
            client_id: message.client_id,
            channel,
            seq,
            n,
            message: name,
            at,
            duplicate,
        });
        match self.compose(message, answer) {
            Some(entry) => self.arrived(now_ms, channel, Arc::new(entry)),
            None => self.told_head(channel, Head { seq, n }),
        }
    }

    fn changed(&mut self, order: u64, answer: ChangeAnswer) {
        let Some(command) = self.outbox.finish(order) else {
            return;
        };
        let Some(channel) = self.outbox.channel_of(&command) else {
            return;
        };
        let ChangeAnswer { seq, duplicate } = answer;
        self.event(Event::Changed {
            client_id: command.client_id(),
            channel,
            seq,
            duplicate,
        });
        // When the server took it and what name it got only the log tells. How many messages lie before it, too.
        let n = self
            .channels
            .get(&channel)
            .map_or(Ordinal(0), |log| log.head().n);
        self.told_head(channel, Head { seq, n });
    }

    /// The entry that a message became, where the client can know it exactly: what was durable before may have been
    /// sent by another device or edited since, and the server drops mentions of those who are not members.
    fn compose(&self, message: SendMessage, answer: &SendAnswer) -> Option<Entry> {
        if answer.duplicate || !message.mentions.is_empty() {
            return None;
        }
        Some(Entry {
            seq: answer.seq,
            n: answer.n,
            message: answer.message,
            at: answer.at,
            from: self.user.clone()?,
            device: self.device,
            withheld: false,
            kind: EntryKind::Message(Message {
                client_id: message.client_id,
                body: Some(message.body),
                erased: false,
                rev: None,
                reply_to: message.reply_to,
                thread: message.thread,
                mentions: message.mentions,
            }),
        })
    }

    fn command_refused(&mut self, now_ms: u64, order: u64, rejection: Rejection) {
        match rejection.code {
            // The session ended, which says nothing about the message; the next `hello` tells what is wrong.
            Code::Unauthenticated
            | Code::RateLimited
            | Code::Unavailable
            | Code::UnknownOutcome => {
                if let Some((channel, delay_ms)) =
                    self.outbox.failed(order, rejection.retry_after_ms)
                {
                    let at_ms = now_ms.saturating_add(delay_ms);
                    self.timers.set(Timer::Lane(channel), at_ms);
                }
            }
            Code::BadRequest
            | Code::Forbidden
            | Code::NotFound
            | Code::Conflict
            | Code::TooLarge
            | Code::Unsupported => {
                if let Some(command) = self.outbox.finish(order) {
                    self.event(Event::Rejected {
                        client_id: command.client_id(),
                        code: rejection.code,
                        message: rejection.message.into_owned(),
                    });
                }
            }
        }
    }

    fn marked(&mut self, channel: ChannelId, kind: MarkKind, seq: Seq) {
        self.marks.confirmed(channel, kind, seq);
        let (MarkKind::Read, Some(log)) = (kind, self.channels.get_mut(&channel)) else {
            return;
        };
        match log.point(seq) {
            Some(read) => {
                if log.raise_read(read)
                    && let Some(user) = self.user.clone()
                {
                    let Head { seq, n } = read;
                    self.event(Event::Read {
                        channel,
                        user,
                        seq,
                        n,
                    });
                }
            }
            // How many messages there are up to an entry that passed long ago only the server knows.
            None => self.catchup.doubt(channel),
        }
    }
}
