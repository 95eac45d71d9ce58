//! How the suite gets generators.

use std::sync::Arc;

use chat_core::ports::{Clock, IdGenerator};
use chat_core::proto::Timestamp;

/// Makes generators for one case.
pub trait IdGeneratorFactory {
    /// A generator that has made no id.
    fn open(&self, setup: IdGeneratorSetup) -> Arc<dyn IdGenerator>;
}

/// What a generator is made of.
#[derive(Clone)]
pub struct IdGeneratorSetup {
    /// Its number, below 1024; the case gives each living generator another one.
    pub worker: u16,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The end of the lease on its number; absent: it has the number for good.
    pub valid_until: Option<Timestamp>,
}
