//! What happens in a run, and how it ends.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chat_core::decorators::ChaosConfig;
use chat_core::proto::{ChannelId, ClientId, History, UserId};
use chat_core::{Caller, Engine, NewChannel};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::callers::{Changer, Owner, Sender, dice};
use super::device::{Device, Habits};
use super::fleet::{Fleet, Ports, RuntimeClock, Weather};
use super::journal::Journal;
use super::verdict::{Breach, Rule, Verdict, judge};
use crate::case::join_all;

/// The longest pause that chaos makes.
const PAUSE_MAX: Duration = Duration::from_millis(8);
/// A run that takes longer, by its own clock, hangs.
const RUN_MAX: Duration = Duration::from_secs(300);
/// Everything has come to rest when nothing was left to do for so long.
const REST: Duration = Duration::from_secs(2);
/// Engines of a fleet that comes after another one are counted from here.
const SECOND_FLEET: u16 = 100;
/// Members of a large channel besides those who act.
const SILENT_MEMBERS: usize = 105;
/// Devices of each user who has any.
const DEVICES_OF_USER: u64 = 2;

/// The channel of a run.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its name.
    pub id: ChannelId,
    /// The two users of a direct channel.
    pub direct: Option<(UserId, UserId)>,
}

/// Which channel everybody meets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Direct,
    Group,
    Large,
}

/// A run: eight senders at once in one channel, half of them on devices, half without a session, spread over engines that
/// share their stores.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    shape: Shape,
    history: History,
    weather: Weather,
    engines: u16,
    messages: u32,
    membership_rounds: u32,
    reconnects: u32,
    hasty_connects: u32,
    ends_with_restart: bool,
}

impl Scenario {
    /// Everything that the contracts allow happens: calls fail, answers and requests are lost, appends come late,
    /// envelopes are dropped, members are removed and added, devices come and go, connections are given up half-way. The
    /// engines are shut down in the end; the devices go on with fresh ones, in calm weather.
    pub fn storm() -> Self {
        let router = ChaosConfig {
            drop_envelope: 0.1,
            ..ChaosConfig::pauses(PAUSE_MAX)
        };
        Self {
            shape: Shape::Group,
            history: History::All,
            weather: Weather {
                stores: ChaosConfig::storm(PAUSE_MAX),
                router,
            },
            engines: 3,
            messages: 12,
            membership_rounds: 4,
            reconnects: 3,
            hasty_connects: 2,
            ends_with_restart: true,
        }
    }

    /// Everything takes its time and comes late, but nothing fails and no envelope is lost: what devices have in the end
    /// they must have by hints alone.
    pub fn pauses() -> Self {
        let weather = ChaosConfig::pauses(PAUSE_MAX);
        Self {
            weather: Weather {
                stores: weather,
                router: weather,
            },
            ends_with_restart: false,
            ..Self::storm()
        }
    }

    /// The same between two users.
    #[must_use]
    pub fn direct(mut self) -> Self {
        self.shape = Shape::Direct;
        self
    }

    /// The same in a channel of more than a hundred members.
    #[must_use]
    pub fn large(mut self) -> Self {
        self.shape = Shape::Large;
        self
    }

    /// The same where members see the log only from their adding on.
    #[must_use]
    pub fn history_from_joining(mut self) -> Self {
        self.history = History::Joined;
        self
    }

    /// The same with so many messages of each sender.
    #[must_use]
    pub fn messages(mut self, messages: u32) -> Self {
        self.messages = messages;
        self
    }

    /// Runs it from this seed over the ports that are made inside the run.
    ///
    /// # Panics
    /// When the channel cannot even be created.
    pub fn run(self, seed: u64, ports: impl FnOnce() -> Ports) -> Verdict {
        run_paused(async { Box::pin(self.run_over(seed, ports())).await })
    }

    /// Runs it by the real clock, over ports that other processes serve: what a database does cannot be hurried. The seed
    /// fixes what is done, not in which order the answers come.
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub fn run_in_real_time<P: Future<Output = Ports>>(
        self,
        seed: u64,
        ports: impl FnOnce() -> P,
    ) -> Verdict {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a test may start a runtime")
            .block_on(async {
                let ports = ports().await;
                Box::pin(self.run_over(seed, ports)).await
            })
    }

