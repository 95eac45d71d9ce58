//! A `UserStore` held to its model.

use std::collections::BTreeSet;

use chat_core::ports::{
    DeviceSeen, PageLimit, PeoplePage, PeopleQuery, PortErrorKind, PrefsWrite, ProfileWrite,
    RelationWrite, UserEntriesQuery, WrittenEntries,
};
use chat_core::proto::people::{
    DirectFrom, Prefs, ProfileChange, RelationChange, Status, UserEntry,
};
use chat_core::proto::{Epoch, Seq, Timestamp, UserId};
use proptest::option;
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::people::{CHANNELS, DEVICES, People, PeopleStep, USERS, client, name};
use super::runner::Model;
use crate::factory::Opened;

/// Entries of a page that holds a user's whole log.
const LOG: PageLimit = PageLimit {
    entries: 10_000,
    bytes: 64 * 1024 * 1024,
};

/// Users of a page when a whole list is read: fewer than there are.
const LIST_PAGE: usize = 1;

/// The model of `UserStore`.
pub struct UserStoreModel;

/// The store, and what it gave that the model does not say.
pub struct Subject {
    opened: Opened,
    epoch: Epoch,
    /// The last rev of each user's status.
    revs: Vec<u64>,
}

impl ReferenceStateMachine for UserStoreModel {
    type State = People;
    type Transition = PeopleStep;

    fn init_state() -> BoxedStrategy<People> {
        Just(()).prop_map(|()| People::fresh()).boxed()
    }

    fn transitions(_: &People) -> BoxedStrategy<PeopleStep> {
        let user = 0..USERS;
        prop_oneof![
            3 => (user.clone(), 0..DEVICES, any::<bool>(), any::<bool>()).prop_map(
                |(user, device, named, late)| PeopleStep::See { user, device, named, late }
            ),
            1 => (user.clone(), 0..DEVICES)
                .prop_map(|(user, device)| PeopleStep::Forget { user, device }),
            8 => (user.clone(), user.clone(), relation_changes())
                .prop_map(|(user, other, change)| PeopleStep::Relate { user, other, change }),
            4 => (user.clone(), 0..CHANNELS, prefs())
                .prop_map(|(user, channel, change)| PeopleStep::SetPrefs { user, channel, change }),
            4 => (user.clone(), profiles())
                .prop_map(|(user, change)| PeopleStep::SetProfile { user, change }),
            2 => (user.clone(), statuses())
                .prop_map(|(user, status)| PeopleStep::SetStatus { user, status }),
            3 => (user, 0..12_u64, 1..5_usize, 1..1_500_usize).prop_map(
                |(user, after, entries, bytes)| PeopleStep::Page { user, after, entries, bytes }
            ),
            1 => Just(PeopleStep::Reopen),
        ]
        .boxed()
    }

    fn apply(mut state: People, step: &PeopleStep) -> People {
        state.apply(step);
        state
    }
}

impl Model for UserStoreModel {
    type Opened = Opened;
    type Subject = Subject;

    fn fresh() -> People {
        People::fresh()
    }

    async fn begin(opened: Opened, _: &People) -> Subject {
        let epoch = opened.users().epoch().await;
        Subject {
            opened,
            epoch: epoch.expect("the store answers"),
            revs: vec![0; USERS],
        }
    }

    async fn step(mut subject: Subject, after: &People, step: PeopleStep) -> Subject {
        if matches!(step, PeopleStep::Reopen) {
            subject.opened = subject.opened.reopen().await;
            let epoch = subject.opened.users().epoch().await;
            assert_eq!(epoch.expect("the store answers"), subject.epoch);
        } else {
            let written = subject.take(after, step).await;
            assert_eq!(
                written, after.written,
                "a write answers exactly what it wrote"
            );
        }
        for user in 0..USERS {
            subject.compare(after, user).await;
        }
        subject
    }
}

