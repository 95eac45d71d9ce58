//! Every bound of the sync machine, and what a client may choose.

/// Milliseconds for which a gap may close by itself, because pushes overtake each other, before it is pulled.
pub(super) const GAP_WAIT_MS: u64 = 500;
/// Entries of one channel that wait for those before them.
pub(super) const HELD_ENTRIES_MAX: usize = 512;
/// Bytes of all entries that wait for those before them.
pub(super) const HELD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Channels that the client got an entry of before it knew them.
pub(super) const STRANGERS_MAX: usize = 1_000;
/// How often a channel that the client got an entry of is looked for before that entry is taken for a mistake.
pub(super) const STRANGER_ATTEMPTS_MAX: u32 = 6;
/// Pulls that are outstanding at a time; each page may hold a mebibyte.
pub(super) const PULLS_IN_FLIGHT_MAX: usize = 4;
/// Sends that are outstanding at a time.
pub(super) const SENDS_IN_FLIGHT_MAX: usize = 64;
/// Bytes of sends that are outstanding at a time, unless it is a single one; half of what a server reads ahead.
pub(super) const SEND_BYTES_IN_FLIGHT_MAX: usize = 1024 * 1024;
/// Requests of any kind that are outstanding at a time; half of what a server reads ahead.
pub(super) const REQUESTS_IN_FLIGHT_MAX: usize = 128;
/// Cursors in one `sync`, whatever the server would take.
pub(super) const SYNC_CURSORS_MAX: usize = 2_000;
/// Entries of a log whose ordinals are remembered, so that a read mark among them counts without asking.
pub(super) const RECENT_HEADS_MAX: usize = 64;
/// Milliseconds before the first retry of what the server could not do; doubles with every failure.
pub(super) const RETRY_FIRST_MS: u64 = 500;
/// Milliseconds between two retries at the most.
pub(super) const RETRY_MAX_MS: u64 = 30_000;

/// What to do when the server left out entries between the cursor and the newest ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum GapPolicy {
    /// Pull them: the client ends with the whole log.
    #[default]
    Pull,
    /// Skip them: the client ends with the newest entries, and an event says what is missing. It takes
    /// [`Settings::entries_per_channel`] above 0 for the server to leave entries out.
    Drop,
}

/// What a client may choose.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Pull or drop what a `sync` left out.
    pub gap_policy: GapPolicy,
    /// How many of the newest entries of each channel a `sync` brings along.
    pub entries_per_channel: u32,
    /// Commands that wait for their acknowledgement.
    pub outbox_commands_max: usize,
    /// Bytes of commands that wait for their acknowledgement.
    pub outbox_bytes_max: usize,
    /// Requests of the application that are outstanding at a time.
    pub requests_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            gap_policy: GapPolicy::Pull,
            entries_per_channel: 0,
            outbox_commands_max: 1_000,
            outbox_bytes_max: 8 * 1024 * 1024,
            requests_max: 64,
        }
    }
}

/// Milliseconds before the retry after this many failures in a row.
pub(super) fn retry_delay_ms(failures: u32) -> u64 {
    let doublings = failures.saturating_sub(1).min(16);
    (RETRY_FIRST_MS << doublings).min(RETRY_MAX_MS)
}
