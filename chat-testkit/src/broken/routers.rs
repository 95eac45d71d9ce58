//! Routers that each break one sentence of the `Router` contract, around one in memory that keeps it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chat_core::memory::MemoryRouter;
use chat_core::ports::{Envelope, Payload, PortError, Retry, Router, RouterFeed};
use chat_core::proto::{ChannelId, NodeId, UserId};

use super::appends::lock;

/// Envelopes that a router takes which refuses once it is full.
const ENVELOPES_TAKEN_MAX: u64 = 10_000;

/// Attachments that a router forgets which forgets all of them at once; more than a test makes.
const ATTACHMENTS_MAX: usize = 64;

/// A broken router, and the case that must catch it.
#[derive(Clone, Copy)]
pub struct BrokenRouter {
    /// What is broken.
    pub name: &'static str,
    /// The case that catches it.
    pub caught_by: &'static str,
    /// Words of the message with which the case fails, so that it is not caught for another reason.
    pub law: &'static str,
    fault: Fault,
}

impl BrokenRouter {
    /// The router, with nobody attached.
    pub fn open(&self) -> Arc<dyn Router> {
        Arc::new(Faulty {
            inner: MemoryRouter::new(),
            fault: self.fault,
            held: Mutex::default(),
            taken: AtomicU64::new(0),
        })
    }
}

/// All of them.
pub const BROKEN_ROUTERS: &[BrokenRouter] = &[
    BrokenRouter {
        name: "locates_the_last",
        caught_by: "attached_is_located",
        law: "the nodes of several users are named",
        fault: Fault::LocatesTheLast,
    },
    BrokenRouter {
        name: "forgets_detachments",
        caught_by: "detached_is_not_located",
        law: "is not located where they were detached",
        fault: Fault::ForgetsDetachments,
    },
    BrokenRouter {
        name: "detaches_all",
        caught_by: "attachments_are_counted",
        law: "attachments left is still there",
        fault: Fault::DetachesAll,
    },
    BrokenRouter {
        name: "names_the_asker",
        caught_by: "locate_leaves_out_the_asker",
        law: "the asking node is not named",
        fault: Fault::NamesTheAsker,
    },
    BrokenRouter {
        name: "forgets_recipients",
        caught_by: "envelopes_arrive_as_they_were_sent",
        law: "an envelope arrives as it was sent",
        fault: Fault::ForgetsRecipients,
    },
    BrokenRouter {
        name: "swaps_envelopes",
        caught_by: "envelopes_keep_their_order",
        law: "in the order sent, each once",
        fault: Fault::SwapsEnvelopes,
    },
    BrokenRouter {
        name: "stays_on_topics",
        caught_by: "joined_topics_are_heard",
        law: "nothing else was sent to the node",
        fault: Fault::StaysOnTopics,
    },
    BrokenRouter {
        name: "publishers_hear_themselves",
        caught_by: "a_publisher_does_not_hear_itself",
        law: "nothing else was sent to the node",
        fault: Fault::PublishersHearThemselves,
    },
    BrokenRouter {
        name: "refuses_when_full",
        caught_by: "a_full_receiver_stops_nobody",
        law: "the router answers",
        fault: Fault::RefusesWhenFull,
    },
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Of several users it looks for the last only.
    LocatesTheLast,
    /// Who was attached stays so.
    ForgetsDetachments,
    /// One detachment takes back all attachments.
    DetachesAll,
    /// Names every node.
    NamesTheAsker,
    /// Carries heads without those whom they are for.
    ForgetsRecipients,
    /// Sends two envelopes in the opposite order.
    SwapsEnvelopes,
    /// Who left a topic goes on hearing it.
    StaysOnTopics,
    /// Sends what is published on a topic to the publisher too.
    PublishersHearThemselves,
    /// Fails the sender for a receiver that is slow.
    RefusesWhenFull,
}

struct Faulty {
    inner: MemoryRouter,
    fault: Fault,
    /// What waits to be sent behind the next envelope.
    held: Mutex<BTreeMap<NodeId, Arc<Envelope>>>,
    taken: AtomicU64,
}

#[async_trait]
impl Router for Faulty {
    async fn join(&self, node: &NodeId) -> Result<RouterFeed, PortError> {
        self.inner.join(node).await
    }

    async fn leave(&self, node: &NodeId) -> Result<(), PortError> {
        self.inner.leave(node).await
    }

    async fn attach(&self, node: &NodeId, user: &UserId) -> Result<(), PortError> {
        self.inner.attach(node, user).await
    }

    async fn detach(&self, node: &NodeId, user: &UserId) -> Result<(), PortError> {
        let times = match self.fault {
            Fault::ForgetsDetachments => 0,
            Fault::DetachesAll => ATTACHMENTS_MAX,
            _ => 1,
        };
        for _ in 0..times {
            self.inner.detach(node, user).await?;
        }
        Ok(())
    }

    async fn locate(&self, asker: &NodeId, users: &[UserId]) -> Result<Vec<NodeId>, PortError> {
        match self.fault {
            Fault::LocatesTheLast => {
                let last = users.last().map(std::slice::from_ref);
                self.inner.locate(asker, last.unwrap_or_default()).await
            }
            Fault::NamesTheAsker => self.inner.locate(&NodeId::new("nobody"), users).await,
            _ => self.inner.locate(asker, users).await,
        }
    }

    async fn publish(&self, to: &NodeId, envelope: Arc<Envelope>) -> Result<(), PortError> {
        match self.fault {
            Fault::ForgetsRecipients => self.inner.publish(to, for_nobody(&envelope)).await,
            Fault::SwapsEnvelopes => {
                let held = lock(&self.held).remove(to);
                let Some(held) = held else {
                    lock(&self.held).insert(to.clone(), envelope);
                    return Ok(());
                };
                self.inner.publish(to, envelope).await?;
                self.inner.publish(to, held).await
            }
            Fault::RefusesWhenFull => {
                let taken = self.taken.fetch_add(1, Ordering::Relaxed);
                if taken >= ENVELOPES_TAKEN_MAX {
                    return Err(PortError::unavailable("router.publish", Retry::Safe));
                }
                self.inner.publish(to, envelope).await
            }
            _ => self.inner.publish(to, envelope).await,
        }
    }

    async fn join_topic(&self, node: &NodeId, channel: ChannelId) -> Result<(), PortError> {
        self.inner.join_topic(node, channel).await
    }

    async fn leave_topic(&self, node: &NodeId, channel: ChannelId) -> Result<(), PortError> {
        if self.fault == Fault::StaysOnTopics {
            return Ok(());
        }
        self.inner.leave_topic(node, channel).await
    }

    async fn publish_topic(
        &self,
        channel: ChannelId,
        envelope: Arc<Envelope>,
    ) -> Result<(), PortError> {
        if self.fault == Fault::PublishersHearThemselves {
            let publisher = envelope.from.clone();
            self.inner
                .publish(&publisher, Arc::clone(&envelope))
                .await?;
        }
        self.inner.publish_topic(channel, envelope).await
    }
}

/// A head without its recipients; anything else as it is.
fn for_nobody(envelope: &Arc<Envelope>) -> Arc<Envelope> {
    match &envelope.payload {
        Payload::Head { channel, head, .. } => Arc::new(Envelope {
            from: envelope.from.clone(),
            payload: Payload::Head {
                channel: *channel,
                head: *head,
                recipients: Vec::new(),
            },
        }),
        _ => Arc::clone(envelope),
    }
}
