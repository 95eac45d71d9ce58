//! What an application calls.

use std::fmt;
use std::sync::Arc;

use chat_proto::sync::{Command as LogCommand, RequestError, SyncMachine};
use chat_proto::wire::{Answer, ClientOp};
use chat_proto::{Body, ChannelId, ClientId, Code, Head, Rejection, Seq};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::builder::ClientBuilder;
use crate::command::{Command, Submit};
use crate::draft::{Change, Changed, Draft, Durable, Sent};
use crate::error::SendError;

/// A chat server's client, whose connection comes and goes behind it. Cheap to clone. Its task ends with
/// [`Client::close`], or when the last clone is dropped.
#[derive(Clone)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    stop: CancellationToken,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
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
        match self.submit(client_id, draft.command(client_id)).await? {
            Durable::Sent(sent) => Ok(sent),
            Durable::Changed(_) => Err(used_otherwise().into()),
        }
    }

    /// Says a message otherwise; see [`Client::change`].
    ///
    /// # Errors
    /// Those of [`Client::send`].
    pub async fn edit(
        &self,
        channel: ChannelId,
        seq: Seq,
        body: Body,
    ) -> Result<Changed, SendError> {
        self.change(channel, seq, Change::Edit(body)).await
    }

    /// Takes a message back; see [`Client::change`].
    ///
    /// # Errors
    /// Those of [`Client::send`].
    pub async fn delete(&self, channel: ChannelId, seq: Seq) -> Result<Changed, SendError> {
        self.change(channel, seq, Change::Delete).await
    }

    /// Answers a message with a sign; see [`Client::change`].
    ///
    /// # Errors
    /// Those of [`Client::send`].
    pub async fn react(
        &self,
        channel: ChannelId,
        seq: Seq,
        emoji: impl Into<String>,
    ) -> Result<Changed, SendError> {
        let change = Change::React(emoji.into());
        self.change(channel, seq, change).await
    }

    /// Keeps a message at hand for everybody in the channel; see [`Client::change`].
    ///
    /// # Errors
    /// Those of [`Client::send`].
    pub async fn pin(&self, channel: ChannelId, seq: Seq) -> Result<Changed, SendError> {
        self.change(channel, seq, Change::Pin).await
    }

    /// Does something to a message. Returns when it is durable, however many connections that takes; until then it
    /// waits in the outbox, in one order with the messages to the channel.
    ///
    /// # Errors
    /// Those of [`Client::send`].
    ///
    /// # Cancellation
    /// As [`Client::send`].
    pub async fn change(
        &self,
        channel: ChannelId,
        seq: Seq,
        change: Change,
    ) -> Result<Changed, SendError> {
        let client_id = ClientId::from_uuid(Uuid::new_v4());
        self.change_with(client_id, channel, seq, change).await
    }

    /// As [`Client::change`], under a key that the application made and may use again; see [`Client::send_with`].
    ///
    /// # Errors
    /// Those of [`Client::send_with`].
    ///
    /// # Cancellation
    /// As [`Client::send`].
    pub async fn change_with(
        &self,
        client_id: ClientId,
        channel: ChannelId,
        seq: Seq,
        change: Change,
    ) -> Result<Changed, SendError> {
        let command = change.command(client_id, channel, seq);
        match self.submit(client_id, command).await? {
            Durable::Changed(changed) => Ok(changed),
            Durable::Sent(_) => Err(used_otherwise().into()),
        }
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

    /// Commands that wait for their acknowledgement.
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

    async fn submit(&self, client_id: ClientId, command: LogCommand) -> Result<Durable, SendError> {
        let (waiter, result) = oneshot::channel();
        let command = Command::Submit(Submit { command, waiter });
        let stopped = || SendError::Stopped { client_id };
        self.commands.send(command).await.map_err(|_| stopped())?;
        result.await.map_err(|_| stopped())?
    }

    async fn tell(&self, command: Command) {
        if self.commands.send(command).await.is_err() {
            tracing::debug!("the client has stopped; a command is dropped");
        }
    }

    pub(crate) async fn ask(&self, op: ClientOp) -> Result<Answer, RequestError> {
        let (waiter, answer) = oneshot::channel();
        self.tell(Command::Ask(op, waiter)).await;
        answer.await.unwrap_or(Err(RequestError::Disconnected))
    }

    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&SyncMachine) -> T + Send + 'static,
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

/// The key waits in the outbox for something else than what it was used for now.
fn used_otherwise() -> Rejection {
    Rejection::new(
        Code::Conflict,
        "the key was used for another command; make a new one for each",
    )
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