    /// The same on the runtime of whoever calls.
    pub async fn run_on_this_runtime(self, seed: u64, ports: Ports) -> Verdict {
        Box::pin(self.run_over(seed, ports)).await
    }

    async fn run_over(self, seed: u64, ports: Ports) -> Verdict {
        let run = Run {
            scenario: self,
            seed,
            journal: Journal::default(),
            clock: RuntimeClock::start(),
            ports,
        };
        run.run().await
    }

    /// The same with so many engines.
    #[must_use]
    pub fn engines(mut self, engines: u16) -> Self {
        self.engines = engines;
        self
    }

    fn users(&self) -> Vec<UserId> {
        let names: &[&str] = match self.shape {
            Shape::Direct => &["ann", "bob"],
            Shape::Group | Shape::Large => &["ann", "bob", "cat", "dan"],
        };
        names.iter().map(|name| user(name)).collect()
    }
}

/// Runs a future on one thread whose clock moves only when nothing else can.
pub(super) fn run_paused<T>(run: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a test may start a runtime")
        .block_on(run)
}

pub(super) fn user(name: &str) -> UserId {
    name.parse().expect("a good name")
}

struct Run {
    scenario: Scenario,
    seed: u64,
    journal: Journal,
    clock: RuntimeClock,
    ports: Ports,
}

impl Run {
    async fn run(self) -> Verdict {
        let Scenario {
            weather,
            engines,
            ends_with_restart,
            ..
        } = self.scenario;
        let channel = self.create().await;
        let fleet = Fleet::start(&self.ports, self.clock, 0, engines, weather, self.seed);
        fleet.ready().await;
        let stop = Arc::new(AtomicBool::new(false));
        let devices = self.devices(&channel);
        let settled: Vec<Arc<AtomicBool>> = devices
            .iter()
            .map(|device| Arc::clone(&device.settled))
            .collect();
        let lives = live(devices, &fleet.engines, &stop);
        let callers = self.callers(&channel, &fleet.engines);
        let mut breaches = Vec::new();
        if tokio::time::timeout(RUN_MAX, join_all(callers))
            .await
            .is_err()
        {
            breaches.push(Breach::new(
                Rule::EverythingEnds,
                "a caller never heard".into(),
            ));
        }
        // In a storm nothing need come to rest.
        let settled = Some(settled).filter(|_| !ends_with_restart);
        let mut devices = self
            .come_to_rest(settled, &stop, lives, &mut breaches)
            .await;
        fleet.stop().await;
        if ends_with_restart {
            let calm = Weather::default();
            let fleet = Fleet::start(&self.ports, self.clock, SECOND_FLEET, 2, calm, self.seed);
            fleet.ready().await;
            stop.store(false, Ordering::Relaxed);
            let settled = devices.iter().map(|device| Arc::clone(&device.settled));
            let settled = settled.inspect(|settled| settled.store(false, Ordering::Relaxed));
            let settled = settled.collect();
            let lives = live(devices, &fleet.engines, &stop);
            devices = self
                .come_to_rest(Some(settled), &stop, lives, &mut breaches)
                .await;
            fleet.stop().await;
        }
        judge(
            self.seed,
            &self.ports,
            channel.id,
            &self.journal,
            &devices,
            breaches,
        )
        .await
    }

    /// In calm weather, by an engine of its own.
    async fn create(&self) -> Channel {
        let users = self.scenario.users();
        let fleet = Fleet::start(
            &self.ports,
            self.clock,
            SECOND_FLEET + 100,
            1,
            Weather::default(),
            self.seed,
        );
        fleet.ready().await;
        let key = ClientId::from_uuid(Uuid::from_u128(7));
        let channel = match self.scenario.shape {
            Shape::Direct => Channel {
                id: ChannelId::direct(&users[0], &users[1]),
                direct: Some((users[0].clone(), users[1].clone())),
            },
            Shape::Group | Shape::Large => {
                let mut members = users.clone();
                if self.scenario.shape == Shape::Large {
                    members.extend((0..SILENT_MEMBERS).map(|number| user(&format!("m{number}"))));
                }
                let new = NewChannel::group("run")
                    .client_id(key)
                    .history(self.scenario.history)
                    .members(members);
                let owner = Caller::user(user("owner"));
                let created = fleet.engines[0].create_channel(&owner, new).await;
                let created = created.expect("a channel can be created in calm weather");
                Channel {
                    id: created.channel,
                    direct: None,
                }
            }
        };
        fleet.stop().await;
        channel
    }

