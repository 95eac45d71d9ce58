//! One entry of a log.

use chat_proto::{ChannelId, Entry, Seq};

use crate::ports::{EntriesQuery, MessageStore, PageLimit, PortError};

/// The entry at this place, as it now is.
pub(crate) async fn entry_at(
    messages: &dyn MessageStore,
    channel: ChannelId,
    seq: Seq,
) -> Result<Option<Entry>, PortError> {
    let query = EntriesQuery {
        channel,
        after: seq.previous(),
        limit: PageLimit {
            entries: 1,
            bytes: 1,
        },
    };
    let page = messages.entries(query).await?;
    Ok(page.entries.into_iter().find(|entry| entry.seq == seq))
}
