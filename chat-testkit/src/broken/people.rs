//! Users, relations and logs of their own that go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use chat_core::ports::{
    Device, DeviceSeen, KeptStatus, PeoplePage, PeopleQuery, PortError, PrefsWrite, ProfileWrite,
    RelationWrite, UserEntriesPage, UserEntriesQuery, UserStatus, UserStore, WrittenEntries,
};
use chat_core::proto::people::{
    ContactState, Prefs, Relation, RelationChange, UserEntry, UserEntryKind,
};
use chat_core::proto::{ChannelId, DeviceId, Seq, Timestamp, UserId};

use super::appends::lock;
use super::users::UsersTwist;

/// How often a look waits for another one.
const LOOKS_AWAITED_MAX: usize = 10_000;

/// Forgets the name that came with the first sight.
#[derive(Default)]
pub struct NamelessAtFirstSight;

#[async_trait]
impl UsersTwist for NamelessAtFirstSight {
    async fn seen(
        &self,
        inner: &dyn UserStore,
        seen: DeviceSeen,
    ) -> Result<WrittenEntries, PortError> {
        let seen = DeviceSeen {
            user_name: None,
            ..seen
        };
        inner.seen(seen).await
    }
}

/// Makes a device anew whenever it is seen.
#[derive(Default)]
pub struct DevicesAnewAtEverySight;

#[async_trait]
impl UsersTwist for DevicesAnewAtEverySight {
    async fn seen(
        &self,
        inner: &dyn UserStore,
        seen: DeviceSeen,
    ) -> Result<WrittenEntries, PortError> {
        inner
            .forget_device(&seen.user, seen.device, seen.at)
            .await?;
        inner.seen(seen).await
    }
}

/// Lists devices in the order of their ids.
#[derive(Default)]
pub struct DevicesById;

#[async_trait]
impl UsersTwist for DevicesById {
    async fn devices(
        &self,
        inner: &dyn UserStore,
        user: &UserId,
    ) -> Result<Vec<Device>, PortError> {
        let mut devices = inner.devices(user).await?;
        devices.sort_by_key(|device| device.device);
        Ok(devices)
    }
}

/// Forgets no device.
#[derive(Default)]
pub struct KeepsForgottenDevices;

#[async_trait]
impl UsersTwist for KeepsForgottenDevices {
    async fn forget_device(
        &self,
        _: &dyn UserStore,
        _: &UserId,
        _: DeviceId,
        _: Timestamp,
    ) -> Result<WrittenEntries, PortError> {
        Ok(WrittenEntries::new())
    }
}

/// Leaves devices out of the log.
#[derive(Default)]
pub struct SilentAboutDevices;

#[async_trait]
impl UsersTwist for SilentAboutDevices {
    async fn entries(
        &self,
        inner: &dyn UserStore,
        query: UserEntriesQuery,
    ) -> Result<UserEntriesPage, PortError> {
        let mut page = inner.entries(query).await?;
        page.entries
            .retain(|entry| !matches!(entry.kind, UserEntryKind::Device(_)));
        Ok(page)
    }
}

/// Counts an entry more than there is.
#[derive(Default)]
pub struct UserSeqFromOne;

#[async_trait]
impl UsersTwist for UserSeqFromOne {
    async fn user_seq(&self, inner: &dyn UserStore, user: &UserId) -> Result<Seq, PortError> {
        Ok(inner.user_seq(user).await?.next())
    }
}

/// Is an entry behind.
#[derive(Default)]
pub struct UserSeqBehindTheLog;

#[async_trait]
impl UsersTwist for UserSeqBehindTheLog {
    async fn user_seq(&self, inner: &dyn UserStore, user: &UserId) -> Result<Seq, PortError> {
        Ok(inner.user_seq(user).await?.previous())
    }
}

/// Gives out numbers that no entry gets.
#[derive(Default)]
pub struct HolesInTheUsersLog;

