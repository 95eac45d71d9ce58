//! What can go wrong in a measurement, told to the person who started it.

use std::io;
use std::path::PathBuf;

/// Why a run ended without a result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The server's binary is not there.
    #[error(
        "there is no server at {}; build one with `cargo build --release -p chat-server -p chat-bench`, \
         or name it with --server or CHAT_TEST_SERVER",
        path.display()
    )]
    NoServer {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The server ended before it said where it listens.
    #[error("the server did not begin to listen; it said:\n{said}")]
    ServerSilent {
        /// Its last lines.
        said: String,
    },
    /// A file or a socket failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What lay beneath.
        source: io::Error,
    },
    /// The server answered otherwise than the measurement needs.
    #[error("{what}: the server answered {answer}")]
    Answer {
        /// What was tried.
        what: String,
        /// The answer.
        answer: String,
    },
    /// What was measured is not what was meant to be measured.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// For `map_err`: names what was tried.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
