//! What is going to happen in a channel: a function of its log, the order and the seed.

use std::collections::{BTreeMap, BTreeSet};

use chat_proto::{ChannelId, ClientId, DeviceId, History, UserId};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Builder;

use super::args::Mode;
use super::corpus::{Kind, Line, Log};
use super::rounds;
use crate::error::Error;

/// Of those who only join, one in so many has devices. All are members.
const SILENT_WITH_DEVICES: u32 = 10;
/// Of all messages, one in so many suffers each kind of fault.
const FAULT_EVERY: u32 = 60;
/// The user who is in every channel from its beginning, reads its log, and owns it when its owner has left.
const HOST: &str = "replay-host";

/// All that will happen in one channel.
pub(crate) struct Plan {
    pub(crate) title: String,
    pub(crate) creator: UserId,
    pub(crate) host: UserId,
    pub(crate) create_id: ClientId,
    pub(crate) channel: ChannelId,
    pub(crate) history: History,
    /// Whose devices are connected while the channel is on its way.
    pub(crate) people: BTreeSet<UserId>,
    pub(crate) rounds: Vec<Round>,
    /// Who is in the channel at the end.
    pub(crate) members_at_end: BTreeSet<UserId>,
    pub(crate) messages: u64,
}

/// Changes of membership, then messages, then changes. What several people say in a round they say at the same time;
/// what one says stays in order.
#[derive(Default)]
pub(crate) struct Round {
    pub(crate) before: Vec<Change>,
    pub(crate) says: Vec<Vec<Say>>,
    pub(crate) after: Vec<Change>,
}

/// A change of membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The owner adds them, in one entry.
    Add(Vec<UserId>),
    /// Somebody leaves.
    Leave(UserId),
}

/// A message.
#[derive(Clone, Debug)]
pub(crate) struct Say {
    pub(crate) line: usize,
    pub(crate) from: UserId,
    /// Taken modulo the number of the user's devices.
    pub(crate) device: usize,
    pub(crate) client_id: ClientId,
    pub(crate) text: String,
    /// The line that it answers.
    pub(crate) reply_to: Option<usize>,
    pub(crate) fault: Fault,
}

/// What goes wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// It is sent once more over a socket after it was acknowledged.
    AgainBySocket,
    /// It is sent once more over HTTP.
    AgainByHttp,
    /// Its connection is cut right after it was sent, before the acknowledgement.
    AckLost,
    /// Some other device's connection is cut; taken modulo the number of devices.
    OtherDrops(usize),
}

/// A line as far as a channel can replay it.
pub(crate) enum Happening<'a> {
    Says(UserId, &'a Line),
    Comes(UserId),
    Goes(UserId),
    /// Another name for somebody who is there: one goes, another comes.
    Renames(UserId, UserId),
}

impl Plan {
    pub(crate) fn new(log: &Log, mode: Mode, seed: u64) -> Result<Self, Error> {
        let seed = mix(seed, &log.name);
        let mut dice = Dice(StdRng::seed_from_u64(seed));
        let happenings = happenings(log)?;
        let host = user(HOST)?;
        let creator = happenings
            .iter()
            .map(Happening::who)
            .next()
            .cloned()
            .ok_or_else(|| Error::Invalid(format!("nothing happens in {}", log.name)))?;
        let create_id = dice.client_id();
        let spoken: BTreeSet<UserId> = happenings
            .iter()
            .filter_map(Happening::speaker)
            .cloned()
            .collect();
        let mut planned = match mode {
            Mode::Ordered => rounds::ordered(&happenings, &creator, &mut dice),
            Mode::Concurrent => rounds::concurrent(&happenings, &creator, &mut dice),
        };
        keep_answerable_replies(&mut planned.rounds);
        let silent = planned
            .ever
            .difference(&spoken)
            .filter(|_| dice.one_in(SILENT_WITH_DEVICES));
        let people = spoken
            .iter()
            .chain(silent)
            .chain([&creator, &host])
            .cloned()
            .collect();
        let says = planned.rounds.iter().flat_map(|round| &round.says);
        let messages = says.map(|says| says.len() as u64).sum();
        let mut members_at_end = planned.members;
        members_at_end.insert(host.clone());
        Ok(Self {
            title: log.name.clone(),
            channel: ChannelId::created(&creator, create_id),
            // Half of the channels show newcomers all, half only what follows.
            history: if seed & 1 == 0 {
                History::All
            } else {
                History::Joined
            },
            creator,
            host,
            create_id,
            people,
            rounds: planned.rounds,
            members_at_end,
            messages,
        })
    }
}