impl Subject {
    async fn take(&mut self, model: &People, step: PeopleStep) -> WrittenEntries {
        let users = self.opened.users();
        let (of, at) = (|user: usize| model.users[user].clone(), model.now());
        let written = match step {
            PeopleStep::See {
                user,
                device,
                named,
                late,
            } => {
                let seen = DeviceSeen {
                    user: of(user),
                    device: model.devices[device],
                    user_name: named.then(|| name(user)),
                    client: client(user),
                    at: model.sight(late),
                };
                users.seen(seen).await
            }
            PeopleStep::Forget { user, device } => {
                let device = model.devices[device];
                users.forget_device(&of(user), device, at).await
            }
            PeopleStep::Relate {
                user,
                other,
                change,
            } => {
                let (user, other) = (of(user), of(other));
                let to_oneself = user == other;
                let related = users
                    .relate(RelationWrite {
                        user,
                        other,
                        change,
                        at,
                    })
                    .await;
                if to_oneself {
                    let refused = related.expect_err("nobody is related to themselves");
                    assert_eq!(refused.kind(), PortErrorKind::Misuse);
                    return WrittenEntries::new();
                }
                related
            }
            PeopleStep::SetPrefs {
                user,
                channel,
                change,
            } => {
                let write = PrefsWrite {
                    user: of(user),
                    channel: model.channels[channel],
                    change,
                    at,
                };
                users.set_prefs(write).await
            }
            PeopleStep::SetProfile { user, change } => {
                let write = ProfileWrite {
                    user: of(user),
                    change,
                    at,
                };
                users.set_profile(write).await
            }
            PeopleStep::SetStatus { user, status } => {
                let set = users.set_status(&of(user), status).await;
                set.map(|()| WrittenEntries::new())
            }
            PeopleStep::Page {
                user,
                after,
                entries,
                bytes,
            } => {
                let limit = PageLimit { entries, bytes };
                self.compare_page(model, user, Seq(after), limit).await;
                return WrittenEntries::new();
            }
            PeopleStep::Reopen => unreachable!("reopening takes the whole subject"),
        };
        written.expect("the store answers")
    }

    async fn compare(&mut self, model: &People, user: usize) {
        self.compare_page(model, user, Seq(0), LOG).await;
        self.compare_relations(model, user).await;
        self.compare_status(model, user).await;
        let (users, id, person) = (self.opened.users(), &model.users[user], &model.of[user]);
        let head = users.user_seq(id).await.expect("the store answers");
        assert_eq!(head, Seq(person.log.len() as u64), "the head of the log");
        let profile = users.profile(id).await.expect("the store answers");
        assert_eq!(profile, person.profile, "the profile");
        let devices = users.devices(id).await.expect("the store answers");
        assert_eq!(devices, person.devices, "the devices, oldest first");
        let prefs = users.prefs(id, &model.channels).await;
        let mut expected = person.prefs.clone();
        expected.retain(|_, prefs| !prefs.is_empty());
        assert_eq!(prefs.expect("the store answers"), expected, "preferences");
    }

    async fn compare_page(&self, model: &People, user: usize, after: Seq, limit: PageLimit) {
        let query = UserEntriesQuery {
            user: model.users[user].clone(),
            after,
            limit,
        };
        let page = self.opened.users().entries(query).await;
        let page = page.expect("the store answers");
        let log = &model.of[user].log;
        let following = log.iter().filter(|entry| entry.seq > after);
        assert_eq!(page.entries, within(following, limit), "a page of the log");
        assert_eq!(page.head, Seq(log.len() as u64), "the page's head");
    }

    async fn compare_relations(&self, model: &People, user: usize) {
        let (users, id) = (self.opened.users(), &model.users[user]);
        let asked: BTreeSet<UserId> = model.users.iter().cloned().collect();
        let relations = users.relations(id, &asked).await;
        let relations = relations.expect("the store answers");
        let others = || (0..USERS).map(|other| (&model.users[other], model.relation(user, other)));
        for (other, expected) in others() {
            assert_eq!(relations.get(other), Some(&expected), "a relation");
        }
        let listed = whole_list(|query| users.contacts(query), id, |(other, _)| other).await;
        let shown = others()
            .filter_map(|(other, relation)| Some((other.clone(), relation.shown_contact()?)));
        assert_eq!(listed, shown.collect::<Vec<_>>(), "the list of contacts");
        let listed = whole_list(|query| users.blocks(query), id, |other| other).await;
        let blocked = others().filter(|(_, relation)| relation.blocks);
        let blocked: Vec<UserId> = blocked.map(|(other, _)| other.clone()).collect();
        assert_eq!(listed, blocked, "the list of blocks");
    }

