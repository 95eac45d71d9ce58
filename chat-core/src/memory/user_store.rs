//! Users, their devices, and what they have beside channels.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chat_proto::people::{
    ContactState, DirectFrom, Prefs, PrefsChange, Relation, UserEntry, UserEntryKind,
};
use chat_proto::{ChannelId, DeviceId, Epoch, Seq, Timestamp, UserId};

use super::MemoryStore;
use super::page::page;
use super::person::Person;
use super::state::{State, User};
use crate::ports::{
    Device, DeviceSeen, KeptStatus, PeoplePage, PeopleQuery, PortError, PrefsWrite, Profile,
    ProfileWrite, RelationWrite, UserEntriesPage, UserEntriesQuery, UserStatus, UserStore,
    WrittenEntries,
};

#[async_trait]
impl UserStore for MemoryStore {
    async fn epoch(&self) -> Result<Epoch, PortError> {
        Ok(self.epoch)
    }

    async fn seen(&self, seen: DeviceSeen) -> Result<WrittenEntries, PortError> {
        let mut state = self.state();
        let user = state.user_at_first_sight(&seen.user, seen.user_name, seen.at);
        if let Some(known) = user.devices.get_mut(&seen.device) {
            known.seen_at = known.seen_at.max(seen.at);
            return Ok(WrittenEntries::new());
        }
        let device = Device {
            device: seen.device,
            name: seen.client,
            platform: String::new(),
            created_at: seen.at,
            seen_at: seen.at,
        };
        let told = device.told();
        user.devices.insert(seen.device, device);
        Ok(state.people.tell(&seen.user, seen.at, [told]))
    }

    async fn profile(&self, user: &UserId) -> Result<Option<Profile>, PortError> {
        Ok(self
            .state()
            .users
            .get(user)
            .map(|known| known.profile.clone()))
    }

    async fn set_profile(&self, write: ProfileWrite) -> Result<WrittenEntries, PortError> {
        let ProfileWrite { user, change, at } = write;
        let mut state = self.state();
        let profile = &mut state.user_at_first_sight(&user, None, at).profile;
        let changed = change.apply(&mut profile.name, &mut profile.direct);
        let told = changed.map(UserEntryKind::Profile);
        Ok(state.people.tell(&user, at, told))
    }

    async fn devices(&self, user: &UserId) -> Result<Vec<Device>, PortError> {
        let state = self.state();
        let devices = state
            .users
            .get(user)
            .map(|known| known.devices.values().cloned());
        let mut devices: Vec<Device> = devices.into_iter().flatten().collect();
        devices.sort_by_key(|device| (device.created_at, device.device));
        Ok(devices)
    }

    async fn forget_device(
        &self,
        user: &UserId,
        device: DeviceId,
        at: Timestamp,
    ) -> Result<WrittenEntries, PortError> {
        let mut state = self.state();
        let known = state.users.get_mut(user);
        let removed = known.and_then(|known| known.devices.remove(&device));
        let told = removed.map(|_| Device::told_removed(device));
        Ok(state.people.tell(user, at, told))
    }

    async fn user_seq(&self, user: &UserId) -> Result<Seq, PortError> {
        Ok(self.state().people.get(user).map_or(Seq(0), Person::head))
    }

    async fn entries(&self, query: UserEntriesQuery) -> Result<UserEntriesPage, PortError> {
        let state = self.state();
        let Some(person) = state.people.get(&query.user) else {
            return Ok(UserEntriesPage::default());
        };
        let following = person.log_after(query.after).iter();
        Ok(UserEntriesPage {
            entries: page(following.cloned(), query.limit, UserEntry::size_bytes).0,
            head: person.head(),
        })
    }

    async fn relate(&self, write: RelationWrite) -> Result<WrittenEntries, PortError> {
        write.check("users.relate")?;
        let RelationWrite {
            user,
            other,
            change,
            at,
        } = write;
        Ok(self.state().people.relate(&user, &other, change, at))
    }

