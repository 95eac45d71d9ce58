//! What a `UserStore` is: relations, preferences, profiles and devices by the rules of `chat_proto::people`, and for each
//! user a plain list of what was told.

use std::collections::BTreeMap;

use chat_core::ports::{Device, KeptStatus, Profile, UserStatus, WrittenEntries};
use chat_core::proto::people::{
    DirectFrom, Prefs, PrefsChange, ProfileChange, Relation, RelationChange, UserEntry,
    UserEntryKind,
};
use chat_core::proto::{ChannelId, DeviceId, Seq, Timestamp, UserId};

use crate::log_writer::START;
use crate::names::{fresh_channel, fresh_device, fresh_users};

/// Users, few enough to meet.
pub(super) const USERS: usize = 4;
/// Channels that they keep something of.
pub(super) const CHANNELS: usize = 2;
/// Devices, which belong to whoever uses them.
pub(super) const DEVICES: usize = 3;

/// Time between two steps.
const STEP_MS: u64 = 16;
/// How far an old sight lies back; never at the time of another step.
const OLD_MS: u64 = 3 * STEP_MS - 8;

/// All that was done so far.
#[derive(Clone, Debug)]
pub struct People {
    pub(super) users: Vec<UserId>,
    pub(super) channels: Vec<ChannelId>,
    pub(super) devices: Vec<DeviceId>,
    pub(super) of: Vec<Person>,
    pub(super) relations: BTreeMap<(usize, usize), Relation>,
    /// What the last step wrote.
    pub(super) written: WrittenEntries,
    steps: u64,
}

/// What one user has.
#[derive(Clone, Debug, Default)]
pub(super) struct Person {
    pub(super) log: Vec<UserEntry>,
    pub(super) profile: Option<Profile>,
    pub(super) devices: Vec<Device>,
    pub(super) prefs: BTreeMap<ChannelId, Prefs>,
    pub(super) status: Option<KeptStatus>,
}

/// Something that a user does, or that is read; users, channels and devices by number.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PeopleStep {
    /// A device is used.
    See {
        /// By whom.
        user: usize,
        /// Which.
        device: usize,
        /// The token tells the user's name.
        named: bool,
        /// The sight is an old one, reported late.
        late: bool,
    },
    /// A device is removed.
    Forget {
        /// By whom.
        user: usize,
        /// Which.
        device: usize,
    },
    /// A relation changes.
    Relate {
        /// Who does it.
        user: usize,
        /// About whom, perhaps themselves.
        other: usize,
        /// What.
        change: RelationChange,
    },
    /// Preferences change.
    SetPrefs {
        /// Whose.
        user: usize,
        /// Of which channel.
        channel: usize,
        /// What.
        change: Prefs,
    },
    /// A profile changes.
    SetProfile {
        /// Whose.
        user: usize,
        /// What.
        change: ProfileChange,
    },
    /// A status is set.
    SetStatus {
        /// Whose.
        user: usize,
        /// Which.
        status: UserStatus,
    },
    /// A page of a user's own log is read.
    Page {
        /// Whose.
        user: usize,
        /// The last entry that is known.
        after: u64,
        /// Entries at the most.
        entries: usize,
        /// Bytes at the most.
        bytes: usize,
    },
    /// The store is closed and opened again.
    Reopen,
}

impl People {
    pub(super) fn fresh() -> Self {
        Self {
            users: fresh_users("model", USERS),
            channels: (0..CHANNELS).map(|_| fresh_channel()).collect(),
            devices: (0..DEVICES).map(|_| fresh_device()).collect(),
            of: vec![Person::default(); USERS],
            relations: BTreeMap::new(),
            written: WrittenEntries::new(),
            steps: 0,
        }
    }

