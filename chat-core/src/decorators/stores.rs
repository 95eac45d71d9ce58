//! The stores with a layer around them.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chat_proto::people::{ContactState, Prefs, Relation};
use chat_proto::{ChannelId, DeviceId, Epoch, Head, NodeId, Seq, Timestamp, UserId};

use super::{Decorated, Layer};
use crate::ports::{
    Account, Accounts, Append, AppendOutcome, BodyNote, Device, DeviceSeen, EntriesPage,
    EntriesQuery, FanOutMark, FoundKey, InboxCapabilities, InboxPage, InboxQuery, InboxRow,
    InboxStore, InboxUpdate, KeptStatus, KeyQuery, LeftChannel, Loaded, Mark, MarkRise,
    MembersPage, MembersQuery, Memberships, MessageStore, MessagesPage, MessagesQuery, NewAccount,
    NewPassword, NewToken, PeoplePage, PeopleQuery, PortError, PrefsWrite, Profile, ProfileWrite,
    RelationWrite, SetBody, StoreCapabilities, Targets, TargetsQuery, TokenHash, TokenOwner,
    UserEntriesPage, UserEntriesQuery, UserStatus, UserStore, WrittenEntries,
};

#[async_trait]
impl<L: Layer> MessageStore for Decorated<dyn MessageStore, L> {
    fn capabilities(&self) -> StoreCapabilities {
        self.inner.capabilities()
    }

    async fn epoch(&self) -> Result<Epoch, PortError> {
        self.layer.read("messages.epoch", self.inner.epoch()).await
    }

    async fn load(&self, channel: ChannelId, folded: Seq) -> Result<Loaded, PortError> {
        self.layer
            .read("messages.load", self.inner.load(channel, folded))
            .await
    }

    async fn append(&self, append: Append) -> Result<AppendOutcome, PortError> {
        self.layer
            .append("messages.append", &self.inner, append)
            .await
    }

    async fn heads(&self, channels: &[ChannelId]) -> Result<Vec<Head>, PortError> {
        self.layer
            .read("messages.heads", self.inner.heads(channels))
            .await
    }

    async fn entries(&self, query: EntriesQuery) -> Result<EntriesPage, PortError> {
        self.layer
            .read("messages.entries", self.inner.entries(query))
            .await
    }

    async fn messages(&self, query: MessagesQuery) -> Result<MessagesPage, PortError> {
        self.layer
            .read("messages.messages", self.inner.messages(query))
            .await
    }

    async fn targets(&self, query: TargetsQuery) -> Result<Targets, PortError> {
        self.layer
            .read("messages.targets", self.inner.targets(query))
            .await
    }

    async fn set_body(&self, set: SetBody) -> Result<(), PortError> {
        self.layer
            .write("messages.set_body", self.inner.set_body(set))
            .await
    }

    async fn keep_body_note(&self, note: BodyNote) -> Result<(), PortError> {
        self.layer
            .write("messages.keep_body_note", self.inner.keep_body_note(note))
            .await
    }

    async fn drop_body_note(&self, channel: ChannelId, after: Seq) -> Result<(), PortError> {
        self.layer
            .write(
                "messages.drop_body_note",
                self.inner.drop_body_note(channel, after),
            )
            .await
    }

    async fn body_notes(&self, limit: usize) -> Result<Vec<BodyNote>, PortError> {
        self.layer
            .read("messages.body_notes", self.inner.body_notes(limit))
            .await
    }

    async fn find_key(&self, query: KeyQuery) -> Result<Option<FoundKey>, PortError> {
        self.layer
            .read("messages.find_key", self.inner.find_key(query))
            .await
    }

    async fn members(&self, query: MembersQuery) -> Result<MembersPage, PortError> {
        self.layer
            .read("messages.members", self.inner.members(query))
            .await
    }

    async fn memberships(
        &self,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Memberships, PortError> {
        self.layer
            .read(
                "messages.memberships",
                self.inner.memberships(channel, users),
            )
            .await
    }

    async fn successor(
        &self,
        channel: ChannelId,
        leaving: &BTreeSet<UserId>,
    ) -> Result<Option<UserId>, PortError> {
        self.layer
            .read("messages.successor", self.inner.successor(channel, leaving))
            .await
    }
}

#[async_trait]
impl<L: Layer> InboxStore for Decorated<dyn InboxStore, L> {
    fn capabilities(&self) -> InboxCapabilities {
        self.inner.capabilities()
    }

    async fn fan_out(&self, update: InboxUpdate) -> Result<(), PortError> {
        self.layer
            .write("inbox.fan_out", self.inner.fan_out(update))
            .await
    }

    async fn keep_fan_out_marks(&self, marks: Vec<FanOutMark>) -> Result<(), PortError> {
        self.layer
            .write(
                "inbox.keep_fan_out_marks",
                self.inner.keep_fan_out_marks(marks),
            )
            .await
    }

    async fn drop_fan_out_marks(
        &self,
        owner: &NodeId,
        channels: &[ChannelId],
    ) -> Result<(), PortError> {
        self.layer
            .write(
                "inbox.drop_fan_out_marks",
                self.inner.drop_fan_out_marks(owner, channels),
            )
            .await
    }

    async fn renew_lease(&self, owner: &NodeId, until: Timestamp) -> Result<(), PortError> {
        self.layer
            .write("inbox.renew_lease", self.inner.renew_lease(owner, until))
            .await
    }

