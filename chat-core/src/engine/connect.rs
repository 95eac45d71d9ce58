//! How a session begins and ends.
//!
//! The order is the contract: in the registry, then at the router, confirmed, and only then is anything read. What is
//! appended before the session was located is read; what is appended after it is delivered; nothing falls between.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chat_proto::wire::{GoAwayReason, HelloAnswer};
use chat_proto::{ChannelId, DeviceId, Rejection, UserId};

use super::engine::{Engine, Inner};
use crate::ports::{DeviceSeen, Identity, Payload, PortError};
use crate::session::{Outbound, Session, SessionShared};

/// How often a client pings unless it asks for another interval.
const HEARTBEAT_MS_DEFAULT: u64 = 10_000;
/// Two programs with one device's token would push each other out without end: the one that was replaced comes back late.
pub(super) const REPLACED_RECONNECT_AFTER_MS: u64 = 30_000;
/// A session waits this long for the router when the engine has just started.
const ROUTER_WAIT: Duration = Duration::from_secs(5);
/// After this time a client may try again where the server has no room or is not ready.
const RETRY_AFTER_MS: u64 = 1_000;

/// A session to open, for a transport that has authenticated its client.
#[derive(Clone, Debug)]
pub struct Connect {
    /// Whom the token stands for.
    pub identity: Identity,
    /// The client program, as `name/1.0`.
    pub client: String,
}

impl Engine {
    /// Opens a session for a user whom the embedding program vouches for.
    ///
    /// # Errors
    /// As [`open_session`](Self::open_session).
    pub async fn connect(&self, user: &UserId, device: DeviceId) -> Result<Session, Rejection> {
        let identity = Identity::new(user.clone(), device);
        self.open_session(Connect {
            identity,
            client: "embedded/1".to_owned(),
        })
        .await
    }

    /// Opens a session. The device's former one ends; live frames flow from now on.
    ///
    /// # Errors
    /// `unavailable` when this node is leaving or cannot reach its router or store; `rate_limited` when the user has too
    /// many sessions.
    ///
    /// # Cancellation
    /// A session that nobody waits for any more ends by itself.
    pub async fn open_session(&self, connect: Connect) -> Result<Session, Rejection> {
        let inner = &self.inner;
        if inner.draining.load(Ordering::Acquire) {
            return Err(
                Rejection::unavailable("this server is leaving: connect to another")
                    .retry_after_ms(RETRY_AFTER_MS),
            );
        }
        inner.router_joined().await?;
        // A task of its own: a caller who goes away leaves nothing half attached, for the session ends as soon as it is
        // there.
        let engine = self.clone();
        let opening = inner
            .tasks
            .spawn(async move { engine.begin(connect).await });
        let failed = |_| {
            Err(Rejection::unavailable(
                "the session could not be opened: retry",
            ))
        };
        opening.await.unwrap_or_else(failed)
    }

    async fn begin(&self, connect: Connect) -> Result<Session, Rejection> {
        let inner = &self.inner;
        let epoch = self.epoch().await?;
        let Connect { identity, client } = connect;
        let written = inner
            .parts
            .users
            .seen(DeviceSeen {
                user: identity.user.clone(),
                device: identity.device,
                user_name: identity.name,
                client,
                at: self.now(),
            })
            .await?;
        self.tell_written(&written).await;
        let outbound = Outbound::new(inner.parts.limits.outbound_queue_bytes_max);
        let shared = Arc::new(SessionShared::new(
            inner.registry.next_id(),
            identity.user,
            identity.device,
            identity.expires_at,
            outbound,
        ));
        self.heard(&shared);
        self.attach(&shared).await?;
        let hello = HelloAnswer {
            user: shared.user.clone(),
            device: shared.device,
            node: inner.parts.node.clone(),
            epoch,
            server_time_ms: self.now(),
            heartbeat_ms: HEARTBEAT_MS_DEFAULT,
            limits: inner.parts.limits.clone(),
        };
        Ok(Session::new(self.clone(), shared, hello))
    }

