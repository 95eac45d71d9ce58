//! What embedding programs and HTTP handlers call.

use chat_proto::channel::Member;
use chat_proto::channel::{Action, Command, CommandKey, NewBody, NewMessage};
use chat_proto::entry::{MembersChange, MetaChange};
use chat_proto::wire::{Answer, ClientOp, SendMessage, Summary};
use chat_proto::{ChannelId, ClientId, DeviceId, Rejection, Seq, UserId};
use tokio::sync::oneshot;

use super::engine::Engine;
use super::reads::no_such_channel;
use super::submission::{Reply, Submission};
use super::wish::{Wish, answer_to};
use crate::caller::Caller;
use crate::draft::{Draft, NewChannel, Receipt};
use crate::ports::{Device, MembersQuery};

/// What a command that is not a message counts in a queue: what it names is bounded in number, and a rough size will do.
const COMMAND_BYTES: usize = 4_096;

/// A part of a channel's members, ascending by user id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberList {
    /// Who, as what, since when.
    pub members: Vec<(UserId, Member)>,
    /// Whether more follow.
    pub more: bool,
}

/// A part of a user's devices, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceList {
    /// Which.
    pub devices: Vec<Device>,
    /// Whether more follow.
    pub more: bool,
}

/// The embedding program itself: bound by limits, not by roles.
#[derive(Clone, Debug)]
pub struct System {
    engine: Engine,
    caller: Caller,
}

impl Engine {
    /// Sends a message for a user; answers when it is durable.
    ///
    /// # Errors
    /// The codes of the protocol's `send`. After `unavailable` and `unknown_outcome` send the same draft again: it is
    /// never stored twice.
    ///
    /// # Cancellation
    /// A message that was taken goes on: dropping the future only means not hearing of it.
    pub async fn send(&self, from: &UserId, draft: Draft) -> Result<Receipt, Rejection> {
        self.send_as(&Caller::user(from.clone()), draft.message)
            .await
    }

    /// The embedding program's own voice.
    pub fn as_system(&self) -> System {
        System {
            engine: self.clone(),
            caller: Caller::system(self.inner.parts.system.clone()),
        }
    }

    /// Creates a channel, or finds the one that the same caller created with the same `client_id` or `external_id`.
    ///
    /// # Errors
    /// The codes of the protocol's channel creation.
    pub async fn create_channel(
        &self,
        caller: &Caller,
        channel: NewChannel,
    ) -> Result<Receipt, Rejection> {
        let id = match &channel.inner.external_id {
            Some(external_id) => ChannelId::external(external_id),
            None => ChannelId::created(&caller.user, channel.client_id),
        };
        let action = Action::Create(channel.inner);
        self.command(id, caller, Some(channel.client_id), action)
            .await
    }

    /// Adds, removes or changes members in one entry.
    ///
    /// # Errors
    /// The codes of the protocol's membership requests.
    pub async fn change_members(
        &self,
        caller: &Caller,
        channel: ChannelId,
        client_id: Option<ClientId>,
        change: MembersChange,
    ) -> Result<Receipt, Rejection> {
        self.command(channel, caller, client_id, Action::Members(change))
            .await
    }

    /// Changes title, topic or settings.
    ///
    /// # Errors
    /// The codes of the protocol's channel changes.
    pub async fn change_meta(
        &self,
        caller: &Caller,
        channel: ChannelId,
        client_id: Option<ClientId>,
        change: MetaChange,
    ) -> Result<Receipt, Rejection> {
        self.command(channel, caller, client_id, Action::Meta(change))
            .await
    }

    /// Any request of the protocol, without a session.
    ///
    /// # Errors
    /// The codes of that request.
    pub async fn run(&self, caller: &Caller, op: ClientOp) -> Result<Answer, Rejection> {
        self.read(caller, op, None).await
    }

    /// A channel as the caller's list of channels shows it.
    ///
    /// # Errors
    /// `not_found` for a channel that is not there for the caller.
    pub async fn channel(&self, caller: &Caller, channel: ChannelId) -> Result<Summary, Rejection> {
        let row = self.readable(caller, channel).await?;
        let mut summaries = self.summaries_of(caller, vec![row]).await?;
        summaries.pop().ok_or_else(no_such_channel)
    }

    /// A page of a channel's members.
    ///
    /// # Errors
    /// `not_found` for a channel that is not there for the caller.
    pub async fn members(
        &self,
        caller: &Caller,
        channel: ChannelId,
        after: Option<UserId>,
        limit: Option<u32>,
    ) -> Result<MemberList, Rejection> {
        self.inner.admitted(caller, channel).await?;
        let limit = self
            .inner
            .page_size(limit, self.limits().page_entries_default)?;
        let page = self
            .inner
            .parts
            .messages
            .members(MembersQuery {
                channel,
                after,
                limit,
            })
            .await?;
        Ok(MemberList {
            members: page.members,
            more: page.more,
        })
    }

    /// A page of a user's devices, oldest first.
    ///
    /// # Errors
    /// `not_found` when there is no device `after` any more, `bad_request` for a limit of 0.
    pub async fn devices(
        &self,
        user: &UserId,
        after: Option<DeviceId>,
        limit: Option<u32>,
    ) -> Result<DeviceList, Rejection> {
        let limit = self
            .inner
            .page_size(limit, self.limits().page_entries_default)?;
        let mut devices = self.inner.parts.users.devices(user).await?;
        if let Some(after) = after {
            let known = devices.iter().position(|device| device.device == after);
            let gone = || Rejection::not_found("this device is gone: list from the beginning");
            devices.drain(..=known.ok_or_else(gone)?);
        }
        let more = devices.len() > limit;
        devices.truncate(limit);
        Ok(DeviceList { devices, more })
    }

