//! Users, their devices, and what they have beside channels.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chat_core::ports::{
    Device, DeviceSeen, KeptStatus, PeoplePage, PeopleQuery, PortError, PrefsWrite, Profile,
    ProfileWrite, RelationWrite, UserEntriesPage, UserEntriesQuery, UserStatus, UserStore,
    WrittenEntries,
};
use chat_core::rows::{Page, bound};
use chat_proto::people::{ContactState, Prefs, Relation, UserEntry};
use chat_proto::{ChannelId, DeviceId, Epoch, Seq, Timestamp, UserId};

use crate::decode::Fields;
use crate::message_store::{names, uuids};
use crate::sql::people;
use crate::sql::rows::Binds;
use crate::sql::users as sql;
use crate::store::PostgresStore;
use crate::writer::PersonWrite;

#[async_trait]
impl UserStore for PostgresStore {
    async fn epoch(&self) -> Result<Epoch, PortError> {
        Ok(self.epoch.current())
    }

    async fn seen(&self, seen: DeviceSeen) -> Result<WrittenEntries, PortError> {
        self.told("users.seen", PersonWrite::Seen(seen)).await
    }

    async fn profile(&self, user: &UserId) -> Result<Option<Profile>, PortError> {
        const OP: &str = "users.profile";
        let row = self.readers.first(OP, sql::PROFILE, of_user(user)).await?;
        row.map(|row| Fields::new(&row, OP).profile()).transpose()
    }

    async fn set_profile(&self, write: ProfileWrite) -> Result<WrittenEntries, PortError> {
        self.told("users.set_profile", PersonWrite::Profile(write))
            .await
    }

    async fn devices(&self, user: &UserId) -> Result<Vec<Device>, PortError> {
        const OP: &str = "users.devices";
        let rows = self.readers.all(OP, sql::DEVICES, of_user(user)).await?;
        rows.iter()
            .map(|row| Fields::new(row, OP).listed_device())
            .collect()
    }

    async fn forget_device(
        &self,
        user: &UserId,
        device: DeviceId,
        at: Timestamp,
    ) -> Result<WrittenEntries, PortError> {
        let user = user.clone();
        let write = PersonWrite::ForgetDevice { user, device, at };
        self.told("users.forget_device", write).await
    }

    async fn user_seq(&self, user: &UserId) -> Result<Seq, PortError> {
        const OP: &str = "users.user_seq";
        let row = self
            .readers
            .first(OP, people::USER_SEQ, of_user(user))
            .await?;
        row.map_or(Ok(Seq(0)), |row| {
            Fields::new(&row, OP).number("head").map(Seq)
        })
    }

    async fn entries(&self, query: UserEntriesQuery) -> Result<UserEntriesPage, PortError> {
        const OP: &str = "users.entries";
        let rows_max = query.limit.entries.max(1) as u64;
        let mut binds = of_user(&query.user);
        binds.add(bound(query.after.0)).add(bound(rows_max));
        let (mut page, mut head) = (Page::new(query.limit), Seq(0));
        for row in self.readers.all(OP, people::ENTRIES, binds).await? {
            let fields = Fields::new(&row, OP);
            head = Seq(fields.number("head")?);
            let Some(json) = fields.value::<Option<&[u8]>>("entry")? else {
                break;
            };
            let entry: UserEntry =
                serde_json::from_slice(json).map_err(|error| fields.corrupt(error))?;
            let bytes = entry.size_bytes();
            if !page.take(entry, bytes) {
                break;
            }
        }
        Ok(UserEntriesPage {
            entries: page.items,
            head,
        })
    }

    async fn relate(&self, write: RelationWrite) -> Result<WrittenEntries, PortError> {
        const OP: &str = "users.relate";
        write.check(OP)?;
        self.told(OP, PersonWrite::Relate(write)).await
    }

    async fn relations(
        &self,
        user: &UserId,
        others: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, Relation>, PortError> {
        const OP: &str = "users.relations";
        let mut binds = of_user(user);
        binds.add(names(others));
        let rows = self.readers.all(OP, people::RELATIONS, binds).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new(row, OP);
                Ok((fields.user("other")?, fields.relation()?))
            })
            .collect()
    }

    async fn contacts(
        &self,
        query: PeopleQuery,
    ) -> Result<PeoplePage<(UserId, ContactState)>, PortError> {
        self.people("users.contacts", people::CONTACTS, &query, |fields| {
            Ok((fields.user("other")?, fields.named("state")?))
        })
        .await
    }

    async fn blocks(&self, query: PeopleQuery) -> Result<PeoplePage<UserId>, PortError> {
        self.people("users.blocks", people::BLOCKS, &query, |fields| {
            fields.user("other")
        })
        .await
    }

    async fn set_prefs(&self, write: PrefsWrite) -> Result<WrittenEntries, PortError> {
        self.told("users.set_prefs", PersonWrite::Prefs(write))
            .await
    }

    async fn prefs(
        &self,
        user: &UserId,
        channels: &[ChannelId],
    ) -> Result<BTreeMap<ChannelId, Prefs>, PortError> {
        const OP: &str = "users.prefs";
        let mut binds = of_user(user);
        binds.add(uuids(channels));
        let rows = self.readers.all(OP, people::PREFS, binds).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new(row, OP);
                Ok((fields.channel("channel")?, fields.prefs()?))
            })
            .collect()
    }

    async fn set_status(&self, user: &UserId, status: UserStatus) -> Result<(), PortError> {
        let write = PersonWrite::Status(user.clone(), status);
        self.writers.person("users.set_status", write).await?;
        Ok(())
    }

    async fn statuses(
        &self,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, KeptStatus>, PortError> {
        const OP: &str = "users.statuses";
        let mut binds = Binds::default();
        binds.add(names(users));
        let rows = self.readers.all(OP, people::STATUSES, binds).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new(row, OP);
                let status = KeptStatus {
                    state: fields.named("state")?,
                    text: fields.text_if_any("text")?,
                    rev: fields.number("rev")?,
                };
                Ok((fields.user("user_id")?, status))
            })
            .collect()
    }
}

impl PostgresStore {
    /// Writes, and answers what was added to users' own logs.
    pub(crate) async fn told(
        &self,
        op: &'static str,
        write: PersonWrite,
    ) -> Result<WrittenEntries, PortError> {
        self.writers
            .person(op, write)
            .await
            .map(|done| done.written)
    }

    async fn people<T>(
        &self,
        op: &'static str,
        sql: &'static str,
        query: &PeopleQuery,
        person: impl Fn(&Fields<'_>) -> Result<T, PortError>,
    ) -> Result<PeoplePage<T>, PortError> {
        let mut binds = of_user(&query.user);
        // One more than asked for tells whether more follow.
        binds
            .add(query.after.as_ref().map_or("", UserId::as_str))
            .add(bound((query.limit as u64).saturating_add(1)));
        let rows = self.readers.all(op, sql, binds).await?;
        let wanted = rows.iter().take(query.limit);
        let people = wanted
            .map(|row| person(&Fields::new(row, op)))
            .collect::<Result<_, _>>()?;
        Ok(PeoplePage {
            people,
            more: rows.len() > query.limit,
        })
    }
}

fn of_user(user: &UserId) -> Binds {
    let mut binds = Binds::default();
    binds.add(user.as_str());
    binds
}
