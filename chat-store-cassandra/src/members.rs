//! Members as of the log's head: the rows, with the changes that are not yet in them.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::ports::{MembersPage, MembersQuery, Memberships, PortError};
use chat_proto::channel::{Member, MemberChange, successor};
use chat_proto::{ChannelId, Seq, UserId};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::config::READS_IN_FLIGHT_MAX;
use crate::rows::MemberRow;
use crate::store::Db;

/// Rows read at once to find a successor.
const SUCCESSOR_ROWS: usize = 1000;

/// Changes that the rows may lack, in their order, by user.
type Changes = BTreeMap<UserId, Vec<MemberChange>>;

impl Db {
    pub(crate) async fn members(
        &self,
        op: &'static str,
        query: &MembersQuery,
    ) -> Result<MembersPage, PortError> {
        let limit = query.limit.max(1);
        let (through, head) = self.through_and_head(op, query.channel).await?;
        let changes = self
            .changes_behind(op, query.channel, (through, head))
            .await?;
        // Each change takes away one member at the most: enough rows are left for the page and for what follows it.
        let rows_max = limit + 1 + changes.len();
        let after = query.after.as_ref();
        let rows = self.member_rows(op, query.channel, after, rows_max).await?;
        let last = (rows.len() == rows_max).then(|| rows.last().map(|(user, _)| user.clone()));
        let last = last.flatten();
        let mut members = present(rows);
        let inside = |user: &UserId| {
            after.is_none_or(|after| user > after) && last.as_ref().is_none_or(|last| user <= last)
        };
        apply(&mut members, &changes, inside);
        let more = members.len() > limit || last.is_some();
        Ok(MembersPage {
            through: head,
            members: members.into_iter().take(limit).collect(),
            more,
        })
    }

    pub(crate) async fn memberships(
        &self,
        op: &'static str,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Memberships, PortError> {
        let (through, head) = self.through_and_head(op, channel).await?;
        let reads: Vec<_> = users
            .iter()
            .map(|user| self.membership_row(op, channel, user))
            .collect();
        let rows: Vec<Vec<_>> = stream::iter(reads)
            .buffered(READS_IN_FLIGHT_MAX)
            .try_collect()
            .await?;
        let mut found = present(rows.into_iter().flatten());
        let asked: BTreeSet<&UserId> = users.iter().collect();
        let changes = self.changes_behind(op, channel, (through, head)).await?;
        apply(&mut found, &changes, |user| asked.contains(user));
        Ok(Memberships {
            through: head,
            found,
        })
    }

    /// Reads all members, a few in memory at a time.
    pub(crate) async fn successor(
        &self,
        op: &'static str,
        channel: ChannelId,
        leaving: &BTreeSet<UserId>,
    ) -> Result<Option<UserId>, PortError> {
        let (through, head) = self.through_and_head(op, channel).await?;
        let mut changes = self.changes_behind(op, channel, (through, head)).await?;
        changes.retain(|user, _| !leaving.contains(user));
        let (mut after, mut best): (Option<UserId>, BTreeMap<UserId, Member>) = Default::default();
        loop {
            let rows = self
                .member_rows(op, channel, after.as_ref(), SUCCESSOR_ROWS)
                .await?;
            let is_last = rows.len() < SUCCESSOR_ROWS;
            let begin = after.take();
            after = rows.last().map(|(user, _)| user.clone());
            let mut part = present(rows);
            part.retain(|user, _| !leaving.contains(user));
            let inside = |user: &UserId| {
                begin.as_ref().is_none_or(|begin| user > begin)
                    && (is_last || after.as_ref().is_none_or(|last| user <= last))
            };
            apply(&mut part, &changes, inside);
            part.append(&mut best);
            if let Some(user) = successor(part.iter().map(|(user, member)| (user, *member)))
                && let Some(member) = part.remove(&user)
            {
                best.insert(user, member);
            }
            if is_last {
                return Ok(best.into_keys().next());
            }
        }
    }

    async fn changes_behind(
        &self,
        op: &'static str,
        channel: ChannelId,
        range: (Seq, Seq),
    ) -> Result<Changes, PortError> {
        let mut changes = Changes::new();
        let each = |seen: crate::views::Seen| {
            for change in seen.changes {
                let of_user = changes.entry(change.user().clone()).or_default();
                of_user.push(change);
            }
        };
        self.each_behind(op, channel, range, each).await?;
        Ok(changes)
    }

    async fn member_rows(
        &self,
        op: &'static str,
        channel: ChannelId,
        after: Option<&UserId>,
        rows_max: usize,
    ) -> Result<Vec<(UserId, Option<Member>)>, PortError> {
        let after = after.map_or("", UserId::as_str);
        let limit = i32::try_from(rows_max).unwrap_or(i32::MAX);
        let values = (channel.as_uuid(), after, limit);
        let rows: Vec<MemberRow> = self.read(op, &self.statements.members, values).await?;
        rows.iter()
            .map(|row| Ok((row.user(op)?, row.member(op)?)))
            .collect()
    }

    async fn membership_row(
        &self,
        op: &'static str,
        channel: ChannelId,
        user: &UserId,
    ) -> Result<Vec<(UserId, Option<Member>)>, PortError> {
        let values = (channel.as_uuid(), user.as_str());
        let rows: Vec<MemberRow> = self.read(op, &self.statements.membership, values).await?;
        rows.iter()
            .map(|row| Ok((row.user(op)?, row.member(op)?)))
            .collect()
    }
}

fn present(rows: impl IntoIterator<Item = (UserId, Option<Member>)>) -> BTreeMap<UserId, Member> {
    let members = rows
        .into_iter()
        .filter_map(|(user, member)| Some((user, member?)));
    members.collect()
}

fn apply(
    members: &mut BTreeMap<UserId, Member>,
    changes: &Changes,
    inside: impl Fn(&UserId) -> bool,
) {
    for (user, changes) in changes {
        if inside(user) {
            changes.iter().for_each(|change| change.apply_to(members));
        }
    }
}
