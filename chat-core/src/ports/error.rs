//! The one error of all ports.

use std::error::Error;
use std::fmt;

use chat_proto::Rejection;

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PortErrorKind {
    /// The service behind the port does not answer, or answers that it cannot now.
    Unavailable,
    /// No answer came within the time that the caller gives.
    Timeout,
    /// The disk is full, or a sync to it failed: the adapter takes no more writes until an operator has looked.
    Storage,
    /// What was read is not what this version wrote.
    Corrupt,
    /// The caller broke the contract of the port.
    Misuse,
}

/// Whether the failed operation may have happened, and so what a retry may assume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Surely not applied, and a retry would fail the same way.
    Never,
    /// Surely not applied; a retry may succeed.
    Safe,
    /// Perhaps applied.
    Unknown,
}

/// A failure of a port: what was tried, whether it may have happened, and what lay beneath.
pub struct PortError {
    kind: PortErrorKind,
    retry: Retry,
    op: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl PortError {
    /// A failure of this kind in this operation, as `messages.append`.
    pub fn new(kind: PortErrorKind, retry: Retry, op: &'static str) -> Self {
        Self {
            kind,
            retry,
            op,
            source: None,
        }
    }

    /// The service does not answer.
    pub fn unavailable(op: &'static str, retry: Retry) -> Self {
        Self::new(PortErrorKind::Unavailable, retry, op)
    }

    /// Stored bytes make no sense.
    pub fn corrupt(op: &'static str) -> Self {
        Self::new(PortErrorKind::Corrupt, Retry::Never, op)
    }

    /// The caller broke the contract.
    pub fn misuse(op: &'static str) -> Self {
        Self::new(PortErrorKind::Misuse, Retry::Never, op)
    }

    /// The same failure with what lay beneath.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of failure.
    pub fn kind(&self) -> PortErrorKind {
        self.kind
    }

    /// Whether it may have happened.
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// What was tried.
    pub fn op(&self) -> &'static str {
        self.op
    }
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            PortErrorKind::Unavailable => "is unavailable",
            PortErrorKind::Timeout => "did not answer in time",
            PortErrorKind::Storage => "cannot write to its disk",
            PortErrorKind::Corrupt => "read what it did not write",
            PortErrorKind::Misuse => "was called against its contract",
        };
        let outcome = match self.retry {
            Retry::Never => "not done",
            Retry::Safe => "not done, a retry may succeed",
            Retry::Unknown => "perhaps done",
        };
        write!(f, "{} {what} ({outcome})", self.op)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortError")
            .field("op", &self.op)
            .field("kind", &self.kind)
            .field("retry", &self.retry)
            .field("source", &self.source)
            .finish()
    }
}

impl Error for PortError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

impl From<PortError> for Rejection {
    /// What a client hears of it: never what lay beneath.
    fn from(error: PortError) -> Self {
        match error.retry {
            Retry::Unknown => Self::unknown_outcome(
                "the server could not confirm it: retry with the same client_id",
            ),
            Retry::Never | Retry::Safe => {
                Self::unavailable("the server cannot do this now: retry later")
            }
        }
    }
}
