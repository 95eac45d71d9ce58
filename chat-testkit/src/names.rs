//! Names that no other case uses, so that cases may share one database.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use chat_core::proto::{ChannelId, ClientId, DeviceId, MessageId, NodeId, UserId};
use uuid::Uuid;

/// Where this process begins to count message ids; high enough to be told from counts, low enough never to overflow.
static NEXT_MESSAGE_ID: LazyLock<AtomicU64> = LazyLock::new(|| {
    let start = 1 << 40 | u64::from(rand::random::<u32>()) << 24;
    AtomicU64::new(start)
});

/// A channel that nobody has used.
pub fn fresh_channel() -> ChannelId {
    ChannelId::from_uuid(Uuid::new_v4())
}

/// A key that nobody has used.
pub fn fresh_client_id() -> ClientId {
    ClientId::from_uuid(Uuid::new_v4())
}

/// A device that nobody has used.
pub fn fresh_device() -> DeviceId {
    DeviceId::from_uuid(Uuid::new_v4())
}

/// A user whom nobody has used; `name` begins the id.
///
/// # Panics
/// When `name` cannot begin a user id.
pub fn fresh_user(name: &str) -> UserId {
    format!("{name}-{:08x}", rand::random::<u32>())
        .parse()
        .expect("a case names its users well")
}

/// Users whom nobody has used, in the order of their ids.
pub fn fresh_users(name: &str, count: usize) -> Vec<UserId> {
    let tag = rand::random::<u32>();
    let named = (0..count).map(|number| {
        format!("{name}-{tag:08x}-{number:05}")
            .parse()
            .expect("a case names its users well")
    });
    named.collect()
}

/// A node that nobody has used; `name` begins its name.
pub fn fresh_node(name: &str) -> NodeId {
    NodeId::new(format!("{name}-{:08x}", rand::random::<u32>()))
}

/// A message id above all that this process has drawn.
pub fn next_message_id() -> MessageId {
    MessageId(NEXT_MESSAGE_ID.fetch_add(1, Ordering::Relaxed))
}