#[async_trait]
impl UsersTwist for HolesInTheUsersLog {
    async fn entries(
        &self,
        inner: &dyn UserStore,
        query: UserEntriesQuery,
    ) -> Result<UserEntriesPage, PortError> {
        let mut page = inner.entries(query).await?;
        for entry in &mut page.entries {
            entry.seq = Seq(entry.seq.0 * 2);
        }
        Ok(page)
    }
}

/// Shows everybody the log that was written last.
#[derive(Default)]
pub struct OneLogForAll {
    last: Mutex<Option<UserId>>,
}

#[async_trait]
impl UsersTwist for OneLogForAll {
    async fn set_prefs(
        &self,
        inner: &dyn UserStore,
        write: PrefsWrite,
    ) -> Result<WrittenEntries, PortError> {
        *lock(&self.last) = Some(write.user.clone());
        inner.set_prefs(write).await
    }

    async fn entries(
        &self,
        inner: &dyn UserStore,
        query: UserEntriesQuery,
    ) -> Result<UserEntriesPage, PortError> {
        let user = lock(&self.last).clone().unwrap_or(query.user);
        inner.entries(UserEntriesQuery { user, ..query }).await
    }
}

/// Starts a page at the entry that is known.
#[derive(Default)]
pub struct UserPagesOffByOne;

#[async_trait]
impl UsersTwist for UserPagesOffByOne {
    async fn entries(
        &self,
        inner: &dyn UserStore,
        query: UserEntriesQuery,
    ) -> Result<UserEntriesPage, PortError> {
        let after = query.after.previous();
        inner.entries(UserEntriesQuery { after, ..query }).await
    }
}

/// Heeds no limit of bytes.
#[derive(Default)]
pub struct UserPageBytesForgotten;

#[async_trait]
impl UsersTwist for UserPageBytesForgotten {
    async fn entries(
        &self,
        inner: &dyn UserStore,
        mut query: UserEntriesQuery,
    ) -> Result<UserEntriesPage, PortError> {
        query.limit.bytes = usize::MAX;
        inner.entries(query).await
    }
}

/// Answers only with what it wrote to the log of who did it.
#[derive(Default)]
pub struct TellsOnlyWhoDidIt;

#[async_trait]
impl UsersTwist for TellsOnlyWhoDidIt {
    async fn relate(
        &self,
        inner: &dyn UserStore,
        write: RelationWrite,
    ) -> Result<WrittenEntries, PortError> {
        let user = write.user.clone();
        let mut written = inner.relate(write).await?;
        written.retain(|told, _| *told == user);
        Ok(written)
    }
}

/// Writes a draft also where it is so already.
#[derive(Default)]
pub struct WritesDraftsAgain;

#[async_trait]
impl UsersTwist for WritesDraftsAgain {
    async fn set_prefs(
        &self,
        inner: &dyn UserStore,
        write: PrefsWrite,
    ) -> Result<WrittenEntries, PortError> {
        let change = Prefs {
            draft: Some(String::new()),
            ..Prefs::default()
        };
        inner
            .set_prefs(PrefsWrite {
                change,
                ..write.clone()
            })
            .await?;
        inner.set_prefs(write).await
    }
}

/// Lists who was asked, and not who asks.
#[derive(Default)]
pub struct AsksOnOneSide;

#[async_trait]
impl UsersTwist for AsksOnOneSide {
    async fn contacts(
        &self,
        inner: &dyn UserStore,
        query: PeopleQuery,
    ) -> Result<PeoplePage<(UserId, ContactState)>, PortError> {
        let mut page = inner.contacts(query).await?;
        page.people
            .retain(|(_, state)| *state != ContactState::Asking);
        Ok(page)
    }
}

/// Leaves the other side of a removal as if it had asked.
#[derive(Default)]
pub struct RemovesOneSide;

