//! How a message is sent, and sent again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chat_client::{Draft, Sent};
use chat_proto::wire::{
    ClientFrame, ClientOp, Format, SendAnswer, SendMessage, Target, encode_client,
};
use chat_proto::{Body, ChannelId, ClientId, Head, Seq, UserId};
use chat_testkit::history::{self, Digest, Outcome};
use futures_util::future::{join, join_all};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::fleet::Device;
use super::outcome::{Count, Counts};
use super::plan::{Fault, Say};
use crate::error::Error;
use crate::http::{HttpClient, Request};

/// How long an acknowledgement may take, through the death of a server and the waits of a client that comes back.
const ACK_MAX: Duration = Duration::from_secs(180);
/// What one device sends before it has heard of the first of them.
const BURST_MAX: usize = 16;

/// Where a channel's people speak.
pub(crate) struct Stage {
    pub(crate) channel: ChannelId,
    pub(crate) address: SocketAddr,
    pub(crate) devices: Vec<Arc<Device>>,
    pub(crate) of_user: HashMap<UserId, Vec<Arc<Device>>>,
    pub(crate) counts: Arc<Counts>,
    said: Mutex<HashMap<usize, Seq>>,
    something_said: Notify,
}

/// A message that is durable, as its sender knows it.
pub(crate) struct Spoken {
    pub(crate) line: usize,
    pub(crate) reply_to: Option<Seq>,
    pub(crate) sent: history::Sent,
}

impl Stage {
    pub(crate) fn new(
        channel: ChannelId,
        address: SocketAddr,
        devices: Vec<Arc<Device>>,
        counts: Arc<Counts>,
    ) -> Self {
        let mut of_user: HashMap<UserId, Vec<Arc<Device>>> = HashMap::new();
        for device in &devices {
            of_user
                .entry(device.user.clone())
                .or_default()
                .push(device.clone());
        }
        Self {
            channel,
            address,
            devices,
            of_user,
            counts,
            said: Mutex::default(),
            something_said: Notify::new(),
        }
    }

    /// Says what one user says, in order: as many at once as do not answer what has not been said yet.
    pub(crate) async fn speak(
        &self,
        says: &[Say],
        visible_from: Seq,
    ) -> Result<Vec<Spoken>, Error> {
        let mut spoken = Vec::with_capacity(says.len());
        let mut rest = says;
        while let [first, ..] = rest {
            if let Some(line) = first.reply_to {
                self.wait_until_said(line).await?;
            }
            let ready = rest
                .iter()
                .take(BURST_MAX)
                .take_while(|say| say.reply_to.is_none_or(|line| self.knows(line)));
            let (burst, later) = rest.split_at(ready.count().max(1));
            let device = self.device(&first.from, first.device)?;
            // Polled in this order at first, which is the order in which they reach the client.
            let sends = burst
                .iter()
                .map(|say| Box::pin(self.send(&device, say, visible_from)));
            for one in join_all(sends).await {
                spoken.push(one?);
            }
            rest = later;
        }
        Ok(spoken)
    }

    async fn send(&self, device: &Device, say: &Say, visible_from: Seq) -> Result<Spoken, Error> {
        let reply_to = say
            .reply_to
            .and_then(|line| self.seq(line))
            .filter(|seq| *seq >= visible_from);
        if say.reply_to.is_some() {
            self.counts.add(if reply_to.is_some() {
                Count::Replies
            } else {
                Count::RepliesUnseen
            });
        }
        let draft = Draft {
            reply_to,
            ..Draft::to_channel(self.channel, &say.text)
        };
        let sending = timeout(
            ACK_MAX,
            device.client.send_with(say.client_id, draft.clone()),
        );
        let sent = match say.fault {
            // The cut is queued right behind the message.
            Fault::AckLost => join(sending, device.client.drop_connection()).await.0,
            Fault::None | Fault::AgainBySocket | Fault::AgainByHttp | Fault::OtherDrops(_) => {
                sending.await
            }
        };
        let sent = self.acknowledged(say, sent)?;
        if say.fault == Fault::AckLost {
            self.counts.add(Count::AcksCut);
        }
        if sent.duplicate {
            self.counts.add(Count::AcksLost);
        }
        self.note_said(say.line, sent.seq);
        self.go_wrong(device, say, draft, &sent).await?;
        self.counts.add(Count::Messages);
        let outcome = Outcome::Acknowledged {
            head: Head {
                seq: sent.seq,
                n: sent.n,
            },
            message: sent.message,
        };
        let sent = history::Sent {
            user: say.from.clone(),
            device: device.id,
            channel: self.channel,
            client_id: say.client_id,
            body: Some(Digest::of_text(&say.text)),
            outcome,
        };
        Ok(Spoken {
            line: say.line,
            reply_to,
            sent,
        })
    }