    async fn compare_status(&mut self, model: &People, user: usize) {
        let id = &model.users[user];
        let statuses = self.opened.users().statuses(&[id.clone()].into()).await;
        let kept = statuses.expect("the store answers").remove(id);
        let expected = model.of[user].status.as_ref();
        let said = |status: &chat_core::ports::KeptStatus| (status.state, status.text.clone());
        assert_eq!(kept.as_ref().map(said), expected.map(said), "the status");
        if let (Some(kept), Some(expected)) = (kept, expected) {
            // The model counts how often a status was set.
            assert!(kept.rev >= expected.rev, "each status has a higher rev");
            assert!(kept.rev >= self.revs[user], "a rev never falls");
            self.revs[user] = kept.rev;
        }
    }
}

/// The first entries that a page may hold: at least one, if there is one.
fn within<'a>(entries: impl Iterator<Item = &'a UserEntry>, limit: PageLimit) -> Vec<UserEntry> {
    let mut bytes = 0;
    let fitting = entries.take(limit.entries).enumerate();
    fitting
        .take_while(|(place, entry)| {
            bytes += entry.size_bytes();
            *place == 0 || bytes <= limit.bytes
        })
        .map(|(_, entry)| entry.clone())
        .collect()
}

/// A list of other users over all its pages.
async fn whole_list<T, F>(
    page: impl Fn(PeopleQuery) -> F,
    user: &UserId,
    id: impl Fn(&T) -> &UserId,
) -> Vec<T>
where
    F: Future<Output = Result<PeoplePage<T>, chat_core::ports::PortError>>,
{
    let mut listed: Vec<T> = Vec::new();
    // A page more than can be, so that a list without end is seen to be one.
    for _ in 0..=USERS {
        let query = PeopleQuery {
            user: user.clone(),
            after: listed.last().map(|last| id(last).clone()),
            limit: LIST_PAGE,
        };
        let mut found = page(query).await.expect("the store answers");
        assert!(found.people.len() <= LIST_PAGE, "a page heeds its limit");
        listed.append(&mut found.people);
        if !found.more {
            return listed;
        }
    }
    panic!("a list of at most {USERS} users has no end");
}

fn relation_changes() -> impl Strategy<Value = RelationChange> {
    prop_oneof![
        4 => Just(RelationChange::PutContact),
        2 => Just(RelationChange::RemoveContact),
        2 => Just(RelationChange::Block),
        1 => Just(RelationChange::Unblock),
    ]
}

fn prefs() -> impl Strategy<Value = Prefs> {
    let draft = prop_oneof![
        Just(String::new()),
        Just("a draft".to_owned()),
        Just("\u{202E}another\u{0}one".to_owned()),
        Just("long ".repeat(60)),
    ];
    let fields = (
        option::of((0..3_u64).prop_map(Timestamp)),
        option::of(any::<bool>()),
        option::of(any::<bool>()),
        option::of(draft),
    );
    fields.prop_map(|(mute_until_ms, archived, marked_unread, draft)| Prefs {
        mute_until_ms,
        archived,
        marked_unread,
        draft,
    })
}

fn profiles() -> impl Strategy<Value = ProfileChange> {
    let name = prop_oneof![
        Just(String::new()),
        Just("Ann".to_owned()),
        Just("\u{1F469}\u{200D}\u{1F52C}".to_owned()),
    ];
    let direct = prop_oneof![Just(DirectFrom::All), Just(DirectFrom::Contacts)];
    (option::of(name), option::of(direct)).prop_map(|(name, direct)| ProfileChange { name, direct })
}

fn statuses() -> impl Strategy<Value = chat_core::ports::UserStatus> {
    let state = prop_oneof![
        Just(Status::Online),
        Just(Status::Away),
        Just(Status::Busy),
        Just(Status::Invisible),
    ];
    let text = option::of(Just("at lunch".to_owned()));
    (state, text).prop_map(|(state, text)| chat_core::ports::UserStatus { state, text })
}