    /// The time of the last step.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp(START.0 + OLD_MS + self.steps * STEP_MS)
    }

    /// When a device was seen.
    pub(super) fn sight(&self, late: bool) -> Timestamp {
        let back = if late { OLD_MS } else { 0 };
        Timestamp(self.now().0 - back)
    }

    pub(super) fn relation(&self, user: usize, other: usize) -> Relation {
        let kept = self.relations.get(&(user, other)).copied();
        kept.unwrap_or_default()
    }

    pub(super) fn apply(&mut self, step: &PeopleStep) {
        self.steps += 1;
        self.written.clear();
        match step {
            PeopleStep::See {
                user,
                device,
                named,
                late,
            } => self.see(*user, *device, *named, *late),
            PeopleStep::Forget { user, device } => self.forget(*user, *device),
            PeopleStep::Relate {
                user,
                other,
                change,
            } => self.relate(*user, *other, *change),
            PeopleStep::SetPrefs {
                user,
                channel,
                change,
            } => self.set_prefs(*user, *channel, change),
            PeopleStep::SetProfile { user, change } => self.set_profile(*user, change),
            PeopleStep::SetStatus { user, status } => {
                let kept = self.of[*user].status.get_or_insert_default();
                // Which numbers a store gives is its own; the model compares whether they rise.
                *kept = KeptStatus {
                    state: status.state,
                    text: status.text.clone(),
                    rev: kept.rev + 1,
                };
            }
            PeopleStep::Page { .. } | PeopleStep::Reopen => {}
        }
    }

    fn tell(&mut self, user: usize, kind: UserEntryKind, at: Timestamp) {
        let log = &mut self.of[user].log;
        let seq = Seq(log.len() as u64 + 1);
        let entry = UserEntry { seq, at, kind };
        log.push(entry.clone());
        let written = self.written.entry(self.users[user].clone());
        written.or_default().push(entry);
    }

    fn known(&mut self, user: usize, name: Option<String>, at: Timestamp) -> &mut Profile {
        self.of[user].profile.get_or_insert_with(|| Profile {
            user: self.users[user].clone(),
            name,
            direct: DirectFrom::default(),
            created_at: at,
        })
    }

    fn see(&mut self, user: usize, device: usize, named: bool, late: bool) {
        let (id, at) = (self.devices[device], self.sight(late));
        self.known(user, named.then(|| name(user)), at);
        let devices = &mut self.of[user].devices;
        if let Some(known) = devices.iter_mut().find(|known| known.device == id) {
            known.seen_at = known.seen_at.max(at);
            return;
        }
        let device = Device {
            device: id,
            name: client(user),
            platform: String::new(),
            created_at: at,
            seen_at: at,
        };
        let told = device.told();
        devices.push(device);
        devices.sort_by_key(|device| device.created_at);
        self.tell(user, told, at);
    }

    fn forget(&mut self, user: usize, device: usize) {
        let id = self.devices[device];
        let devices = &mut self.of[user].devices;
        let before = devices.len();
        devices.retain(|known| known.device != id);
        if devices.len() < before {
            self.tell(user, Device::told_removed(id), self.now());
        }
    }

    fn relate(&mut self, user: usize, other: usize, change: RelationChange) {
        if user == other {
            return;
        }
        let before = self.relation(user, other);
        let next = before.after(change);
        let at = self.now();
        for (of, to, before, next) in [
            (user, other, before, next),
            (other, user, before.mirror(), next.mirror()),
        ] {
            self.relations.insert((of, to), next);
            let to = self.users[to].clone();
            for kind in before.told(next, &to) {
                self.tell(of, kind, at);
            }
        }
    }

    fn set_prefs(&mut self, user: usize, channel: usize, change: &Prefs) {
        let (channel, at) = (self.channels[channel], self.now());
        let person = &mut self.of[user];
        let Some(prefs) = person.prefs.entry(channel).or_default().merge(change) else {
            return;
        };
        if prefs.draft.is_some() {
            let of_channel = person.log.iter_mut().filter(|entry| {
                matches!(&entry.kind, UserEntryKind::Prefs(told) if told.channel == channel)
            });
            of_channel.for_each(UserEntry::forget_draft);
        }
        let told = UserEntryKind::Prefs(PrefsChange { channel, prefs });
        self.tell(user, told, at);
    }

    fn set_profile(&mut self, user: usize, change: &ProfileChange) {
        let at = self.now();
        let profile = self.known(user, None, at);
        let changed = change.apply(&mut profile.name, &mut profile.direct);
        if let Some(changed) = changed {
            self.tell(user, UserEntryKind::Profile(changed), at);
        }
    }
}

/// The name that a user's token tells.
pub(super) fn name(user: usize) -> String {
    format!("User {user}")
}

/// The client program of a user's devices.
pub(super) fn client(user: usize) -> String {
    format!("model-{user}/1.0")
}
