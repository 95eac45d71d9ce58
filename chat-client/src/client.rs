//! What an application calls.

use std::fmt;
use std::sync::Arc;

use chat_proto::people::{Prefs, PrefsChange};
use chat_proto::sync::{RequestError, SyncMachine};
use chat_proto::wire::{
    Answer, ClientOp, HistoryAnswer, HistoryQuery, PullAnswer, PullQuery, SendMessage, SyncAnswer,
    SyncQuery, Target,
};
use chat_proto::{Body, ChannelId, ClientId, Head, MessageId, Ordinal, Seq, Timestamp, UserId};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::builder::ClientBuilder;
use crate::command::{Command, Send};
use crate::error::SendError;

/// A chat server's client, whose connection comes and goes behind it. Cheap to clone. Its task ends with
/// [`Client::close`], or when the last clone is dropped.
#[derive(Clone)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    stop: CancellationToken,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Where.
    pub to: Target,
    /// What.
    pub body: Body,
    /// The message that it answers.
    pub reply_to: Option<Seq>,
    /// The message whose thread it is in.
    pub thread: Option<Seq>,
    /// Whom it addresses.
    pub mentions: Vec<UserId>,
}

/// A message that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The key under which it was sent.
    pub client_id: ClientId,
    /// In which log.
    pub channel: ChannelId,
    /// Its place.
    pub seq: Seq,
    /// Message entries up to and with it.
    pub n: Ordinal,
    /// Its name.
    pub message: MessageId,
    /// When the server took it.
    pub at: Timestamp,
    /// It was durable before the attempt that was answered.
    pub duplicate: bool,
}

impl Draft {
    /// A text to somebody, in the direct channel with them.
    pub fn to_user(user: UserId, text: impl Into<String>) -> Self {
        Self::new(Target::User(user), Body::text(text))
    }

    /// A text to a channel.
    pub fn to_channel(channel: ChannelId, text: impl Into<String>) -> Self {
        Self::new(Target::Channel(channel), Body::text(text))
    }

    /// Any body to anywhere.
    pub fn new(to: Target, body: Body) -> Self {
        Self {
            to,
            body,
            reply_to: None,
            thread: None,
            mentions: Vec::new(),
        }
    }
}

impl Client {
    /// A client of the server at this address, as `ws://host:port/v1/ws`, with the token of a log-in.
    pub fn builder(url: impl Into<String>, token: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(url.into(), token.into())
    }

    pub(crate) fn new(
        commands: mpsc::Sender<Command>,
        stop: CancellationToken,
        task: JoinHandle<()>,
    ) -> Self {
        Self {
            commands,
            stop,
            task: Arc::new(Mutex::new(Some(task))),
        }
    }

    /// Sends a message. Returns when it is durable, however many connections that takes.
    ///
    /// # Errors
    /// When the server refused it for good, the outbox is full or cannot be stored, or the client was stopped.
    ///
    /// # Cancellation
    /// A message whose `send` was dropped may be in the outbox, and is then sent all the same; its acknowledgement is
    /// an [`chat_proto::sync::Event`].
    pub async fn send(&self, draft: Draft) -> Result<Sent, SendError> {
        let client_id = ClientId::from_uuid(Uuid::new_v4());
        self.send_with(client_id, draft).await
    }

    /// Sends a message under a key that the application made, and may use again: for one that is in the outbox
    /// already, from before a restart or from another task, this waits for that one, whatever the draft says; one that
    /// was durable long ago is answered as a duplicate.
    ///
    /// # Errors
    /// Those of [`Client::send`]; `conflict` when another message was sent under the key.
    ///
    /// # Cancellation
    /// As [`Client::send`].
    pub async fn send_with(&self, client_id: ClientId, draft: Draft) -> Result<Sent, SendError> {
        let message = SendMessage {
            to: draft.to,
            client_id,
            after: None,
            retry: false,
            body: draft.body,
            reply_to: draft.reply_to,
            thread: draft.thread,
            mentions: draft.mentions,
        };
        let (waiter, result) = oneshot::channel();
        let command = Command::Send(Send { message, waiter });
        let stopped = || SendError::Stopped { client_id };
        self.commands.send(command).await.map_err(|_| stopped())?;
        result.await.map_err(|_| stopped())?
    }

    /// Everything up to an entry was read. Kept until it is durable; only the highest of a channel is.
    pub async fn read(&self, channel: ChannelId, seq: Seq) {
        self.tell(Command::Read(channel, seq)).await;
    }

    /// Everything up to an entry arrived. Kept until it is durable; only the highest of a channel is.
    pub async fn delivered(&self, channel: ChannelId, seq: Seq) {
        self.tell(Command::Delivered(channel, seq)).await;
    }

    /// The user is typing. Says nothing while there is no connection.
    pub async fn typing(&self, channel: ChannelId) {
        self.tell(Command::Typing(channel)).await;
    }

