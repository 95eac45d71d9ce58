//! The way to the writer: bounded in number, bytes and time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use chat_core::ports::{AppendOutcome, MarkRise, PortError, PortErrorKind, Retry};
use chat_core::rows::PreparedAppend;
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::bodies::BodyWrite;
use super::people::{PersonDone, PersonWrite};
use super::task::Writer;
use crate::config::{WRITE_QUEUE_KIB_MAX, WRITE_QUEUE_MAX, WRITE_WAIT_MAX};
use crate::error::WriteFailure;
use crate::health::HealthCell;
use crate::open::WriterFile;

/// The queue of writes and the task that takes them. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct WriteQueue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    requests: mpsc::Sender<Request>,
    kib: Arc<Semaphore>,
    health: Arc<HealthCell>,
    closing: Arc<Notify>,
    writer: Mutex<Option<JoinHandle<Result<(), WriteFailure>>>>,
}

/// A write on its way.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) work: Work,
    pub(super) bytes: usize,
    /// Set by the writer when it takes the request, or by the caller when it has waited too long: whoever is first.
    claimed: Arc<AtomicBool>,
    /// Its room in the queue, given back when it is answered.
    _room: OwnedSemaphorePermit,
}

/// What to write, and where the answer goes.
#[derive(Debug)]
pub(super) enum Work {
    Append(PreparedAppend, Reply<AppendOutcome>),
    Raise(Vec<MarkRise>, Reply<()>),
    Body(BodyWrite, Reply<()>),
    Person(PersonWrite, Reply<PersonDone>),
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, WriteFailure>>;

impl Request {
    /// Takes the request; false when its caller has given up.
    pub(super) fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::AcqRel)
    }

    /// Whether a body goes that must leave the files.
    pub(super) fn erases(&self) -> bool {
        match &self.work {
            Work::Append(append, _) => append.entries.iter().any(|entry| entry.sets.is_some()),
            Work::Body(write, _) => matches!(write, BodyWrite::Set(..)),
            Work::Raise(..) | Work::Person(..) => false,
        }
    }

    /// Answers with a failure.
    pub(super) fn fail(self, failure: &WriteFailure) {
        // A caller who is gone does not want to know.
        match self.work {
            Work::Append(_, reply) => drop(reply.send(Err(failure.clone()))),
            Work::Raise(_, reply) => drop(reply.send(Err(failure.clone()))),
            Work::Body(_, reply) => drop(reply.send(Err(failure.clone()))),
            Work::Person(_, reply) => drop(reply.send(Err(failure.clone()))),
        }
    }
}

impl WriteQueue {
    /// Starts the writer on this runtime.
    pub(crate) fn start(opened: WriterFile, health: Arc<HealthCell>) -> Self {
        let (sender, receiver) = mpsc::channel(WRITE_QUEUE_MAX);
        let closing = Arc::new(Notify::new());
        let writer = Writer::new(opened, receiver, Arc::clone(&closing), Arc::clone(&health));
        Self(Arc::new(Inner {
            requests: sender,
            kib: Arc::new(Semaphore::new(WRITE_QUEUE_KIB_MAX)),
            health,
            closing,
            writer: Mutex::new(Some(tokio::spawn(writer.run()))),
        }))
    }

    pub(crate) async fn append(&self, append: PreparedAppend) -> Result<AppendOutcome, PortError> {
        let bytes = append.bytes;
        self.submit("messages.append", bytes, |reply| {
            Work::Append(append, reply)
        })
        .await
    }

    pub(crate) async fn raise(&self, rises: Vec<MarkRise>) -> Result<(), PortError> {
        if rises.is_empty() {
            return Ok(());
        }
        let bytes = rises.len() * size_of::<MarkRise>();
        self.submit("inbox.raise", bytes, |reply| Work::Raise(rises, reply))
            .await
    }

    pub(crate) async fn body(&self, op: &'static str, write: BodyWrite) -> Result<(), PortError> {
        self.submit(op, write.bytes(), |reply| Work::Body(write, reply))
            .await
    }

    pub(crate) async fn person(
        &self,
        op: &'static str,
        write: PersonWrite,
    ) -> Result<PersonDone, PortError> {
        self.submit(op, write.bytes(), |reply| Work::Person(write, reply))
            .await
    }

    /// Lets the writer finish what is queued, and waits for it.
    pub(crate) async fn close(&self) -> Result<(), PortError> {
        const OP: &str = "store.close";
        self.0.closing.notify_one();
        let Some(writer) = self.0.writer.lock().await.take() else {
            return Ok(());
        };
        match writer.await {
            Ok(finished) => finished.map_err(|failure| failure.into_error(OP)),
            Err(error) => Err(PortError::unavailable(OP, Retry::Unknown).with_source(error)),
        }
    }

    async fn submit<T>(
        &self,
        op: &'static str,
        bytes: usize,
        work: impl FnOnce(Reply<T>) -> Work,
    ) -> Result<T, PortError> {
        if let Some(why) = self.0.health.refusal(Instant::now()) {
            return Err(PortError::new(PortErrorKind::Storage, Retry::Safe, op).with_source(why));
        }
        let refused = |why: &'static str| PortError::unavailable(op, Retry::Safe).with_source(why);
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.0.kib)
            .try_acquire_many_owned(kib)
            .map_err(|_| refused("too many bytes wait to be written"))?;
        let claimed = Arc::new(AtomicBool::new(false));
        let (sender, mut reply) = oneshot::channel();
        let request = Request {
            work: work(sender),
            bytes,
            claimed: Arc::clone(&claimed),
            _room: room,
        };
        self.0
            .requests
            .try_send(request)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => refused("too many writes wait"),
                mpsc::error::TrySendError::Closed(_) => refused("the store is closed"),
            })?;
        let answer = match tokio::time::timeout(WRITE_WAIT_MAX, &mut reply).await {
            Ok(answer) => answer,
            Err(_) if !claimed.swap(true, Ordering::AcqRel) => {
                return Err(refused("the writes before it took too long"));
            }
            // It is being written: only the writer knows how that ends.
            Err(_) => reply.await,
        };
        match answer {
            Ok(answer) => answer.map_err(|failure| failure.into_error(op)),
            Err(_) => Err(PortError::unavailable(op, Retry::Unknown)
                .with_source("the writer stopped before it answered")),
        }
    }
}