    async fn go_wrong(
        &self,
        device: &Device,
        say: &Say,
        draft: Draft,
        first: &Sent,
    ) -> Result<(), Error> {
        match say.fault {
            Fault::None | Fault::AckLost => {}
            Fault::OtherDrops(which) => {
                self.devices[which % self.devices.len()]
                    .client
                    .drop_connection()
                    .await;
                self.counts.add(Count::Drops);
            }
            Fault::AgainBySocket => {
                let other = self.device(&say.from, say.device + 1)?;
                let again = timeout(ACK_MAX, other.client.send_with(say.client_id, draft)).await;
                let again = self.acknowledged(say, again)?;
                self.same(say, first, again.seq, again.message.0, again.duplicate)?;
            }
            Fault::AgainByHttp => {
                let message = SendMessage {
                    to: Target::Channel(self.channel),
                    client_id: say.client_id,
                    // What its composer knew was before it.
                    after: Some(first.seq.previous()),
                    retry: true,
                    body: Body::text(&say.text),
                    reply_to: draft.reply_to,
                    thread: None,
                    mentions: Vec::new(),
                };
                let again = self.send_by_http(&device.token, message).await?;
                self.same(say, first, again.seq, again.message.0, again.duplicate)?;
            }
        }
        Ok(())
    }

    async fn send_by_http(&self, token: &str, message: SendMessage) -> Result<SendAnswer, Error> {
        let frame = encode_client(
            Format::Json,
            &ClientFrame::Command {
                id: 1,
                op: ClientOp::Send(message),
            },
        );
        let request = Request {
            method: "POST",
            path: "/v1/op",
            token: Some(token),
            body: &frame,
        };
        let (reply, _) = HttpClient::new(self.address).persist(&request).await?;
        let answer = reply.done("sending again by HTTP")?;
        serde_json::from_value(answer)
            .map_err(|error| Error::Invalid(format!("no answer to a send: {error}")))
    }

    fn acknowledged<E: std::fmt::Display>(
        &self,
        say: &Say,
        sent: Result<Result<Sent, E>, tokio::time::error::Elapsed>,
    ) -> Result<Sent, Error> {
        let failed = |what: String| {
            Error::Invalid(format!(
                "line {} of {} by {}: {what}",
                say.line, self.channel, say.from
            ))
        };
        match sent {
            Ok(Ok(sent)) => Ok(sent),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!(
                "no acknowledgement in {} s",
                ACK_MAX.as_secs()
            ))),
        }
    }

    /// Whether the second time was told what the first was.
    fn same(
        &self,
        say: &Say,
        first: &Sent,
        seq: Seq,
        message: u64,
        duplicate: bool,
    ) -> Result<(), Error> {
        self.counts.add(Count::Duplicates);
        if seq == first.seq && message == first.message.0 && duplicate {
            return Ok(());
        }
        Err(Error::Invalid(format!(
            "line {} of {} was acknowledged at {} and, sent again with client_id {}, at {seq} (duplicate: {duplicate})",
            say.line, self.channel, first.seq, say.client_id
        )))
    }

    fn device(&self, user: &UserId, which: usize) -> Result<Arc<Device>, Error> {
        let devices = self.of_user.get(user).filter(|devices| !devices.is_empty());
        let devices =
            devices.ok_or_else(|| Error::Invalid(format!("{user} speaks and has no device")))?;
        Ok(devices[which % devices.len()].clone())
    }

    fn seq(&self, line: usize) -> Option<Seq> {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&line)
            .copied()
    }

    /// Whether an answer to the line can be sent.
    fn knows(&self, line: usize) -> bool {
        self.seq(line).is_some()
    }

    fn note_said(&self, line: usize, seq: Seq) {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(line, seq);
        self.something_said.notify_waiters();
    }

    /// Waits for the line that is answered. Earlier lines never wait for later ones, so that this ends.
    async fn wait_until_said(&self, line: usize) -> Result<(), Error> {
        let said = async {
            loop {
                let more = self.something_said.notified();
                tokio::pin!(more);
                // Before the look: what is said in between wakes.
                more.as_mut().enable();
                if self.knows(line) {
                    return;
                }
                more.await;
            }
        };
        let waited = timeout(ACK_MAX, said).await;
        waited.map_err(|_| {
            Error::Invalid(format!(
                "line {line} of {} is answered and was never said",
                self.channel
            ))
        })
    }
}

/// The keys under which a channel's messages were sent, with what they answer.
pub(crate) fn replies(spoken: &[Spoken]) -> HashMap<ClientId, Option<Seq>> {
    spoken
        .iter()
        .map(|one| (one.sent.client_id, one.reply_to))
        .collect()
}