    /// Sets something for oneself in a channel, on all devices: the entry of the user's own log that tells it is an event.
    /// Returns how far that log goes.
    ///
    /// # Errors
    /// When it is refused, or there is no connection.
    pub async fn set_prefs(&self, channel: ChannelId, prefs: Prefs) -> Result<Seq, RequestError> {
        match self
            .ask(ClientOp::Prefs(PrefsChange { channel, prefs }))
            .await?
        {
            Answer::Prefs(answer) => Ok(answer.user_seq),
            Answer::Hello(_)
            | Answer::Sync(_)
            | Answer::Send(_)
            | Answer::Pull(_)
            | Answer::History(_)
            | Answer::Change(_)
            | Answer::Receipts(_)
            | Answer::Watch(_)
            | Answer::Done => Err(RequestError::Disconnected),
        }
    }

    /// A page of messages.
    ///
    /// # Errors
    /// When it is refused, or there is no connection.
    pub async fn history(&self, query: HistoryQuery) -> Result<HistoryAnswer, RequestError> {
        match self.ask(ClientOp::History(query)).await? {
            Answer::History(answer) => Ok(answer),
            Answer::Hello(_)
            | Answer::Sync(_)
            | Answer::Send(_)
            | Answer::Pull(_)
            | Answer::Change(_)
            | Answer::Prefs(_)
            | Answer::Receipts(_)
            | Answer::Watch(_)
            | Answer::Done => Err(RequestError::Disconnected),
        }
    }

    /// Entries of a log, apart from those that come as events.
    ///
    /// # Errors
    /// When it is refused, or there is no connection.
    pub async fn pull(&self, query: PullQuery) -> Result<PullAnswer, RequestError> {
        match self.ask(ClientOp::Pull(query)).await? {
            Answer::Pull(answer) => Ok(answer),
            Answer::Hello(_)
            | Answer::Sync(_)
            | Answer::Send(_)
            | Answer::History(_)
            | Answer::Change(_)
            | Answer::Prefs(_)
            | Answer::Receipts(_)
            | Answer::Watch(_)
            | Answer::Done => Err(RequestError::Disconnected),
        }
    }

    /// The channels that differ from the cursors in the query, apart from those that come as events.
    ///
    /// # Errors
    /// When it is refused, or there is no connection.
    pub async fn sync(&self, query: SyncQuery) -> Result<SyncAnswer, RequestError> {
        match self.ask(ClientOp::Sync(query)).await? {
            Answer::Sync(answer) => Ok(answer),
            Answer::Hello(_)
            | Answer::Send(_)
            | Answer::Pull(_)
            | Answer::History(_)
            | Answer::Change(_)
            | Answer::Prefs(_)
            | Answer::Receipts(_)
            | Answer::Watch(_)
            | Answer::Done => Err(RequestError::Disconnected),
        }
    }

    /// The last entry of a channel that became an event; absent while the channel is not known.
    pub async fn cursor(&self, channel: ChannelId) -> Option<Seq> {
        self.look(move |machine| machine.cursor(channel))
            .await
            .flatten()
    }

    /// The last entry of the user's own log that became an event.
    pub async fn user_seq(&self) -> Seq {
        self.look(SyncMachine::user_seq).await.unwrap_or_default()
    }

    /// How far a channel's log is known to go.
    pub async fn head(&self, channel: ChannelId) -> Option<Head> {
        self.look(move |machine| machine.head(channel))
            .await
            .flatten()
    }

    /// Messages of a channel that the user has not read.
    pub async fn unread(&self, channel: ChannelId) -> Option<u64> {
        self.look(move |machine| machine.unread(channel))
            .await
            .flatten()
    }

    /// The channels that the user is known to be in.
    pub async fn channels(&self) -> Vec<ChannelId> {
        self.look(|machine| machine.channels().collect())
            .await
            .unwrap_or_default()
    }

    /// Messages that wait for their acknowledgement.
    pub async fn outbox_len(&self) -> usize {
        self.look(SyncMachine::outbox_len).await.unwrap_or(0)
    }

    /// Cuts the connection without a word, as a network does; the client comes back by itself. For tests.
    pub async fn drop_connection(&self) {
        self.tell(Command::DropConnection).await;
    }

    /// Ends the connection, saves the state and ends the task. What is in the outbox stays in the stored one.
    ///
    /// # Cancellation
    /// The task ends all the same.
    pub async fn close(&self) {
        self.stop.cancel();
        let task = self.task.lock().await.take();
        if let Some(Err(error)) = match task {
            Some(task) => Some(task.await),
            None => None,
        } {
            tracing::error!(%error, "the client's task failed");
        }
    }

    async fn tell(&self, command: Command) {
        if self.commands.send(command).await.is_err() {
            tracing::debug!("the client has stopped; a command is dropped");
        }
    }

    async fn ask(&self, op: ClientOp) -> Result<Answer, RequestError> {
        let (waiter, answer) = oneshot::channel();
        self.tell(Command::Ask(op, waiter)).await;
        answer.await.unwrap_or(Err(RequestError::Disconnected))
    }

    async fn look<T: std::marker::Send + 'static>(
        &self,
        look: impl FnOnce(&SyncMachine) -> T + std::marker::Send + 'static,
    ) -> Option<T> {
        let (waiter, seen) = oneshot::channel();
        let look = move |machine: &SyncMachine| {
            // Whoever asked may have gone.
            waiter.send(look(machine)).ok();
        };
        self.tell(Command::Look(Box::new(look))).await;
        seen.await.ok()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