    /// Forgets a device and ends its sessions everywhere. Its token is the [`Authenticator`](crate::ports::Authenticator)'s
    /// to revoke, before this.
    ///
    /// # Errors
    /// `not_found` for a device that the user does not have.
    pub async fn forget_device(&self, user: &UserId, device: DeviceId) -> Result<(), Rejection> {
        self.revoke(user, device).await;
        let (owner, at) = (user.clone(), self.now());
        let written = self
            .write_person(None, move |users| async move {
                users.forget_device(&owner, device, at).await
            })
            .await?;
        if written.is_empty() {
            Err(Rejection::not_found("you have no such device"))
        } else {
            Ok(())
        }
    }

    pub(super) async fn run_wish(&self, caller: &Caller, wish: Wish) -> Result<Answer, Rejection> {
        let target = wish.action.target();
        let receipt = self.wish(caller, wish).await?;
        Ok(answer_to(target, receipt))
    }

    /// Queues a client's command; its reply says what became of it. Anything else comes back, to be answered by
    /// [`read`](Self::read).
    pub(crate) fn submit_op(
        &self,
        caller: &Caller,
        op: ClientOp,
        reply: impl FnOnce(ChannelId, ClientId) -> Reply,
        bytes: usize,
    ) -> Result<(), Box<ClientOp>> {
        let wish = Wish::of(&caller.user, op)?;
        let reply = reply(wish.channel, wish.client_id);
        self.submit_wish(caller, wish, reply, bytes);
        Ok(())
    }

    fn submit_wish(&self, caller: &Caller, wish: Wish, reply: Reply, bytes: usize) {
        let command = command_of(caller, Some(wish.client_id), wish.action);
        self.submit(
            wish.channel,
            Submission::new(command, wish.after, bytes, reply),
        );
    }

    async fn wish(&self, caller: &Caller, wish: Wish) -> Result<Receipt, Rejection> {
        let (sender, receiver) = oneshot::channel();
        let bytes = match &wish.action {
            Action::Send(NewMessage { body, .. }) | Action::Edit(NewBody { body, .. }) => {
                body.size_bytes()
            }
            _ => COMMAND_BYTES,
        };
        self.submit_wish(caller, wish, Reply::waiter(sender), bytes);
        wait(receiver).await
    }

    async fn send_as(&self, caller: &Caller, message: SendMessage) -> Result<Receipt, Rejection> {
        self.wish(caller, Wish::send(&caller.user, message)).await
    }

    /// Queues a command that is not a message, and waits for what became of it.
    async fn command(
        &self,
        channel: ChannelId,
        caller: &Caller,
        client_id: Option<ClientId>,
        action: Action,
    ) -> Result<Receipt, Rejection> {
        let (sender, receiver) = oneshot::channel();
        let command = command_of(caller, client_id, action);
        let reply = Reply::waiter(sender);
        self.submit(
            channel,
            Submission::new(command, Seq(0), COMMAND_BYTES, reply),
        );
        wait(receiver).await
    }
}

impl System {
    /// The name under which the program acts.
    pub fn user(&self) -> &UserId {
        &self.caller.user
    }

    /// Creates a channel; see [`Engine::create_channel`].
    ///
    /// # Errors
    /// As there.
    pub async fn create_channel(&self, channel: NewChannel) -> Result<Receipt, Rejection> {
        self.engine.create_channel(&self.caller, channel).await
    }

    /// Any request of the protocol; see [`Engine::run`]. So the program edits, deletes and pins what any member sent.
    ///
    /// # Errors
    /// The codes of that request.
    pub async fn run(&self, op: ClientOp) -> Result<Answer, Rejection> {
        self.engine.run(&self.caller, op).await
    }

    /// Sends a message; see [`Engine::send`].
    ///
    /// # Errors
    /// As there.
    pub async fn send(&self, draft: Draft) -> Result<Receipt, Rejection> {
        self.engine.send_as(&self.caller, draft.message).await
    }

    /// Changes members; see [`Engine::change_members`].
    ///
    /// # Errors
    /// As there.
    pub async fn change_members(
        &self,
        channel: ChannelId,
        client_id: Option<ClientId>,
        change: MembersChange,
    ) -> Result<Receipt, Rejection> {
        self.engine
            .change_members(&self.caller, channel, client_id, change)
            .await
    }

    /// Changes title, topic or settings; see [`Engine::change_meta`].
    ///
    /// # Errors
    /// As there.
    pub async fn change_meta(
        &self,
        channel: ChannelId,
        client_id: Option<ClientId>,
        change: MetaChange,
    ) -> Result<Receipt, Rejection> {
        self.engine
            .change_meta(&self.caller, channel, client_id, change)
            .await
    }
}

fn command_of(caller: &Caller, client_id: Option<ClientId>, action: Action) -> Command {
    let key = CommandKey::of(client_id, &action);
    Command {
        from: caller.user.clone(),
        device: caller.device,
        system: caller.system,
        key,
        action,
    }
}

async fn wait(
    receiver: oneshot::Receiver<Result<Receipt, Rejection>>,
) -> Result<Receipt, Rejection> {
    // A reply that is dropped says so itself; this is for the engine's own end.
    let stopped = || {
        Rejection::unknown_outcome("the server stopped on the way: retry with the same client_id")
    };
    receiver.await.unwrap_or_else(|_| Err(stopped()))
}