    async fn attach(&self, shared: &Arc<SessionShared>) -> Result<(), Rejection> {
        let inner = &self.inner;
        let max = inner.parts.settings.sessions_per_user_max;
        let Some(inserted) = inner.registry.insert(shared, max) else {
            return Err(Rejection::new(
                chat_proto::Code::RateLimited,
                "this user has too many sessions: close one",
            )
            .retry_after_ms(RETRY_AFTER_MS));
        };
        if let Some(replaced) = inserted.replaced {
            replaced
                .outbound
                .go_away(GoAwayReason::Replaced, REPLACED_RECONNECT_AFTER_MS);
        }
        // Also where a session was replaced, whose own attachment may not be confirmed yet and goes when it ends.
        let router = &inner.parts.router;
        if let Err(error) = router.attach(&inner.parts.node, &shared.user).await {
            self.detach(shared);
            return Err(error.into());
        }
        shared.attached.store(true, Ordering::Release);
        inner.beats.watch(shared);
        // From here on another node that changes the status tells this one.
        match inner.kept_status(&shared.user).await {
            Ok(status) => inner.came(shared, status),
            Err(error) => {
                self.detach(shared);
                return Err(error.into());
            }
        }
        let users = [shared.user.clone()];
        let replaced = Payload::Replaced {
            user: shared.user.clone(),
            device: shared.device,
        };
        inner
            .publish_to_nodes_of(&users, inner.envelope(replaced))
            .await;
        if let Err(error) = inner.refresh_topics(&shared.user).await {
            self.detach(shared);
            return Err(error.into());
        }
        Ok(())
    }

    /// A frame came in.
    pub(crate) fn heard(&self, shared: &SessionShared) {
        shared.heard_ms.store(self.elapsed_ms(), Ordering::Relaxed);
    }

    /// A session ends, because its connection did.
    pub(crate) fn detach(&self, shared: &Arc<SessionShared>) {
        let inner = &self.inner;
        if inner.registry.remove(shared) {
            inner.went(shared);
        }
        inner.watches.forget_session(shared.id);
        if !shared.attached.swap(false, Ordering::AcqRel) {
            return;
        }
        let inner = Arc::clone(inner);
        let user = shared.user.clone();
        self.inner.tasks.spawn(async move {
            inner.log_lost(inner.parts.router.detach(&inner.parts.node, &user).await);
            for channel in inner.topics.of_user(&user) {
                inner.log_lost(inner.leave_unless_served(channel, &user).await);
            }
        });
    }

    /// Ends every session of a device, here and on other nodes.
    pub async fn revoke(&self, user: &UserId, device: DeviceId) {
        self.inner
            .close_device(user, device, GoAwayReason::Revoked, 0);
        self.inner.presence_ends(user, device);
        let revoked = self.inner.envelope(Payload::Revoked {
            user: user.clone(),
            device,
        });
        self.inner
            .publish_to_nodes_of(std::slice::from_ref(user), revoked)
            .await;
    }
}

impl Inner {
    async fn router_joined(&self) -> Result<(), Rejection> {
        let mut joined = self.joined.subscribe();
        let waited = tokio::time::timeout(ROUTER_WAIT, joined.wait_for(|joined| *joined)).await;
        match waited {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Rejection::unavailable(
                "this server is not ready yet: retry",
            )
            .retry_after_ms(RETRY_AFTER_MS)),
        }
    }

    /// Makes this node follow the large channels of a local user.
    ///
    /// Read, added, read again: who is removed between the first read and the addition is missing from the second, and who
    /// is removed after it is taken away by the fan-out of the removal.
    ///
    /// # Errors
    /// When the channels could not be read or the router not be told: then entries may go past this node.
    pub(super) async fn refresh_topics(&self, user: &UserId) -> Result<(), PortError> {
        let channels = self.parts.inbox.large_channels(user).await?;
        if channels.is_empty() {
            return Ok(());
        }
        for channel in &channels {
            self.topics.add(*channel, user);
            self.follow_topic(*channel).await?;
        }
        let still = self.parts.inbox.large_channels(user).await?;
        for channel in self.topics.of_user(user) {
            if !still.contains(&channel) {
                self.leave_topic_of(channel, user).await?;
            }
        }
        Ok(())
    }

    /// The user's last session ended, unless another one began meanwhile, which needs the topic.
    async fn leave_unless_served(
        &self,
        channel: ChannelId,
        user: &UserId,
    ) -> Result<(), PortError> {
        if self.registry.serves(user) {
            return Ok(());
        }
        self.topics.remove(channel, user);
        if self.registry.serves(user) {
            self.topics.add(channel, user);
        }
        self.follow_topic(channel).await.map(drop)
    }
}