#[async_trait]
impl UsersTwist for RemovesOneSide {
    async fn relate(
        &self,
        inner: &dyn UserStore,
        write: RelationWrite,
    ) -> Result<WrittenEntries, PortError> {
        let written = inner.relate(write.clone()).await?;
        if write.change == RelationChange::RemoveContact {
            let left = RelationWrite {
                user: write.other,
                other: write.user,
                change: RelationChange::PutContact,
                at: write.at,
            };
            inner.relate(left).await?;
        }
        Ok(written)
    }
}

/// Looks, lets another one look, and then writes what followed from the look.
#[derive(Default)]
pub struct AsksByAnOldLook {
    looks: AtomicUsize,
}

#[async_trait]
impl UsersTwist for AsksByAnOldLook {
    async fn relate(
        &self,
        inner: &dyn UserStore,
        write: RelationWrite,
    ) -> Result<WrittenEntries, PortError> {
        let asked = [write.other.clone()].into();
        let seen = inner.relations(&write.user, &asked).await?;
        self.looks.fetch_add(1, Ordering::SeqCst);
        for _ in 0..LOOKS_AWAITED_MAX {
            if self.looks.load(Ordering::SeqCst).is_multiple_of(2) {
                break;
            }
            tokio::task::yield_now().await;
        }
        let written = inner.relate(write.clone()).await?;
        if seen[&write.other].contact.is_none() {
            for change in [RelationChange::RemoveContact, RelationChange::PutContact] {
                inner
                    .relate(RelationWrite {
                        change,
                        ..write.clone()
                    })
                    .await?;
            }
        }
        Ok(written)
    }
}

/// Does nothing for somebody who is blocked, who sees that.
#[derive(Default)]
pub struct DropsWhatTheBlockedAsk;

#[async_trait]
impl UsersTwist for DropsWhatTheBlockedAsk {
    async fn relate(
        &self,
        inner: &dyn UserStore,
        write: RelationWrite,
    ) -> Result<WrittenEntries, PortError> {
        let asked = [write.other.clone()].into();
        let seen = inner.relations(&write.user, &asked).await?;
        if seen[&write.other].blocked {
            return Ok(WrittenEntries::new());
        }
        inner.relate(write).await
    }
}

/// Skips a contact between two pages.
#[derive(Default)]
pub struct ContactPagesSkip;

#[async_trait]
impl UsersTwist for ContactPagesSkip {
    async fn contacts(
        &self,
        inner: &dyn UserStore,
        query: PeopleQuery,
    ) -> Result<PeoplePage<(UserId, ContactState)>, PortError> {
        let first = query.after.is_none();
        let mut page = inner.contacts(query).await?;
        if !first && page.more {
            page.people.remove(0);
        }
        Ok(page)
    }
}

/// Says of no page of blocks that more follows.
#[derive(Default)]
pub struct BlockPagesEndEarly;

#[async_trait]
impl UsersTwist for BlockPagesEndEarly {
    async fn blocks(
        &self,
        inner: &dyn UserStore,
        query: PeopleQuery,
    ) -> Result<PeoplePage<UserId>, PortError> {
        let page = inner.blocks(query).await?;
        Ok(PeoplePage {
            more: false,
            ..page
        })
    }
}

/// Does not tell who is blocked.
#[derive(Default)]
pub struct HidesBlocksOfOthers;

