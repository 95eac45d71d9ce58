//! What a user has beside channels: contacts, blocks, preferences, a profile; and who hears when it changes.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use chat_proto::people::{
    ContactState, PrefsChange, ProfileChange, Relation, RelationChange, UserEntry, UserEntryKind,
};
use chat_proto::wire::{PrefsAnswer, Push, SharedPush, UserPush};
use chat_proto::{Rejection, Seq, UserId};

use super::engine::{Engine, Inner};
use crate::caller::Caller;
use crate::ports::{
    PageLimit, Payload, PeoplePage, PeopleQuery, PortError, PrefsWrite, Profile, ProfileWrite,
    RelationWrite, UserEntriesPage, UserEntriesQuery, UserStore, WrittenEntries,
};
use crate::session::Delivery;

impl Engine {
    /// A page of a user's contacts, with those who ask and those who were asked, ascending by user id.
    ///
    /// # Errors
    /// `bad_request` for a limit of 0.
    pub async fn contacts(
        &self,
        user: &UserId,
        after: Option<UserId>,
        limit: Option<u32>,
    ) -> Result<PeoplePage<(UserId, ContactState)>, Rejection> {
        let query = self.people_query(user, after, limit)?;
        Ok(self.inner.parts.users.contacts(query).await?)
    }

    /// A page of those whom a user blocks, ascending by user id.
    ///
    /// # Errors
    /// `bad_request` for a limit of 0.
    pub async fn blocks(
        &self,
        user: &UserId,
        after: Option<UserId>,
        limit: Option<u32>,
    ) -> Result<PeoplePage<UserId>, Rejection> {
        let query = self.people_query(user, after, limit)?;
        Ok(self.inner.parts.users.blocks(query).await?)
    }

    /// Changes how a user stands to another one, and answers how they stand to each other now. All devices of both hear of
    /// it, as far as they may know.
    ///
    /// # Errors
    /// `bad_request` for oneself, `not_found` for somebody who does not exist, `forbidden` where the
    /// [`Directory`](crate::ports::Directory) does not let the two talk.
    ///
    /// # Cancellation
    /// What was begun goes on: dropping the future only means not hearing of it.
    pub async fn relate(
        &self,
        user: &UserId,
        other: &UserId,
        change: RelationChange,
    ) -> Result<Relation, Rejection> {
        if user == other {
            return Err(Rejection::bad_request(
                "this is about somebody else: name another user",
            ));
        }
        let asked: BTreeSet<UserId> = [other.clone()].into();
        let directory = &self.inner.parts.directory;
        if !directory.existing(&asked).await?.contains(other) {
            return Err(no_such_user());
        }
        if change == RelationChange::PutContact && !directory.may_talk(user, other).await? {
            return Err(Rejection::forbidden("you may not ask this user"));
        }
        let write = RelationWrite {
            user: user.clone(),
            other: other.clone(),
            change,
            at: self.now(),
        };
        self.write_person(None, |users| async move { users.relate(write).await })
            .await?;
        let relations = self.inner.parts.users.relations(user, &asked).await?;
        Ok(relations.get(other).copied().unwrap_or_default())
    }

    /// What others may see of a user.
    ///
    /// # Errors
    /// `not_found` for somebody whom chat has never seen.
    pub async fn profile(&self, user: &UserId) -> Result<Profile, Rejection> {
        let profile = self.inner.parts.users.profile(user).await?;
        profile.ok_or_else(no_such_user)
    }

    /// Changes a user's profile, and answers as it is now.
    ///
    /// # Errors
    /// `too_large` or `bad_request` for a name that is none.
    pub async fn set_profile(
        &self,
        user: &UserId,
        change: ProfileChange,
    ) -> Result<Profile, Rejection> {
        change.check()?;
        let write = ProfileWrite {
            user: user.clone(),
            change,
            at: self.now(),
        };
        self.write_person(None, |users| async move { users.set_profile(write).await })
            .await?;
        self.profile(user).await
    }

    /// Tells the sessions of users, here and on other nodes, what a write of this engine's
    /// [`UserStore`](crate::ports::UserStore) added to their logs; for programs that write to it themselves.
    pub async fn tell_written(&self, written: &WrittenEntries) {
        self.inner.tell_written(written, None).await;
    }

