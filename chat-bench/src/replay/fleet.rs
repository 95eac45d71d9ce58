//! The devices of everybody who is in a channel that is on its way.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chat_client::{Client, Events, StateError, StateStore};
use chat_proto::sync::{OutboxSnapshot, Progress, SyncSnapshot};
use chat_proto::{DeviceId, UserId};
use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::notes::Notes;
use super::plan::{Dice, mix};
use crate::error::Error;
use crate::jwt::Signer;

/// How long a device may take to connect, through the death of a server.
const CONNECT_MAX: Duration = Duration::from_secs(120);

/// Connects devices when they are needed and closes them when nobody needs them. One that comes again goes on from
/// what it kept, as after a restart of its program.
pub(crate) struct Fleet {
    url: String,
    signer: Signer,
    seed: u64,
    people: Mutex<BTreeMap<UserId, Arc<tokio::sync::Mutex<Person>>>>,
    open: AtomicU64,
    open_max: AtomicU64,
    started: AtomicU64,
    disconnects: AtomicU64,
}

#[derive(Default)]
struct Person {
    /// Channels on their way that the user is in.
    needed_by: usize,
    devices: Vec<Arc<Device>>,
    kept: Vec<Arc<Memory>>,
}

/// A connected device.
pub(crate) struct Device {
    pub(crate) user: UserId,
    pub(crate) id: DeviceId,
    pub(crate) token: String,
    pub(crate) client: Client,
    pub(crate) notes: Arc<Notes>,
    listener: Mutex<Option<JoinHandle<()>>>,
}

/// How many devices there were.
pub(crate) struct FleetCounts {
    pub(crate) devices: u64,
    pub(crate) connections_max: u64,
    pub(crate) starts: u64,
    pub(crate) disconnects: u64,
}

impl Fleet {
    pub(crate) fn new(address: SocketAddr, signer: Signer, seed: u64) -> Self {
        Self {
            url: format!("ws://{address}/v1/ws"),
            signer,
            seed,
            people: Mutex::default(),
            open: AtomicU64::new(0),
            open_max: AtomicU64::new(0),
            started: AtomicU64::new(0),
            disconnects: AtomicU64::new(0),
        }
    }

    /// The user's devices, connected.
    pub(crate) async fn acquire(&self, user: &UserId) -> Result<Vec<Arc<Device>>, Error> {
        let person = self.person(user);
        let mut person = person.lock().await;
        if person.devices.is_empty() {
            let mut dice = Dice::new(mix(self.seed, user.as_str()));
            let count = dice.devices();
            person.kept.resize_with(count, Arc::default);
            for kept in person.kept.clone() {
                let device = Box::pin(self.start(user, dice.device_id(), kept)).await?;
                person.devices.push(Arc::new(device));
            }
        }
        person.needed_by += 1;
        Ok(person.devices.clone())
    }

    /// Closes the user's devices unless another channel needs them.
    pub(crate) async fn release(&self, user: &UserId) -> Result<(), Error> {
        let person = self.person(user);
        let mut person = person.lock().await;
        person.needed_by = person.needed_by.saturating_sub(1);
        if person.needed_by > 0 {
            return Ok(());
        }
        for device in person.devices.drain(..) {
            device.close().await?;
            self.open.fetch_sub(1, Ordering::Relaxed);
            self.disconnects
                .fetch_add(device.notes.disconnects(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// A token for requests over HTTP, which need no device that is connected.
    pub(crate) fn token(&self, user: &UserId) -> String {
        let mut dice = Dice::new(mix(self.seed, user.as_str()));
        let _ = dice.devices();
        self.signer.token(user, dice.device_id())
    }

    pub(crate) fn counts(&self) -> FleetCounts {
        let devices = {
            let people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
            people
                .values()
                .map(|person| {
                    person
                        .try_lock()
                        .map_or(0, |person| person.kept.len() as u64)
                })
                .sum()
        };
        FleetCounts {
            devices,
            connections_max: self.open_max.load(Ordering::Relaxed),
            starts: self.started.load(Ordering::Relaxed),
            disconnects: self.disconnects.load(Ordering::Relaxed),
        }
    }

    fn person(&self, user: &UserId) -> Arc<tokio::sync::Mutex<Person>> {
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        people.entry(user.clone()).or_default().clone()
    }

    async fn start(&self, user: &UserId, id: DeviceId, kept: Arc<Memory>) -> Result<Device, Error> {
        let token = self.signer.token(user, id);
        let connecting = Client::builder(&self.url, &token)
            .client("chat-replay/0.1")
            .state(kept)
            .connect();
        let failed =
            |what: String| Error::Invalid(format!("a device of {user} could not connect: {what}"));
        let connected = timeout(CONNECT_MAX, Box::pin(connecting)).await;
        let (client, events) = match connected {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => {
                return Err(failed(format!(
                    "nothing came in {} s",
                    CONNECT_MAX.as_secs()
                )));
            }
        };
        let notes = Arc::new(Notes::default());
        let listener = Mutex::new(Some(tokio::spawn(listen(events, notes.clone()))));
        self.started.fetch_add(1, Ordering::Relaxed);
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.open_max.fetch_max(open, Ordering::Relaxed);
        Ok(Device {
            user: user.clone(),
            id,
            token,
            client,
            notes,
            listener,
        })
    }
}

impl Device {
    async fn close(&self) -> Result<(), Error> {
        self.client.close().await;
        let listener = self
            .listener
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match listener {
            Some(listener) => listener.await.map_err(|panic| {
                Error::Invalid(format!("what {} listened with failed: {panic}", self.user))
            }),
            None => Ok(()),
        }
    }
}

async fn listen(mut events: Events, notes: Arc<Notes>) {
    while let Some(event) = events.next().await {
        notes.note(&event);
    }
}

/// State that lives as long as the run.
#[derive(Debug, Default)]
struct Memory(Mutex<SyncSnapshot>);

#[async_trait]
impl StateStore for Memory {
    async fn load(&self) -> Result<SyncSnapshot, StateError> {
        Ok(self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone())
    }

    async fn save_progress(&self, progress: &Progress) -> Result<(), StateError> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .progress = progress.clone();
        Ok(())
    }

    async fn save_outbox(&self, outbox: &OutboxSnapshot) -> Result<(), StateError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).outbox = outbox.clone();
        Ok(())
    }
}
