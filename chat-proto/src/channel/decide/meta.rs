//! Changing a channel's settings.

use super::{Case, Decision};
use crate::body::check_data;
use crate::channel::may::Operation;
use crate::channel::state::Meta;
use crate::entry::{ChannelType, EntryKind, MetaChange};
use crate::rejection::Rejection;

impl Case<'_> {
    pub(super) fn change_meta(&self, change: &MetaChange) -> Result<Decision, Rejection> {
        let (meta, actor) = self.admitted()?;
        actor.require(
            meta,
            Operation::ChangeMeta,
            match meta.channel_type {
                ChannelType::Direct => "a direct channel has no settings to change",
                ChannelType::Group => "only owners and admins change a channel's settings",
            },
        )?;
        if change.is_empty() {
            return Err(Rejection::bad_request(
                "name at least one setting to change",
            ));
        }
        if meta.channel_type == ChannelType::Direct && !is_data_only(change) {
            return Err(Rejection::forbidden(
                "of a direct channel only data can be changed",
            ));
        }
        self.check_settings(change)?;
        let change = really_changing(meta, change);
        if change.is_empty() {
            return Ok(Decision::AlreadySo);
        }
        Ok(Decision::one(EntryKind::Meta(change), self.command.key))
    }

    fn check_settings(&self, change: &MetaChange) -> Result<(), Rejection> {
        if let Some(title) = &change.title {
            self.check_title(title)?;
        }
        if let Some(topic) = &change.topic {
            self.check_line("topic", topic)?;
        }
        if let Some(avatar) = &change.avatar {
            self.check_line("avatar", avatar)?;
        }
        match &change.data {
            Some(data) => check_data(data, self.context.limits),
            None => Ok(()),
        }
    }
}

fn is_data_only(change: &MetaChange) -> bool {
    let without_data = MetaChange {
        data: None,
        ..change.clone()
    };
    without_data.is_empty()
}

/// The change without what is so already.
fn really_changing(meta: &Meta, change: &MetaChange) -> MetaChange {
    let after = meta.changed(change);
    let MetaChange {
        title,
        topic,
        avatar,
        history,
        post,
        data,
    } = change.clone();
    MetaChange {
        title: title.filter(|_| after.title != meta.title),
        topic: topic.filter(|_| after.topic != meta.topic),
        avatar: avatar.filter(|_| after.avatar != meta.avatar),
        history: history.filter(|_| after.history != meta.history),
        post: post.filter(|_| after.post != meta.post),
        data: data.filter(|_| after.data != meta.data),
    }
}