#[async_trait]
impl UsersTwist for HidesBlocksOfOthers {
    async fn relations(
        &self,
        inner: &dyn UserStore,
        user: &UserId,
        others: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, Relation>, PortError> {
        let mut relations = inner.relations(user, others).await?;
        for relation in relations.values_mut() {
            relation.blocked = false;
        }
        Ok(relations)
    }
}

/// Says yes to a relation of a user to themselves.
#[derive(Default)]
pub struct TakesRelationsToOneself;

#[async_trait]
impl UsersTwist for TakesRelationsToOneself {
    async fn relate(
        &self,
        inner: &dyn UserStore,
        write: RelationWrite,
    ) -> Result<WrittenEntries, PortError> {
        if write.user == write.other {
            return Ok(WrittenEntries::new());
        }
        inner.relate(write).await
    }
}

/// Clears what a change does not name.
#[derive(Default)]
pub struct ReplacesPreferences;

#[async_trait]
impl UsersTwist for ReplacesPreferences {
    async fn set_prefs(
        &self,
        inner: &dyn UserStore,
        write: PrefsWrite,
    ) -> Result<WrittenEntries, PortError> {
        let cleared = PrefsWrite {
            change: cleared(),
            ..write.clone()
        };
        inner.set_prefs(cleared).await?;
        inner.set_prefs(write).await
    }
}

/// Tells of every draft there ever was.
#[derive(Default)]
pub struct KeepsFormerDrafts {
    written: Mutex<BTreeMap<(UserId, Seq), UserEntry>>,
}

#[async_trait]
impl UsersTwist for KeepsFormerDrafts {
    async fn set_prefs(
        &self,
        inner: &dyn UserStore,
        write: PrefsWrite,
    ) -> Result<WrittenEntries, PortError> {
        let written = inner.set_prefs(write).await?;
        for (user, entries) in &written {
            let entries = entries.iter().cloned();
            lock(&self.written).extend(entries.map(|entry| ((user.clone(), entry.seq), entry)));
        }
        Ok(written)
    }

    async fn entries(
        &self,
        inner: &dyn UserStore,
        query: UserEntriesQuery,
    ) -> Result<UserEntriesPage, PortError> {
        let user = query.user.clone();
        let mut page = inner.entries(query).await?;
        let written = lock(&self.written);
        for entry in &mut page.entries {
            if let Some(former) = written.get(&(user.clone(), entry.seq)) {
                *entry = former.clone();
            }
        }
        Ok(page)
    }
}

/// Answers with preferences also where there are none.
#[derive(Default)]
pub struct PreferencesOfAll;

#[async_trait]
impl UsersTwist for PreferencesOfAll {
    async fn prefs(
        &self,
        inner: &dyn UserStore,
        user: &UserId,
        channels: &[ChannelId],
    ) -> Result<BTreeMap<ChannelId, Prefs>, PortError> {
        let mut prefs = inner.prefs(user, channels).await?;
        for channel in channels {
            prefs.entry(*channel).or_default();
        }
        Ok(prefs)
    }
}

/// Takes a change that names no policy for the default one.
#[derive(Default)]
pub struct ProfilesFallBack;

#[async_trait]
impl UsersTwist for ProfilesFallBack {
    async fn set_profile(
        &self,
        inner: &dyn UserStore,
        mut write: ProfileWrite,
    ) -> Result<WrittenEntries, PortError> {
        write.change.direct.get_or_insert_default();
        inner.set_profile(write).await
    }
}

/// Forgets the words of a status.
#[derive(Default)]
pub struct StatusWithoutText;

#[async_trait]
impl UsersTwist for StatusWithoutText {
    async fn set_status(
        &self,
        inner: &dyn UserStore,
        user: &UserId,
        status: UserStatus,
    ) -> Result<(), PortError> {
        let status = UserStatus {
            text: None,
            ..status
        };
        inner.set_status(user, status).await
    }
}

/// Cannot tell a newer status from an older one.
#[derive(Default)]
pub struct StatusesWithoutRevs;

#[async_trait]
impl UsersTwist for StatusesWithoutRevs {
    async fn statuses(
        &self,
        inner: &dyn UserStore,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, KeptStatus>, PortError> {
        let mut statuses = inner.statuses(users).await?;
        for status in statuses.values_mut() {
            status.rev = 1;
        }
        Ok(statuses)
    }
}

/// What clears all preferences.
fn cleared() -> Prefs {
    Prefs {
        mute_until_ms: Some(Timestamp(0)),
        archived: Some(false),
        marked_unread: Some(false),
        draft: Some(String::new()),
    }
}
