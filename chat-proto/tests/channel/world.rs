//! A channel with the least that an engine and a store do around the rules.

use std::collections::BTreeMap;

use chat_proto::channel::{
    Action, Context, Decision, Member, MemberChange, NewBody, NewChannel, NewMessage, Reception,
    Target, decide, evolve, member_changes, needs, stamp, successor,
};
use chat_proto::entry::{Delete, MemberRole, MembersChange, Pin, React};
use chat_proto::{
    Body, ChannelId, ChannelState, ChannelType, ClientId, Command, DeviceId, EntryKind, Head,
    History, Limits, MessageId, Record, Rejection, Role, Seq, Timestamp, UserId,
};
use uuid::Uuid;

pub(crate) fn user(number: usize) -> UserId {
    format!("u{number:03}").parse().expect("a good name")
}

pub(crate) fn client_id(number: u64) -> ClientId {
    ClientId::from_uuid(Uuid::from_u128(u128::from(number)))
}

pub(crate) fn device() -> DeviceId {
    DeviceId::from_uuid(Uuid::from_u128(7))
}

pub(crate) fn group(members: usize, history: History) -> NewChannel {
    NewChannel {
        channel_type: ChannelType::Group,
        title: Some("a group".into()),
        members: (1..members).map(user).collect(),
        history,
        data: None,
        external_id: None,
    }
}

pub(crate) fn say(text: &str) -> Action {
    Action::Send(NewMessage::new(Body::text(text)))
}

pub(crate) fn role(number: usize, role: Role) -> MemberRole {
    MemberRole {
        user: user(number),
        role,
    }
}

pub(crate) fn add(members: impl IntoIterator<Item = MemberRole>) -> Action {
    Action::Members(MembersChange {
        add: members.into_iter().collect(),
        ..MembersChange::default()
    })
}

pub(crate) fn remove(users: impl IntoIterator<Item = usize>) -> Action {
    Action::Members(MembersChange {
        remove: users.into_iter().map(user).collect(),
        ..MembersChange::default()
    })
}

pub(crate) fn set_role(number: usize, to: Role) -> Action {
    Action::Members(MembersChange {
        role: vec![role(number, to)],
        ..MembersChange::default()
    })
}

pub(crate) fn edit(target: u64, text: &str) -> Action {
    Action::Edit(NewBody {
        target: Seq(target),
        body: Body::text(text),
    })
}

pub(crate) fn delete(target: u64) -> Action {
    Action::Delete(Delete {
        target: Seq(target),
    })
}

pub(crate) fn react(target: u64, emoji: &str, remove: bool) -> Action {
    Action::React(React {
        target: Seq(target),
        emoji: emoji.to_owned(),
        remove,
    })
}

pub(crate) fn pin(target: u64, remove: bool) -> Action {
    Action::Pin(Pin {
        target: Seq(target),
        remove,
    })
}

/// A log, its fold, and the member rows that a store keeps by the views.
pub(crate) struct World {
    pub(crate) state: ChannelState,
    pub(crate) log: Vec<Record>,
    pub(crate) rows: BTreeMap<UserId, Member>,
    /// How the other user of a direct channel takes messages now.
    pub(crate) reception: Reception,
    limits: Limits,
    commands: u64,
}

impl World {
    pub(crate) fn new(channel: ChannelId) -> Self {
        Self {
            state: ChannelState::empty(channel),
            log: Vec::new(),
            rows: BTreeMap::new(),
            reception: Reception::default(),
            limits: Limits::default(),
            commands: 0,
        }
    }

    /// A group of `u000`, who owns it, and the users after.
    pub(crate) fn group(members: usize, history: History) -> Self {
        let mut world = Self::new(ChannelId::created(&user(0), client_id(1)));
        let created = world.act(0, Action::Create(group(members, history)));
        assert_eq!(created.expect("a group begins"), 1);
        world
    }

