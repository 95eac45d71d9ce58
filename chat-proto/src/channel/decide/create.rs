//! Beginning a channel.

use std::collections::BTreeSet;

use super::{Case, Decision};
use crate::body::check_data;
use crate::channel::command::NewChannel;
use crate::entry::{ChannelType, Created, EntryKind, History, MemberRole, Role};
use crate::id::{ChannelId, UserId};
use crate::rejection::Rejection;

impl Case<'_> {
    pub(super) fn create(&self, channel: &NewChannel) -> Result<Decision, Rejection> {
        if self.state.meta().is_some() {
            return Err(Rejection::conflict(
                "a channel with this name or client_id exists, made by somebody else or otherwise; choose another",
            ));
        }
        self.check_member_number(channel.members.len())?;
        if let Some(data) = &channel.data {
            check_data(data, self.context.limits)?;
        }
        self.check_external_id(channel)?;
        let created = match channel.channel_type {
            ChannelType::Group => self.group(channel)?,
            ChannelType::Direct => Created {
                data: channel.data.clone(),
                ..self.direct_of(channel)?
            },
        };
        Ok(Decision::one(EntryKind::Created(created), self.command.key))
    }

    fn group(&self, channel: &NewChannel) -> Result<Created, Rejection> {
        let title = channel
            .title
            .as_ref()
            .ok_or_else(|| Rejection::bad_request("a group needs a title"))?;
        self.check_title(title)?;
        let creator = &self.command.from;
        let mut members = Vec::with_capacity(channel.members.len() + 1);
        members.push(MemberRole {
            user: creator.clone(),
            role: Role::Owner,
        });
        let mut named = BTreeSet::from([creator]);
        for user in &channel.members {
            if named.insert(user) {
                self.require_existing(user)?;
                members.push(MemberRole {
                    user: user.clone(),
                    role: Role::Member,
                });
            }
        }
        Ok(Created {
            channel_type: ChannelType::Group,
            title: Some(title.clone()),
            members,
            history: channel.history,
            data: channel.data.clone(),
            external_id: channel.external_id.clone(),
        })
    }

    fn direct_of(&self, channel: &NewChannel) -> Result<Created, Rejection> {
        let [to] = channel.members.as_slice() else {
            return Err(Rejection::bad_request(
                "a direct channel has exactly one other member, or oneself",
            ));
        };
        if channel.title.is_some() || channel.external_id.is_some() {
            return Err(Rejection::bad_request(
                "a direct channel has neither a title nor an external_id; its two members name it",
            ));
        }
        self.direct(to)
    }

    /// The beginning of the caller's direct channel with this user.
    pub(super) fn direct(&self, to: &UserId) -> Result<Created, Rejection> {
        let from = &self.command.from;
        if self.state.id() != ChannelId::direct(from, to) {
            return Err(super::no_such_channel());
        }
        self.require_existing(to)?;
        let other = (to != from).then_some(to);
        let members = [from].into_iter().chain(other).map(|user| MemberRole {
            user: user.clone(),
            role: Role::Member,
        });
        Ok(Created {
            channel_type: ChannelType::Direct,
            title: None,
            members: members.collect(),
            history: History::All,
            data: None,
            external_id: None,
        })
    }

    fn check_external_id(&self, channel: &NewChannel) -> Result<(), Rejection> {
        let max = self.context.limits.external_id_bytes_max;
        match channel.external_id.as_deref() {
            None => Ok(()),
            Some("") => Err(Rejection::bad_request("an external_id has at least 1 byte")),
            Some(id) if id.len() > max => Err(Rejection::too_large(format!(
                "an external_id has at most {max} bytes"
            ))),
            Some(_) => Ok(()),
        }
    }
}
