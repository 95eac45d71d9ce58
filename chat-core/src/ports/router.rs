//! Which node serves whom, and what nodes tell each other.

use std::sync::Arc;

use async_trait::async_trait;
use chat_proto::people::UserEntry;
use chat_proto::{ChannelId, DeviceId, Entry, Head, NodeId, Seq, UserId};
use tokio::sync::mpsc;

use super::{KeptStatus, PortError};

/// What one node tells another. Always a hint: the logs are the truth.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The node that sends it.
    pub from: NodeId,
    /// What it says.
    pub payload: Payload,
}

/// What an envelope says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Payload {
    /// New entries of a channel, contiguous, for these recipients.
    Entries {
        /// Whose log.
        channel: ChannelId,
        /// The entries, in order.
        entries: Vec<Arc<Entry>>,
        /// The members before and after the entries; on a topic (a large channel) empty: each node knows its own.
        recipients: Vec<UserId>,
    },
    /// A channel's head, where the entries would be too many bytes for an envelope.
    Head {
        /// Whose log.
        channel: ChannelId,
        /// Its end.
        head: Head,
        /// As for entries.
        recipients: Vec<UserId>,
    },
    /// A mark rose.
    Mark {
        /// In which channel.
        channel: ChannelId,
        /// Whose mark.
        user: UserId,
        /// Read, or else delivered.
        read: bool,
        /// To where.
        to: Head,
        /// Who hears of it.
        recipients: Vec<UserId>,
    },
    /// Somebody writes.
    Typing {
        /// In which channel.
        channel: ChannelId,
        /// Who.
        user: UserId,
        /// Who hears of it.
        recipients: Vec<UserId>,
    },
    /// A user wants to be seen otherwise.
    Status {
        /// Who.
        user: UserId,
        /// How.
        status: KeptStatus,
    },
    /// New entries of a user's own log, for that user's sessions.
    UserEntries {
        /// Whose log.
        user: UserId,
        /// The entries, in order; empty where they would be too many bytes for an envelope: the receiver reads them.
        entries: Vec<UserEntry>,
        /// The seq of the last one.
        head: Seq,
    },
    /// A user may not watch another one any more.
    WatchEnds {
        /// Who watched.
        watcher: UserId,
        /// Whom.
        watched: UserId,
    },
    /// How these users stand to others, or whose messages they take, has changed.
    Relations {
        /// Who.
        users: Vec<UserId>,
    },
    /// A device's sessions must close.
    Revoked {
        /// Whose device.
        user: UserId,
        /// Which.
        device: DeviceId,
    },
    /// A device connected to the sending node: an older connection of it closes.
    Replaced {
        /// Whose device.
        user: UserId,
        /// Which.
        device: DeviceId,
    },
}

/// The envelopes that reach a node; bounded by the adapter, which drops the newest when it is full.
pub type RouterFeed = mpsc::Receiver<Arc<Envelope>>;

/// The registry of who is served where, and the carrier of envelopes.
///
/// # Contract
/// - From the moment that `attach` answers, every `locate` MUST name the node for that user until `detach`
///   (`attached_is_located`, `detached_is_not_located`), and count attachments: a user attached twice and detached once
///   is still there (`attachments_are_counted`).
/// - `locate` MUST NOT name the asking node (`locate_leaves_out_the_asker`).
/// - Envelopes of one sender to one receiver MUST arrive in the order sent, each at most once
///   (`envelopes_keep_their_order`).
/// - From the moment that `join_topic` answers, the node MUST get what is published on it (`joined_topics_are_heard`); the
///   publisher itself does not (`a_publisher_does_not_hear_itself`).
/// - An envelope MUST arrive as it was sent, whatever it says (`envelopes_arrive_as_they_were_sent`).
/// - Nothing MUST wait for a slow receiver (`a_full_receiver_stops_nobody`).
#[async_trait]
pub trait Router: Send + Sync + 'static {
    /// Begins to receive as this node.
    async fn join(&self, node: &NodeId) -> Result<RouterFeed, PortError>;

    /// Stops receiving and forgets everything attached to this node.
    async fn leave(&self, node: &NodeId) -> Result<(), PortError>;

    /// Registers that the node serves the user once more.
    async fn attach(&self, node: &NodeId, user: &UserId) -> Result<(), PortError>;

    /// Takes one attachment back.
    async fn detach(&self, node: &NodeId, user: &UserId) -> Result<(), PortError>;

    /// The other nodes that serve any of these users, each once.
    async fn locate(&self, asker: &NodeId, users: &[UserId]) -> Result<Vec<NodeId>, PortError>;

    /// Sends to one node.
    async fn publish(&self, to: &NodeId, envelope: Arc<Envelope>) -> Result<(), PortError>;

    /// Begins to receive what is published on a large channel's topic.
    async fn join_topic(&self, node: &NodeId, channel: ChannelId) -> Result<(), PortError>;

    /// Stops receiving it.
    async fn leave_topic(&self, node: &NodeId, channel: ChannelId) -> Result<(), PortError>;

    /// Sends to every node on the topic but the sender.
    async fn publish_topic(
        &self,
        channel: ChannelId,
        envelope: Arc<Envelope>,
    ) -> Result<(), PortError>;
}