    /// The command of a user's device, with a key of its own.
    pub(crate) fn command(&mut self, from: usize, action: Action) -> Command {
        self.commands += 1;
        let id = client_id(self.commands);
        Command::of_device(user(from), device(), Some(id), action)
    }

    /// How many entries a user's wish made.
    pub(crate) fn act(&mut self, from: usize, action: Action) -> Result<usize, Rejection> {
        let command = self.command(from, action);
        self.carry_out(&command)
    }

    /// How many entries the embedding program's wish made.
    pub(crate) fn act_as_system(&mut self, action: Action) -> Result<usize, Rejection> {
        let mut command = self.command(0, action);
        command.from = "system".parse().expect("a good name");
        command.device = None;
        command.system = true;
        self.carry_out(&command)
    }

    pub(crate) fn carry_out(&mut self, command: &Command) -> Result<usize, Rejection> {
        let drafts = match self.decide(command)? {
            Decision::AlreadySo => return Ok(0),
            Decision::Record(drafts) => drafts,
        };
        let last = self.state.last_message_id().0;
        let ids: Vec<MessageId> = (1..=drafts.len() as u64)
            .map(|k| MessageId(last + k))
            .collect();
        // A clock that steps back now and then.
        let at = Timestamp(1_000 + self.state.head().seq.0 * 7 % 5);
        let records = stamp(&self.state, command, drafts, &ids, at);
        for record in &records {
            apply(&mut self.rows, &member_changes(&self.state, &record.entry));
            evolve(&mut self.state, &record.entry, record.key.as_ref());
        }
        let number = records.len();
        self.log.extend(records);
        Ok(number)
    }

    pub(crate) fn decide(&self, command: &Command) -> Result<Decision, Rejection> {
        let needs = needs(&self.state, command);
        let leaving = match &command.action {
            Action::Members(change) => change.remove.as_slice(),
            _ => &[],
        };
        let staying = self.rows.iter().filter(|(user, _)| !leaving.contains(user));
        let context = Context {
            memberships: needs
                .members
                .iter()
                .map(|user| (user.clone(), self.rows.get(user).copied()))
                .collect(),
            successor: needs
                .successor
                .then(|| successor(staying.map(|(user, member)| (user, *member))))
                .flatten(),
            targets: needs
                .targets
                .iter()
                .map(|seq| (*seq, self.target(*seq, &command.from)))
                .collect(),
            reception: needs.reception.map(|_| self.reception),
            ..Context::new(&self.limits)
        };
        decide(&self.state, command, &context)
    }

    /// The head after the first `entries` of the log.
    pub(crate) fn head_after(&self, entries: usize) -> Head {
        match entries.checked_sub(1) {
            None => Head::EMPTY,
            Some(last) => self.log[last].entry.head(),
        }
    }

    pub(crate) fn last(&self) -> &EntryKind {
        &self.log.last().expect("a log that began").entry.kind
    }

    fn target(&self, seq: Seq, caller: &UserId) -> Option<Target> {
        let place = usize::try_from(seq.0).expect("a short log") - 1;
        let mut target = Target::of(&self.log[place].entry)?;
        for later in &self.log[place + 1..] {
            target.apply(seq, &later.entry, caller);
        }
        Some(target)
    }
}

/// What a store does with the changes of member rows: no thought of its own.
fn apply(rows: &mut BTreeMap<UserId, Member>, changes: &[MemberChange]) {
    for change in changes {
        match change {
            MemberChange::Joined {
                user,
                role,
                joined,
                visible_from,
            } => {
                let row = Member {
                    role: *role,
                    joined: *joined,
                    visible_from: *visible_from,
                };
                let before = rows.insert(user.clone(), row);
                assert_eq!(before, None, "who joins was not there");
            }
            MemberChange::Left { user } => {
                rows.remove(user).expect("who leaves was there");
            }
            MemberChange::Role { user, role } => {
                rows.get_mut(user)
                    .expect("whose role changes is there")
                    .role = *role;
            }
        }
    }
}