    async fn orphaned_fan_out_marks(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<FanOutMark>, PortError> {
        self.layer
            .read(
                "inbox.orphaned_fan_out_marks",
                self.inner.orphaned_fan_out_marks(now, limit),
            )
            .await
    }

    async fn list(&self, query: InboxQuery) -> Result<InboxPage, PortError> {
        self.layer.read("inbox.list", self.inner.list(query)).await
    }

    async fn rows(
        &self,
        user: &UserId,
        channels: &[ChannelId],
    ) -> Result<Vec<InboxRow>, PortError> {
        self.layer
            .read("inbox.rows", self.inner.rows(user, channels))
            .await
    }

    async fn left(
        &self,
        user: &UserId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<LeftChannel>, PortError> {
        self.layer
            .read("inbox.left", self.inner.left(user, since, limit))
            .await
    }

    async fn large_channels(&self, user: &UserId) -> Result<Vec<ChannelId>, PortError> {
        self.layer
            .read("inbox.large_channels", self.inner.large_channels(user))
            .await
    }

    async fn raise(&self, rises: Vec<MarkRise>) -> Result<(), PortError> {
        self.layer
            .write("inbox.raise", self.inner.raise(rises))
            .await
    }

    async fn marks(
        &self,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Vec<(UserId, Mark)>, PortError> {
        self.layer
            .read("inbox.marks", self.inner.marks(channel, users))
            .await
    }
}

#[async_trait]
impl<L: Layer> UserStore for Decorated<dyn UserStore, L> {
    async fn epoch(&self) -> Result<Epoch, PortError> {
        self.layer.read("users.epoch", self.inner.epoch()).await
    }

    async fn seen(&self, seen: DeviceSeen) -> Result<WrittenEntries, PortError> {
        self.layer.write("users.seen", self.inner.seen(seen)).await
    }

    async fn profile(&self, user: &UserId) -> Result<Option<Profile>, PortError> {
        self.layer
            .read("users.profile", self.inner.profile(user))
            .await
    }

    async fn set_profile(&self, write: ProfileWrite) -> Result<WrittenEntries, PortError> {
        self.layer
            .write("users.set_profile", self.inner.set_profile(write))
            .await
    }

    async fn devices(&self, user: &UserId) -> Result<Vec<Device>, PortError> {
        self.layer
            .read("users.devices", self.inner.devices(user))
            .await
    }

    async fn forget_device(
        &self,
        user: &UserId,
        device: DeviceId,
        at: Timestamp,
    ) -> Result<WrittenEntries, PortError> {
        self.layer
            .write(
                "users.forget_device",
                self.inner.forget_device(user, device, at),
            )
            .await
    }

    async fn user_seq(&self, user: &UserId) -> Result<Seq, PortError> {
        self.layer
            .read("users.user_seq", self.inner.user_seq(user))
            .await
    }

    async fn entries(&self, query: UserEntriesQuery) -> Result<UserEntriesPage, PortError> {
        self.layer
            .read("users.entries", self.inner.entries(query))
            .await
    }

    async fn relate(&self, write: RelationWrite) -> Result<WrittenEntries, PortError> {
        self.layer
            .write("users.relate", self.inner.relate(write))
            .await
    }

    async fn relations(
        &self,
        user: &UserId,
        others: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, Relation>, PortError> {
        self.layer
            .read("users.relations", self.inner.relations(user, others))
            .await
    }

    async fn contacts(
        &self,
        query: PeopleQuery,
    ) -> Result<PeoplePage<(UserId, ContactState)>, PortError> {
        self.layer
            .read("users.contacts", self.inner.contacts(query))
            .await
    }

    async fn blocks(&self, query: PeopleQuery) -> Result<PeoplePage<UserId>, PortError> {
        self.layer
            .read("users.blocks", self.inner.blocks(query))
            .await
    }

    async fn set_prefs(&self, write: PrefsWrite) -> Result<WrittenEntries, PortError> {
        self.layer
            .write("users.set_prefs", self.inner.set_prefs(write))
            .await
    }

    async fn prefs(
        &self,
        user: &UserId,
        channels: &[ChannelId],
    ) -> Result<BTreeMap<ChannelId, Prefs>, PortError> {
        self.layer
            .read("users.prefs", self.inner.prefs(user, channels))
            .await
    }

    async fn set_status(&self, user: &UserId, status: UserStatus) -> Result<(), PortError> {
        self.layer
            .write("users.set_status", self.inner.set_status(user, status))
            .await
    }

    async fn statuses(
        &self,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, KeptStatus>, PortError> {
        self.layer
            .read("users.statuses", self.inner.statuses(users))
            .await
    }
}

#[async_trait]
impl<L: Layer> Accounts for Decorated<dyn Accounts, L> {
    async fn sign_up(&self, account: NewAccount) -> Result<bool, PortError> {
        self.layer
            .write("accounts.sign_up", self.inner.sign_up(account))
            .await
    }

    async fn account(&self, user: &UserId) -> Result<Option<Account>, PortError> {
        self.layer
            .read("accounts.account", self.inner.account(user))
            .await
    }

    async fn store_token(&self, token: NewToken) -> Result<WrittenEntries, PortError> {
        self.layer
            .write("accounts.store_token", self.inner.store_token(token))
            .await
    }

    async fn token_owner(&self, hash: &TokenHash) -> Result<Option<TokenOwner>, PortError> {
        self.layer
            .read("accounts.token_owner", self.inner.token_owner(hash))
            .await
    }

    async fn set_password(
        &self,
        password: NewPassword,
    ) -> Result<Option<BTreeSet<DeviceId>>, PortError> {
        self.layer
            .write("accounts.set_password", self.inner.set_password(password))
            .await
    }

    async fn revoke(&self, user: &UserId, device: DeviceId) -> Result<bool, PortError> {
        self.layer
            .write("accounts.revoke", self.inner.revoke(user, device))
            .await
    }
}