    fn devices(&self, channel: &Channel) -> Vec<Device> {
        let scenario = &self.scenario;
        let users = scenario.users();
        let senders = 4_u64;
        let mut devices = Vec::new();
        for number in 0..users.len() as u64 * DEVICES_OF_USER {
            let index = usize::try_from(number).expect("few devices") % users.len();
            let habits = Habits {
                messages: if number < senders {
                    scenario.messages
                } else {
                    0
                },
                reconnects: scenario.reconnects,
                hasty_connects: scenario.hasty_connects,
            };
            devices.push(Device::new(
                users[index].clone(),
                number,
                channel.clone(),
                habits,
                self.journal.clone(),
                self.seed,
            ));
        }
        devices
    }

    fn callers(&self, channel: &Channel, engines: &[Engine]) -> Vec<JoinHandle<()>> {
        let users = self.scenario.users();
        let mut callers = Vec::new();
        for number in 0..4_u64 {
            let index = usize::try_from(number).expect("few senders") % users.len();
            let sender = Sender {
                user: users[index].clone(),
                channel: channel.clone(),
                engines: engines.to_vec(),
                journal: self.journal.clone(),
                messages: self.scenario.messages,
                rng: dice(self.seed, number + 1),
            };
            callers.push(tokio::spawn(sender.run()));
        }
        // Who owns the group may change more than what is their own; of two users each may that alone.
        let changers = match channel.direct {
            None => [user("owner"), users[0].clone()],
            Some(_) => [users[0].clone(), users[1].clone()],
        };
        for (number, changer) in (20..).zip(changers) {
            let changer = Changer {
                user: changer,
                channel: channel.clone(),
                engines: engines.to_vec(),
                journal: self.journal.clone(),
                changes: self.scenario.messages * 2,
                rng: dice(self.seed, number),
            };
            callers.push(tokio::spawn(changer.run()));
        }
        if channel.direct.is_none() {
            let owner = Owner {
                user: user("owner"),
                channel: channel.clone(),
                engines: engines.to_vec(),
                victims: users[1..].to_vec(),
                rounds: self.scenario.membership_rounds,
                rng: dice(self.seed, 9),
            };
            callers.push(tokio::spawn(owner.run()));
        }
        callers
    }

    /// Waits until nothing is left to do, and then some; without `settled` only for a while.
    async fn come_to_rest(
        &self,
        settled: Option<Vec<Arc<AtomicBool>>>,
        stop: &AtomicBool,
        lives: Vec<JoinHandle<Device>>,
        breaches: &mut Vec<Breach>,
    ) -> Vec<Device> {
        let all = settled.unwrap_or_default();
        let rests = async {
            loop {
                let at_rest = |all: &[Arc<AtomicBool>]| {
                    all.iter().all(|settled| settled.load(Ordering::Relaxed))
                };
                let before = at_rest(&all);
                tokio::time::sleep(REST).await;
                if before && at_rest(&all) {
                    return;
                }
            }
        };
        if tokio::time::timeout(RUN_MAX, rests).await.is_err() {
            let detail = "a device never came to rest".to_owned();
            breaches.push(Breach::new(Rule::EverythingEnds, detail));
        }
        stop.store(true, Ordering::Relaxed);
        match tokio::time::timeout(RUN_MAX, join_all(lives)).await {
            Ok(devices) => devices,
            Err(_) => {
                breaches.push(Breach::new(Rule::EverythingEnds, "a device hangs".into()));
                Vec::new()
            }
        }
    }
}

fn live(
    devices: Vec<Device>,
    engines: &[Engine],
    stop: &Arc<AtomicBool>,
) -> Vec<JoinHandle<Device>> {
    devices
        .into_iter()
        .map(|device| tokio::spawn(device.live(engines.to_vec(), Arc::clone(stop))))
        .collect()
}
