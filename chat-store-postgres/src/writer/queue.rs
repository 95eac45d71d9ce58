//! The way to the writers: bounded in number, bytes and time.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use chat_core::ports::{AppendOutcome, MarkRise, PortError, Retry};
use chat_core::rows::PreparedAppend;
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::bodies::BodyWrite;
use super::fan_out::FanOutWrite;
use super::people::{PersonDone, PersonWrite};
use super::task::Writer;
use crate::config::{WRITE_QUEUE_KIB_MAX, WRITE_QUEUE_MAX, WRITE_WAIT_MAX};
use crate::error::WriteFailure;
use crate::health::HealthCell;
use crate::open::Connector;

/// The queues of writes and the tasks that take them. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct WriteQueues(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queues: Vec<Queue>,
    kib: Arc<Semaphore>,
    health: Arc<HealthCell>,
}

#[derive(Debug)]
struct Queue {
    requests: mpsc::Sender<Request>,
    closing: Arc<Notify>,
    writer: Mutex<Option<JoinHandle<()>>>,
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
    FanOut(FanOutWrite, Reply<()>),
    Person(PersonWrite, Reply<PersonDone>),
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, WriteFailure>>;

impl Request {
    /// Takes the request; false when its caller has given up.
    pub(super) fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::AcqRel)
    }

    pub(super) fn is_about_people(&self) -> bool {
        match &self.work {
            Work::Person(..) => true,
            Work::Append(..) | Work::Raise(..) | Work::Body(..) | Work::FanOut(..) => false,
        }
    }

    /// The channels that it locks.
    pub(super) fn locks(&self) -> Vec<Uuid> {
        match &self.work {
            Work::Append(append, _) => vec![append.channel.as_uuid()],
            Work::Raise(rises, _) => rises.iter().map(|rise| rise.channel.as_uuid()).collect(),
            Work::Body(write, _) => write.locks().into_iter().collect(),
            Work::FanOut(..) | Work::Person(..) => Vec::new(),
        }
    }

    /// Answers with a failure.
    pub(super) fn fail(self, failure: &WriteFailure) {
        // A caller who is gone does not want to know.
        match self.work {
            Work::Append(_, reply) => drop(reply.send(Err(failure.clone()))),
            Work::Raise(_, reply) => drop(reply.send(Err(failure.clone()))),
            Work::Body(_, reply) => drop(reply.send(Err(failure.clone()))),
            Work::FanOut(_, reply) => drop(reply.send(Err(failure.clone()))),
            Work::Person(_, reply) => drop(reply.send(Err(failure.clone()))),
        }
    }
}

impl WriteQueues {
    /// Starts so many writers on this runtime.
    pub(crate) fn start(connector: &Connector, writers: usize, health: &Arc<HealthCell>) -> Self {
        let queues = (0..writers).map(|number| {
            let (sender, receiver) = mpsc::channel(WRITE_QUEUE_MAX);
            let closing = Arc::new(Notify::new());
            let writer = Writer::new(
                number,
                connector.clone(),
                receiver,
                Arc::clone(&closing),
                Arc::clone(health),
            );
            Queue {
                requests: sender,
                closing,
                writer: Mutex::new(Some(tokio::spawn(writer.run()))),
            }
        });
        Self(Arc::new(Inner {
            queues: queues.collect(),
            kib: Arc::new(Semaphore::new(WRITE_QUEUE_KIB_MAX)),
            health: Arc::clone(health),
        }))
    }

    pub(crate) async fn append(&self, append: PreparedAppend) -> Result<AppendOutcome, PortError> {
        let (writer, bytes) = (self.writer_of(&append.channel), append.bytes);
        self.submit("messages.append", writer, bytes, |reply| {
            Work::Append(append, reply)
        })
        .await
    }

    /// Rises in several channels go to one writer: the locks of the rows make that right.
    pub(crate) async fn raise(&self, rises: Vec<MarkRise>) -> Result<(), PortError> {
        let Some(first) = rises.first() else {
            return Ok(());
        };
        let writer = self.writer_of(&first.channel);
        let bytes = rises.len() * size_of::<MarkRise>();
        self.submit("inbox.raise", writer, bytes, |reply| {
            Work::Raise(rises, reply)
        })
        .await
    }

    pub(crate) async fn body(&self, op: &'static str, write: BodyWrite) -> Result<(), PortError> {
        let (writer, bytes) = (self.writer_of(&write.channel()), write.bytes());
        self.submit(op, writer, bytes, |reply| Work::Body(write, reply))
            .await
    }

    pub(crate) async fn fan_out(
        &self,
        op: &'static str,
        write: FanOutWrite,
    ) -> Result<(), PortError> {
        let Some(owner) = write.owner() else {
            return Ok(());
        };
        let (writer, bytes) = (self.writer_of(owner), write.bytes());
        self.submit(op, writer, bytes, |reply| Work::FanOut(write, reply))
            .await
    }

    pub(crate) async fn person(
        &self,
        op: &'static str,
        write: PersonWrite,
    ) -> Result<PersonDone, PortError> {
        let (writer, bytes) = (self.writer_of(write.users()[0]), write.bytes());
        self.submit(op, writer, bytes, |reply| Work::Person(write, reply))
            .await
    }

    /// Lets the writers finish what is queued, and waits for them.
    pub(crate) async fn close(&self) -> Result<(), PortError> {
        let queues = self.0.queues.iter();
        queues.for_each(|queue| queue.closing.notify_one());
        for queue in &self.0.queues {
            let Some(writer) = queue.writer.lock().await.take() else {
                continue;
            };
            writer.await.map_err(|error| {
                PortError::unavailable("store.close", Retry::Unknown).with_source(error)
            })?;
        }
        Ok(())
    }

    /// One channel's writes, and one user's, meet in one queue: they share a transaction there, where they would wait for
    /// each other's locks elsewhere.
    fn writer_of(&self, owner: &impl Hash) -> usize {
        let mut hasher = DefaultHasher::new();
        owner.hash(&mut hasher);
        (hasher.finish() % self.0.queues.len() as u64) as usize
    }

    async fn submit<T>(
        &self,
        op: &'static str,
        writer: usize,
        bytes: usize,
        work: impl FnOnce(Reply<T>) -> Work,
    ) -> Result<T, PortError> {
        if let Some(failure) = self.0.health.refusal(writer, Instant::now()) {
            return Err(failure.into_error(op));
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
        let queue = &self.0.queues[writer];
        queue
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
