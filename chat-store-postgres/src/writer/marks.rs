//! Read and delivered marks of one transaction.

use std::collections::BTreeMap;

use chat_core::ports::{MarkKind, MarkRise};
use chat_proto::{ChannelId, UserId};
use sqlx::postgres::PgConnection;

use super::queue::{Request, Work};
use crate::sql::inbox;
use crate::sql::rows::write;

/// Raises marks of members, where they are lower.
pub(super) async fn raise_all(db: &mut PgConnection, batch: &[Request]) -> Result<(), sqlx::Error> {
    let (mut read, mut private, mut delivered) =
        (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for request in batch {
        let Work::Raise(rises, _) = &request.work else {
            continue;
        };
        for rise in rises {
            match rise.kind {
                MarkKind::Read if rise.private => merge(&mut private, rise),
                MarkKind::Read => merge(&mut read, rise),
                MarkKind::Delivered => merge(&mut delivered, rise),
            }
        }
    }
    let read: Vec<MarkRise> = read.into_values().collect();
    let private: Vec<MarkRise> = private.into_values().collect();
    let delivered: Vec<MarkRise> = delivered.into_values().collect();
    write(db, inbox::RAISE_READ, &read).await?;
    write(db, inbox::SHOW_READ, &read).await?;
    // Last: what is shown of this transaction's other rises is shown.
    write(db, inbox::RAISE_READ_PRIVATELY, &private).await?;
    write(db, inbox::RAISE_DELIVERED, &delivered).await?;
    Ok(())
}

/// One rise a mark: an update that meets a row twice takes either.
fn merge(rises: &mut BTreeMap<(ChannelId, UserId), MarkRise>, rise: &MarkRise) {
    rises
        .entry((rise.channel, rise.user.clone()))
        .and_modify(|known| {
            known.to = known.to.max(rise.to);
            known.at = known.at.max(rise.at);
        })
        .or_insert_with(|| rise.clone());
}