    async fn relations(
        &self,
        user: &UserId,
        others: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, Relation>, PortError> {
        let state = self.state();
        let relation = |other: &UserId| (other.clone(), state.people.relation(user, other));
        Ok(others.iter().map(relation).collect())
    }

    async fn contacts(
        &self,
        query: PeopleQuery,
    ) -> Result<PeoplePage<(UserId, ContactState)>, PortError> {
        let state = self.state();
        let relations = state.people.relations_of(&query.user, query.after.as_ref());
        let shown = relations.filter_map(|(other, relation)| {
            relation
                .shown_contact()
                .map(|contact| (other.clone(), contact))
        });
        Ok(people(shown, query.limit))
    }

    async fn blocks(&self, query: PeopleQuery) -> Result<PeoplePage<UserId>, PortError> {
        let state = self.state();
        let relations = state.people.relations_of(&query.user, query.after.as_ref());
        let blocked = relations
            .filter(|(_, relation)| relation.blocks)
            .map(|(other, _)| other.clone());
        Ok(people(blocked, query.limit))
    }

    async fn set_prefs(&self, write: PrefsWrite) -> Result<WrittenEntries, PortError> {
        let PrefsWrite {
            user,
            channel,
            change,
            at,
        } = write;
        let mut state = self.state();
        let person = state.people.of(&user);
        let mut prefs = person.prefs.get(&channel).cloned().unwrap_or_default();
        let changed = prefs.merge(&change);
        if prefs.is_empty() {
            person.prefs.remove(&channel);
        } else {
            person.prefs.insert(channel, prefs);
        }
        if changed
            .as_ref()
            .is_some_and(|changed| changed.draft.is_some())
        {
            person.forget_draft(channel);
        }
        let told = changed.map(|prefs| UserEntryKind::Prefs(PrefsChange { channel, prefs }));
        Ok(state.people.tell(&user, at, told))
    }

    async fn prefs(
        &self,
        user: &UserId,
        channels: &[ChannelId],
    ) -> Result<BTreeMap<ChannelId, Prefs>, PortError> {
        let state = self.state();
        let Some(person) = state.people.get(user) else {
            return Ok(BTreeMap::new());
        };
        let kept = |channel: &ChannelId| Some((*channel, person.prefs.get(channel)?.clone()));
        Ok(channels.iter().filter_map(kept).collect())
    }

    async fn set_status(&self, user: &UserId, status: UserStatus) -> Result<(), PortError> {
        let mut state = self.state();
        let kept = state.people.of(user).status.get_or_insert_default();
        *kept = KeptStatus {
            state: status.state,
            text: status.text,
            rev: kept.rev + 1,
        };
        Ok(())
    }

    async fn statuses(
        &self,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, KeptStatus>, PortError> {
        let state = self.state();
        let status = |user: &UserId| {
            let person = state.people.get(user)?;
            Some((user.clone(), person.status.clone()?))
        };
        Ok(users.iter().filter_map(status).collect())
    }
}

/// As many as the limit allows, and whether there are more.
fn people<T>(mut found: impl Iterator<Item = T>, limit: usize) -> PeoplePage<T> {
    PeoplePage {
        people: found.by_ref().take(limit).collect(),
        more: found.next().is_some(),
    }
}

impl State {
    /// The user, made known with this name if nobody knew them.
    pub(super) fn user_at_first_sight(
        &mut self,
        user: &UserId,
        name: Option<String>,
        at: Timestamp,
    ) -> &mut User {
        self.users.entry(user.clone()).or_insert_with(|| User {
            profile: Profile {
                user: user.clone(),
                name,
                direct: DirectFrom::default(),
                created_at: at,
            },
            password_hash: None,
            devices: Default::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use chat_proto::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn seen(device: u128, name: &str, at: u64) -> DeviceSeen {
        DeviceSeen {
            user: "ann".parse().expect("a good name"),
            device: DeviceId::from_uuid(Uuid::from_u128(device)),
            user_name: Some(name.to_owned()),
            client: format!("{name}/1.0"),
            at: Timestamp(at),
        }
    }

    #[tokio::test]
    async fn seeing_again_changes_only_the_time() -> Result<(), PortError> {
        let store = MemoryStore::new();
        store.seen(seen(2, "Ann", 10)).await?;
        store.seen(seen(1, "Other", 20)).await?;
        store.seen(seen(2, "Other", 30)).await?;
        store.seen(seen(2, "Other", 25)).await?;
        let ann = "ann".parse().expect("a good name");
        assert_eq!(
            store
                .profile(&ann)
                .await?
                .and_then(|profile| profile.name)
                .as_deref(),
            Some("Ann")
        );
        let devices = store.devices(&ann).await?;
        let told: Vec<_> = devices
            .iter()
            .map(|d| (d.name.as_str(), d.created_at.0, d.seen_at.0))
            .collect();
        assert_eq!(told, [("Ann/1.0", 10, 30), ("Other/1.0", 20, 20)]);
        Ok(())
    }
}
