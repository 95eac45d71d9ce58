//! Every bound of the protocol, in one place, with its unit in its name.

use serde::{Deserialize, Serialize};

/// The numbers of a server, told to each client in the answer to `hello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Limits {
    /// Unicode scalar values in the text of a message.
    pub text_chars_max: usize,
    /// Bytes of a frame before `hello` is answered.
    pub hello_frame_bytes_max: usize,
    /// Bytes of a frame after log-in.
    pub frame_bytes_max: usize,
    /// Bytes of commands of one connection that were read and are not yet answered.
    pub inbound_bytes_in_flight_max: usize,
    /// Commands of one connection that were read and are not yet answered.
    pub commands_in_flight_max: usize,
    /// Bytes queued towards one session before `heads` replace entries.
    pub outbound_queue_bytes_max: usize,
    /// Entries of a page where the client names no limit.
    pub page_entries_default: usize,
    /// Entries of a page at the most.
    pub page_entries_max: usize,
    /// Messages of a history page where the client names no limit.
    pub history_messages_default: usize,
    /// Bytes of a page; a page holds at least one entry all the same.
    pub page_bytes_max: usize,
    /// Channels listed in one answer to `sync`.
    pub sync_channels_max: usize,
    /// Cursors in one `sync` frame.
    pub sync_cursors_max: usize,
    /// Mentions in a message.
    pub mentions_max: usize,
    /// Reactions of one user to one message.
    pub reactions_per_user_max: usize,
    /// Different emoji on one message.
    pub reaction_emoji_max: usize,
    /// Bytes of an emoji.
    pub emoji_bytes_max: usize,
    /// Attachments in a message.
    pub attachments_max: usize,
    /// Bytes of the opaque `data` on a channel or a message, as JSON.
    pub data_bytes_max: usize,
    /// Members named in one entry, also at creation.
    pub members_per_entry_max: usize,
    /// Unicode scalar values of a title, a topic or an avatar reference.
    pub title_chars_max: usize,
    /// Bytes of an `external_id`.
    pub external_id_bytes_max: usize,
    /// Bytes of the newest message's copy in a summary.
    pub preview_bytes_max: usize,
    /// Unicode scalar values of what a user says beside their status.
    pub status_chars_max: usize,
}

impl Limits {
    /// Unicode scalar values of a user's display name.
    pub const DISPLAY_NAME_CHARS_MAX: usize = 100;
    /// Members of a channel up to which each one's inbox holds a copy of the newest message.
    pub const INBOX_COPY_MEMBERS_MAX: u64 = 100;
    /// Members at or below which a channel that was large becomes small again.
    pub const INBOX_COPY_MEMBERS_LOW: u64 = 90;
    /// Entries that a channel's state remembers the keys of.
    pub const RECENT_KEYS_MAX: usize = 128;
    /// Entries in one append.
    pub const APPEND_ENTRIES_MAX: usize = 64;
    /// Bytes of bodies in one append, unless it holds a single unit.
    pub const APPEND_BYTES_MAX: usize = 1024 * 1024;
    /// Entries that a loaded snapshot may be behind its log.
    pub const SNAPSHOT_AGE_ENTRIES_MAX: usize = 256;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text_chars_max: 100_000,
            hello_frame_bytes_max: 4 * 1024,
            frame_bytes_max: 1_310_720,
            inbound_bytes_in_flight_max: 2 * 1024 * 1024,
            commands_in_flight_max: 256,
            outbound_queue_bytes_max: 256 * 1024,
            page_entries_default: 100,
            page_entries_max: 500,
            history_messages_default: 50,
            page_bytes_max: 1024 * 1024,
            sync_channels_max: 200,
            sync_cursors_max: 2_000,
            mentions_max: 50,
            reactions_per_user_max: 8,
            reaction_emoji_max: 64,
            emoji_bytes_max: 64,
            attachments_max: 10,
            data_bytes_max: 16 * 1024,
            members_per_entry_max: 1_000,
            title_chars_max: 500,
            external_id_bytes_max: 200,
            preview_bytes_max: 1024,
            status_chars_max: 100,
        }
    }
}

const _: () = assert!(
    Limits::SNAPSHOT_AGE_ENTRIES_MAX >= Limits::RECENT_KEYS_MAX,
    "a fold remembers keys of its snapshot's tail"
);
