//! What ends a connection.

use std::io;

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The peer broke the rules of WebSocket.
    #[error("{0}")]
    Protocol(&'static str),
    /// A text message was not UTF-8.
    #[error("text is UTF-8")]
    NotUtf8,
    /// A message exceeded its limit.
    #[error("a message is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// All connections together have begun to send more than the server holds.
    #[error("the server is busy with large messages: try again later")]
    Busy,
    /// The peer did not read for too long.
    #[error("the peer does not read")]
    Stalled,
    /// The byte stream ended.
    #[error("the connection was lost")]
    Gone,
}

impl Fault {
    /// The close code that tells the peer, if it can be told.
    pub(crate) fn close_code(&self) -> Option<u16> {
        match self {
            Self::Protocol(_) => Some(1002),
            Self::NotUtf8 => Some(1007),
            Self::TooLarge { .. } => Some(1009),
            Self::Busy => Some(1013),
            Self::Stalled | Self::Gone => None,
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        tracing::debug!(%error, "a connection was lost");
        Self::Gone
    }
}
