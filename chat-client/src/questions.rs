//! What an application asks the server while a connection stands.

use chat_proto::people::{Prefs, PrefsChange, Status};
use chat_proto::sync::RequestError;
use chat_proto::wire::{
    Answer, ClientOp, HistoryAnswer, HistoryQuery, MemberMarks, PullAnswer, PullQuery,
    ReceiptsQuery, SetStatus, SyncAnswer, SyncQuery, Unwatch, Watch, WatchAnswer,
};
use chat_proto::{ChannelId, Seq, UserId};

use crate::client::Client;

impl Client {
    /// Sets something for oneself in a channel, on all devices: the entry of the user's own log that tells it is an event.
    /// Returns how far that log goes.
    ///
    /// # Errors
    /// When it is refused, or there is no connection.
    pub async fn set_prefs(&self, channel: ChannelId, prefs: Prefs) -> Result<Seq, RequestError> {
        let Answer::Prefs(answer) = self
            .ask(ClientOp::Prefs(PrefsChange { channel, prefs }))
            .await?
        else {
            return Err(RequestError::Disconnected);
        };
        Ok(answer.user_seq)
    }

    /// A page of messages.
    ///
    /// # Errors
    /// When it is refused, or there is no connection.
    pub async fn history(&self, query: HistoryQuery) -> Result<HistoryAnswer, RequestError> {
        let Answer::History(answer) = self.ask(ClientOp::History(query)).await? else {
            return Err(RequestError::Disconnected);
        };
        Ok(answer)
    }

    /// Entries of a log, apart from those that come as events.
    ///
    /// # Errors
    /// When it is refused, or there is no connection.
    pub async fn pull(&self, query: PullQuery) -> Result<PullAnswer, RequestError> {
        let Answer::Pull(answer) = self.ask(ClientOp::Pull(query)).await? else {
            return Err(RequestError::Disconnected);
        };
        Ok(answer)
    }

    /// The channels that differ from the cursors in the query, apart from those that come as events.
    ///
    /// # Errors
    /// When it is refused, or there is no connection.
    pub async fn sync(&self, query: SyncQuery) -> Result<SyncAnswer, RequestError> {
        let Answer::Sync(answer) = self.ask(ClientOp::Sync(query)).await? else {
            return Err(RequestError::Disconnected);
        };
        Ok(answer)
    }

    /// How far the members of a channel have read, by user.
    ///
    /// # Errors
    /// When it is refused, or there is no connection.
    pub async fn receipts(&self, channel: ChannelId) -> Result<Vec<MemberMarks>, RequestError> {
        let query = ReceiptsQuery { channel };
        let Answer::Receipts(answer) = self.ask(ClientOp::Receipts(query)).await? else {
            return Err(RequestError::Disconnected);
        };
        Ok(answer.marks)
    }

    /// Whether others are there, now; changes follow as [`Event::Presence`](crate::Event::Presence) until
    /// [`Client::unwatch`] or the end of the connection. So watch again after each
    /// [`Event::Connected`](crate::Event::Connected).
    ///
    /// # Errors
    /// When it is refused, or there is no connection.
    pub async fn watch(&self, watch: Watch) -> Result<WatchAnswer, RequestError> {
        let Answer::Watch(answer) = self.ask(ClientOp::Watch(watch)).await? else {
            return Err(RequestError::Disconnected);
        };
        Ok(answer)
    }

    /// No longer whether these users are there.
    ///
    /// # Errors
    /// When it is refused, or there is no connection.
    pub async fn unwatch(&self, users: Vec<UserId>) -> Result<(), RequestError> {
        self.ask(ClientOp::Unwatch(Unwatch { users })).await?;
        Ok(())
    }

    /// Says whether the user is there, on all devices and until it is said otherwise, with a text or without.
    ///
    /// # Errors
    /// When it is refused, or there is no connection.
    pub async fn set_status(
        &self,
        state: Status,
        text: Option<String>,
    ) -> Result<(), RequestError> {
        self.ask(ClientOp::Status(SetStatus { state, text }))
            .await?;
        Ok(())
    }
}
