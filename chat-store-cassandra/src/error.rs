//! What can go wrong, and what it means for whoever asked.

use std::error::Error;

use chat_core::ports::{PortError, PortErrorKind, Retry};
use scylla::errors::{BadQuery, DbError, ExecutionError, NewSessionError, RequestAttemptError};

use crate::config::ConfigError;

/// Why a store could not be opened, or its schema not be applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The settings contradict each other.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nobody answers.
    #[error(
        "no Cassandra node of {contact_points} answers ({source}); check that they run and can be reached from here"
    )]
    Connect {
        /// Whom we asked.
        contact_points: String,
        /// What the driver said.
        source: Box<NewSessionError>,
    },
    /// No node in the data centre.
    #[error(
        "the cluster has no node in the data centre `{datacenter}`, but in {found}; set `dc` to one of them"
    )]
    NoSuchDatacenter {
        /// What was asked for.
        datacenter: String,
        /// What there is.
        found: String,
    },
    /// No keyspace, or one without tables.
    #[error(
        "the keyspace `{keyspace}` holds no chat schema; run `chat-server admin schema apply` once"
    )]
    NoSchema {
        /// The keyspace.
        keyspace: String,
    },
    /// Written for another version.
    #[error(
        "the keyspace `{keyspace}` has schema version {found}, and this program works with {known}; run the program of that \
         version, or apply the schema of this one"
    )]
    OtherSchema {
        /// The keyspace.
        keyspace: String,
        /// Its version.
        found: i32,
        /// Ours.
        known: i32,
    },
    /// Laid out otherwise.
    #[error(
        "the keyspace `{keyspace}` keeps {found} entries in a partition, and this program looks for {wanted}; use the keyspace \
         with the program that made it"
    )]
    OtherBuckets {
        /// The keyspace.
        keyspace: String,
        /// Entries in one of its partitions.
        found: i32,
        /// Ours.
        wanted: u32,
    },
    /// Too few copies.
    #[error(
        "the keyspace `{keyspace}` is replicated as {found}, so that one lost disk loses acknowledged messages or stops the \
         store; alter it to NetworkTopologyStrategy with at least 3 copies in `{datacenter}` and repair it, or allow a single \
         node if messages may be lost"
    )]
    Replication {
        /// The keyspace.
        keyspace: String,
        /// How it is replicated.
        found: String,
        /// Where copies are needed.
        datacenter: String,
    },
    /// Writes pass the commit log by.
    #[error(
        "the keyspace `{keyspace}` has durable_writes = false, so that a power loss undoes what was acknowledged; alter it to \
         durable_writes = true"
    )]
    NotDurable {
        /// The keyspace.
        keyspace: String,
    },
    /// A node runs with what we cannot build on.
    #[error(
        "the node {node} has {setting} = {found}; set it to {wanted} in its cassandra.yaml and restart it: {why}"
    )]
    Setting {
        /// The node.
        node: String,
        /// The setting's name.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        wanted: &'static str,
        /// Why.
        why: &'static str,
    },
    /// A node is too old.
    #[error("the node {node} runs release {found}; upgrade it to 4.1 or later")]
    Release {
        /// The node.
        node: String,
        /// Its release.
        found: String,
    },
    /// A statement failed.
    #[error("the database failed to {doing} ({source}); check its log")]
    Database {
        /// What was tried.
        doing: &'static str,
        /// What the driver said.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl OpenError {
    pub(crate) fn database(
        doing: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Database {
            doing,
            source: source.into(),
        }
    }
}

/// A failed read: nothing was changed.
pub(crate) fn read_failed(op: &'static str, error: ExecutionError) -> PortError {
    let kind = kind_of(&error);
    PortError::new(kind, Retry::Safe, op).with_source(error)
}

/// A failed write.
pub(crate) fn write_failed(op: &'static str, error: ExecutionError) -> PortError {
    let (kind, retry) = (kind_of(&error), retry_of(&error));
    PortError::new(kind, retry, op).with_source(error)
}

/// What makes no sense in an answer.
pub(crate) fn corrupt(
    op: &'static str,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> PortError {
    PortError::corrupt(op).with_source(source)
}

fn kind_of(error: &ExecutionError) -> PortErrorKind {
    match error {
        ExecutionError::RequestTimeout(_)
        | ExecutionError::LastAttemptError(RequestAttemptError::DbError(
            DbError::ReadTimeout { .. } | DbError::WriteTimeout { .. },
            _,
        )) => PortErrorKind::Timeout,
        _ => PortErrorKind::Unavailable,
    }
}

/// Whether a write that failed so may have happened. Safe only where the request surely never left, or the coordinator
/// refuses before it does anything; with `paxos_variant: v2` that is so for too few live replicas, since a round that may
/// have had an effect ends as a time-out. A time-out also means mere contention: nobody can tell.
fn retry_of(error: &ExecutionError) -> Retry {
    match error {
        ExecutionError::BadQuery(BadQuery::SerializationError(_)) => Retry::Never,
        ExecutionError::BadQuery(_)
        | ExecutionError::EmptyPlan
        | ExecutionError::PrepareError(_)
        | ExecutionError::ConnectionPoolError(_)
        | ExecutionError::UseKeyspaceError(_) => Retry::Safe,
        ExecutionError::LastAttemptError(attempt) => match attempt {
            RequestAttemptError::SerializationError(_)
            | RequestAttemptError::CqlRequestSerialization(_) => Retry::Never,
            RequestAttemptError::UnableToAllocStreamId => Retry::Safe,
            RequestAttemptError::DbError(error, _) => match error {
                DbError::Unavailable { .. } | DbError::Overloaded | DbError::IsBootstrapping => {
                    Retry::Safe
                }
                DbError::SyntaxError
                | DbError::Invalid
                | DbError::Unauthorized
                | DbError::AuthenticationError => Retry::Never,
                _ => Retry::Unknown,
            },
            _ => Retry::Unknown,
        },
        _ => Retry::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use scylla::frame::types::Consistency;

    use super::*;

    fn answered(error: DbError) -> ExecutionError {
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, String::new()))
    }

    #[test]
    fn only_what_surely_did_not_happen_is_safe() {
        let unavailable = DbError::Unavailable {
            consistency: Consistency::LocalQuorum,
            required: 2,
            alive: 1,
        };
        for (error, retry) in [
            (answered(unavailable), Retry::Safe),
            (answered(DbError::Overloaded), Retry::Safe),
            (answered(DbError::ServerError), Retry::Unknown),
            (answered(DbError::Invalid), Retry::Never),
            (ExecutionError::EmptyPlan, Retry::Safe),
            (
                ExecutionError::RequestTimeout(Duration::from_secs(1)),
                Retry::Unknown,
            ),
        ] {
            assert_eq!(retry_of(&error), retry, "{error}");
            assert_eq!(read_failed("op", error).retry(), Retry::Safe);
        }
    }
}
