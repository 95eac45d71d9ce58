//! The engine's own bounds; those of the protocol are in `chat_proto::Limits`.

use std::time::Duration;

/// How an engine behaves; every queue and list it keeps is bounded by one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineSettings {
    /// Commands that wait for one channel; more are refused as `unavailable`.
    pub channel_queue_max: usize,
    /// Channels whose fold is kept in memory.
    pub cached_channels_max: usize,
    /// Memberships of one large channel that are kept in memory.
    pub cached_memberships_max: usize,
    /// Sessions of one user.
    pub sessions_per_user_max: usize,
    /// Times that a batch is decided again because another node was faster.
    pub lost_races_max: u32,
    /// Times that an append without an answer is sent again before its senders hear `unknown_outcome`.
    pub unknown_retries_max: u32,
    /// Wait before the first of these; doubles.
    pub unknown_retry_after: Duration,
    /// Silence after which a session ends, and time after a user's last sign of life until they are offline.
    pub silence_max: Duration,
    /// Users whom one session watches.
    pub watches_per_session_max: usize,
    /// Time in which a session hears at most once of a user whom it watches.
    pub presence_interval: Duration,
    /// Time that a port has for a call; the engine then goes on as if it had failed, and a write as of unknown outcome.
    pub port_time_max: Duration,
    /// Rises of marks that wait to be written, or to be told; more are refused as `unavailable`, or not told.
    pub marks_waiting_max: usize,
    /// Rises of marks in one bulk write.
    pub marks_in_write_max: usize,
    /// Members of a group up to which read marks are pushed to the others.
    pub live_receipts_members_max: u64,
    /// Bytes of entries in one envelope to another node; above it the envelope carries the head alone.
    pub envelope_bytes_max: usize,
    /// Time by which the answer to `sync` looks back behind the client's `since`, for clocks of nodes that differ.
    pub since_overlap: Duration,
    /// Sessions that are told to go away at once while draining.
    pub drain_batch_sessions: usize,
    /// How long a node counts as alive after it last said so, where servers share an inbox store: three times as long as
    /// between two looks at the notes of others. The clocks of all nodes may differ by less.
    pub fan_out_lease: Duration,
    /// How long the note that nobody may have heard of an append is kept at least, so that a busy channel costs few of them.
    pub fan_out_mark_kept: Duration,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            channel_queue_max: 4_096,
            cached_channels_max: 50_000,
            cached_memberships_max: 4_096,
            sessions_per_user_max: 50,
            lost_races_max: 64,
            unknown_retries_max: 3,
            unknown_retry_after: Duration::from_millis(50),
            silence_max: Duration::from_secs(30),
            watches_per_session_max: 5_000,
            presence_interval: Duration::from_secs(2),
            port_time_max: Duration::from_secs(10),
            marks_waiting_max: 16_384,
            marks_in_write_max: 1_000,
            live_receipts_members_max: 20,
            envelope_bytes_max: 8 * 1024,
            since_overlap: Duration::from_secs(60),
            drain_batch_sessions: 500,
            fan_out_lease: Duration::from_secs(6),
            fan_out_mark_kept: Duration::from_secs(30),
        }
    }
}
