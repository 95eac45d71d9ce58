//! Why a socket closes.

use serde::{Deserialize, Serialize};

/// The code with which a server closes a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CloseCode {
    /// A frame exceeded the limit on its bytes.
    FrameTooLarge,
    /// A frame could not be read far enough to answer it.
    BadFrame,
    /// The server stops, or another connection of the device took over.
    GoingAway,
    /// The token of `hello` was refused; the `error` came before.
    BadToken,
    /// The device was logged out.
    Revoked,
    /// The client did not read fast enough.
    Slow,
    /// No frame came for 30 s.
    Idle,
    /// No `hello` came within 5 s.
    HelloOverdue,
    /// The user or the address has too many connections.
    TooManyConnections,
}

impl CloseCode {
    /// All codes, rising.
    pub const ALL: [Self; 9] = [
        Self::FrameTooLarge,
        Self::BadFrame,
        Self::GoingAway,
        Self::BadToken,
        Self::Revoked,
        Self::Slow,
        Self::Idle,
        Self::HelloOverdue,
        Self::TooManyConnections,
    ];

    /// The number in the close frame.
    pub const fn number(self) -> u16 {
        match self {
            Self::FrameTooLarge => 1009,
            Self::BadFrame => 4000,
            Self::GoingAway => 4001,
            Self::BadToken => 4002,
            Self::Revoked => 4003,
            Self::Slow => 4008,
            Self::Idle => 4009,
            Self::HelloOverdue => 4010,
            Self::TooManyConnections => 4029,
        }
    }

    /// The code with this number.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }

    /// A few words for the close frame.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::FrameTooLarge => "frame too large",
            Self::BadFrame => "bad frame",
            Self::GoingAway => "going away",
            Self::BadToken => "bad token",
            Self::Revoked => "revoked",
            Self::Slow => "slow",
            Self::Idle => "no frame for too long",
            Self::HelloOverdue => "hello overdue",
            Self::TooManyConnections => "too many connections",
        }
    }
}

/// Why a server is about to close a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum GoAwayReason {
    /// The server stops.
    Drain,
    /// The client did not read fast enough.
    Slow,
    /// The device was logged out.
    Revoked,
    /// Another connection of the device took over.
    Replaced,
    /// A reason of a newer server; never sent.
    #[serde(other)]
    Unknown,
}

impl GoAwayReason {
    /// The close code that follows.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::Drain | Self::Replaced | Self::Unknown => CloseCode::GoingAway,
            Self::Slow => CloseCode::Slow,
            Self::Revoked => CloseCode::Revoked,
        }
    }
}