    /// Changes what the caller set for themselves in a channel.
    pub(super) async fn set_prefs(
        &self,
        caller: &Caller,
        change: PrefsChange,
        origin: Option<u64>,
    ) -> Result<PrefsAnswer, Rejection> {
        change.prefs.check(self.limits())?;
        self.readable(caller, change.channel).await?;
        let write = PrefsWrite {
            user: caller.user.clone(),
            channel: change.channel,
            change: change.prefs,
            at: self.now(),
        };
        let written = self
            .write_person(origin, |users| async move { users.set_prefs(write).await })
            .await?;
        let last = written.get(&caller.user).and_then(|entries| entries.last());
        let user_seq = match last {
            Some(entry) => entry.seq,
            None => self.inner.parts.users.user_seq(&caller.user).await?,
        };
        Ok(PrefsAnswer { user_seq })
    }

    /// Writes, and tells everybody concerned but the session `origin`, also when nobody waits for it any more.
    pub(super) async fn write_person<W>(
        &self,
        origin: Option<u64>,
        write: impl FnOnce(Arc<dyn UserStore>) -> W,
    ) -> Result<WrittenEntries, Rejection>
    where
        W: Future<Output = Result<WrittenEntries, PortError>> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let writing = write(Arc::clone(&self.inner.parts.users));
        self.to_the_end(async move {
            let written = writing.await.inspect_err(|_| {
                // Whatever it was, it may have been done.
                inner.receptions.forget_all();
            })?;
            inner.tell_written(&written, origin).await;
            Ok(written)
        })
        .await?
    }

    fn people_query(
        &self,
        user: &UserId,
        after: Option<UserId>,
        limit: Option<u32>,
    ) -> Result<PeopleQuery, Rejection> {
        let default = self.limits().page_entries_default;
        Ok(PeopleQuery {
            user: user.clone(),
            after,
            limit: self.inner.page_size(limit, default)?,
        })
    }
}

impl Inner {
    /// Tells the users' sessions, here and on other nodes, all but the one whose answer tells it.
    pub(super) async fn tell_written(&self, written: &WrittenEntries, origin: Option<u64>) {
        let concerned = concerned(written);
        if !concerned.is_empty() {
            self.forget_receptions(&concerned).await;
        }
        for (user, entries) in written {
            let Some(last) = entries.last() else { continue };
            self.deliver_user_entries(user, entries, origin);
            let bytes: usize = entries.iter().map(UserEntry::size_bytes).sum();
            let fits = bytes <= self.parts.settings.envelope_bytes_max;
            let payload = Payload::UserEntries {
                user: user.clone(),
                entries: if fits { entries.clone() } else { Vec::new() },
                head: last.seq,
            };
            self.publish_to_nodes_of(std::slice::from_ref(user), self.envelope(payload))
                .await;
            self.end_watches(user, entries).await;
        }
    }

    /// Another node has written to a user's own log.
    pub(super) async fn take_user_entries(&self, user: &UserId, entries: &[UserEntry], head: Seq) {
        if !entries.is_empty() || !self.registry.serves(user) {
            return self.deliver_user_entries(user, entries, None);
        }
        match self.user_entries(user, head.previous(), 1).await {
            // The last one alone: it shows each client what it lacks.
            Ok(page) => self.deliver_user_entries(user, &page.entries, None),
            Err(error) => self.log_lost(Err(error)),
        }
    }

    /// What follows in a user's own log.
    pub(super) async fn user_entries(
        &self,
        user: &UserId,
        after: Seq,
        entries: usize,
    ) -> Result<UserEntriesPage, PortError> {
        let query = UserEntriesQuery {
            user: user.clone(),
            after,
            limit: PageLimit {
                entries,
                bytes: self.parts.limits.page_bytes_max,
            },
        };
        self.parts.users.entries(query).await
    }

    fn deliver_user_entries(&self, user: &UserId, entries: &[UserEntry], origin: Option<u64>) {
        let delivery = |entry: &UserEntry| {
            let push = UserPush {
                entry: entry.clone(),
            };
            Delivery {
                push: Arc::new(SharedPush::new(Push::User(push))),
                but: origin,
            }
        };
        let deliveries: Vec<Delivery> = entries.iter().map(delivery).collect();
        self.registry.deliver(std::iter::once(user), &deliveries);
    }
}

fn no_such_user() -> Rejection {
    Rejection::not_found("there is no such user")
}

/// Between whom direct messages may be taken otherwise than before.
fn concerned(written: &WrittenEntries) -> Vec<UserId> {
    let mut users = BTreeSet::new();
    for (user, entries) in written {
        for entry in entries {
            let other = match &entry.kind {
                UserEntryKind::Contact(change) => Some(&change.user),
                UserEntryKind::Block(change) => Some(&change.user),
                UserEntryKind::Profile(_) => None,
                _ => continue,
            };
            users.extend([user].into_iter().chain(other).cloned());
        }
    }
    users.into_iter().collect()
}
