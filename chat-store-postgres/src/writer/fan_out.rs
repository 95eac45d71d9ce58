//! Notes of what may not have been told, and who lives.

use chat_core::ports::FanOutMark;
use chat_core::rows::bound;
use chat_proto::{ChannelId, NodeId, Timestamp};
use sqlx::postgres::PgConnection;

use crate::message_store::uuids;
use crate::sql::fan_out;
use crate::sql::rows::{Binds, run};

/// A write that is about fan-out alone.
#[derive(Debug)]
pub(crate) enum FanOutWrite {
    Keep(Vec<FanOutMark>),
    Drop(NodeId, Vec<ChannelId>),
    Renew(NodeId, Timestamp),
}

impl FanOutWrite {
    /// What decides on its writer: what one server writes stays in its order.
    pub(super) fn owner(&self) -> Option<&NodeId> {
        match self {
            Self::Keep(marks) => marks.first().map(|mark| &mark.owner),
            Self::Drop(owner, _) | Self::Renew(owner, _) => Some(owner),
        }
    }

    /// Roughly the bytes that it occupies.
    pub(super) fn bytes(&self) -> usize {
        const FIXED: usize = 128;
        FIXED
            + match self {
                Self::Keep(marks) => marks.len() * FIXED,
                Self::Drop(_, channels) => size_of_val(channels.as_slice()),
                Self::Renew(..) => 0,
            }
    }

    pub(super) async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        match self {
            Self::Keep(marks) => {
                let mut binds = Binds::default();
                binds
                    .column(marks, |mark| name(&mark.owner))
                    .column(marks, |mark| mark.channel.as_uuid())
                    .column(marks, |mark| bound(mark.after.0));
                run(db, fan_out::KEEP, binds).await.map(drop)
            }
            Self::Drop(owner, channels) => {
                let mut binds = Binds::default();
                binds.add(name(owner)).add(uuids(channels));
                run(db, fan_out::DROP, binds).await.map(drop)
            }
            Self::Renew(owner, until) => {
                let mut binds = Binds::default();
                binds.add(name(owner)).add(bound(until.0));
                run(db, fan_out::RENEW, binds).await?;
                let mut binds = Binds::default();
                binds.add(bound(until.0));
                run(db, fan_out::FORGET_LEASES, binds).await.map(drop)
            }
        }
    }
}

/// A server's name may hold what no text of PostgreSQL can.
fn name(owner: &NodeId) -> &[u8] {
    owner.as_str().as_bytes()
}