impl Happening<'_> {
    fn who(&self) -> &UserId {
        match self {
            Self::Says(user, _) | Self::Comes(user) | Self::Goes(user) | Self::Renames(user, _) => {
                user
            }
        }
    }

    fn speaker(&self) -> Option<&UserId> {
        match self {
            Self::Says(user, _) => Some(user),
            Self::Comes(_) | Self::Goes(_) | Self::Renames(..) => None,
        }
    }
}

/// What answers a line that is not said, as a mode or a topic, answers nothing.
fn keep_answerable_replies(rounds: &mut [Round]) {
    let says = rounds.iter().flat_map(|round| round.says.iter().flatten());
    let said: BTreeSet<usize> = says.map(|say| say.line).collect();
    for say in rounds
        .iter_mut()
        .flat_map(|round| round.says.iter_mut().flatten())
    {
        say.reply_to = say.reply_to.filter(|line| said.contains(line));
    }
}

/// The lines that say something, come or go; modes, kicks, topics and empty texts are left out.
fn happenings(log: &Log) -> Result<Vec<Happening<'_>>, Error> {
    let mut happenings = Vec::with_capacity(log.lines.len());
    for line in &log.lines {
        let Some(from) = &line.from else { continue };
        let from = user(from)?;
        happenings.push(match line.kind {
            Kind::Message | Kind::Action if line.text.is_empty() => continue,
            Kind::Message | Kind::Action => Happening::Says(from, line),
            Kind::Join => Happening::Comes(from),
            Kind::Part | Kind::Quit => Happening::Goes(from),
            Kind::Nick => Happening::Renames(from, user(&line.text)?),
            Kind::System => continue,
        });
    }
    Ok(happenings)
}

/// Chance with a seed.
pub(crate) struct Dice(StdRng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    pub(crate) fn say(&mut self, from: &UserId, line: &Line) -> Say {
        let text = match line.kind {
            Kind::Action => format!("/me {}", line.text),
            Kind::Message | Kind::Join | Kind::Part | Kind::Quit | Kind::Nick | Kind::System => {
                line.text.clone()
            }
        };
        Say {
            line: line.line,
            from: from.clone(),
            device: self.0.random_range(0..1_000),
            client_id: self.client_id(),
            text,
            // A line that is its own number opens a conversation.
            reply_to: line
                .replies_to
                .iter()
                .copied()
                .filter(|to| *to < line.line)
                .max(),
            fault: self.fault(),
        }
    }

    pub(crate) fn client_id(&mut self) -> ClientId {
        ClientId::from_uuid(Builder::from_random_bytes(self.0.random()).into_uuid())
    }

    pub(crate) fn device_id(&mut self) -> DeviceId {
        DeviceId::from_uuid(Builder::from_random_bytes(self.0.random()).into_uuid())
    }

    pub(crate) fn one_in(&mut self, number: u32) -> bool {
        self.0.random_ratio(1, number)
    }

    /// One to three, most often one.
    pub(crate) fn devices(&mut self) -> usize {
        match self.0.random_range(0..10) {
            0..6 => 1,
            6..9 => 2,
            _ => 3,
        }
    }

    /// Between 0 and 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        self.0.random()
    }

    fn fault(&mut self) -> Fault {
        match self.0.random_range(0..FAULT_EVERY) {
            0 => Fault::AgainBySocket,
            1 => Fault::AgainByHttp,
            2 => Fault::AckLost,
            3 => Fault::OtherDrops(self.0.random_range(0..1_000_000)),
            _ => Fault::None,
        }
    }
}

/// A seed of its own for each name.
pub(crate) fn mix(seed: u64, name: &str) -> u64 {
    // FNV-1a.
    let start = 0xcbf2_9ce4_8422_2325 ^ seed;
    name.bytes().fold(start, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

pub(crate) fn user(name: &str) -> Result<UserId, Error> {
    name.parse()
        .map_err(|refused| Error::Invalid(format!("{name:?} cannot be a user: {refused:?}")))
}

/// Who was added in the rounds, and who is still in.
pub(crate) struct Planned {
    pub(crate) rounds: Vec<Round>,
    pub(crate) members: BTreeSet<UserId>,
    pub(crate) ever: BTreeSet<UserId>,
}

/// Lines by speaker, in the order of their first ones.
#[derive(Default)]
pub(crate) struct BySpeaker {
    places: BTreeMap<UserId, usize>,
    says: Vec<Vec<Say>>,
}

impl BySpeaker {
    pub(crate) fn push(&mut self, say: Say) {
        let place = *self
            .places
            .entry(say.from.clone())
            .or_insert(self.says.len());
        if place == self.says.len() {
            self.says.push(Vec::new());
        }
        self.says[place].push(say);
    }

    pub(crate) fn into_says(self) -> Vec<Vec<Say>> {
        self.says
    }
}
