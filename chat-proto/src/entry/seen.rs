//! What a reader sees of an entry.

use std::borrow::Cow;

use super::{Edit, Entry, EntryKind};
use crate::id::{Seq, UserId};

impl Entry {
    /// The entry as a member sees whose visible range begins at `visible_from`: a stub where it was withheld from them, an
    /// edit without its body where they may not see the message.
    ///
    /// Every entry goes through here on its way to a reader, whether read or delivered.
    pub fn seen_by(&self, viewer: &UserId, visible_from: Seq) -> Cow<'_, Self> {
        let kind = match &self.kind {
            // That a channel began is no secret: it has two members, whoever says something in it.
            EntryKind::Created(_) => return Cow::Borrowed(self),
            _ if self.is_withheld_from(viewer) => EntryKind::Withheld,
            EntryKind::Edit(edit) if edit.target < visible_from && edit.body.is_some() => {
                EntryKind::Edit(Edit {
                    target: edit.target,
                    body: None,
                })
            }
            EntryKind::Edit(_)
            | EntryKind::Message(_)
            | EntryKind::Delete(_)
            | EntryKind::React(_)
            | EntryKind::Pin(_)
            | EntryKind::Members(_)
            | EntryKind::Meta(_)
            | EntryKind::Withheld
            | EntryKind::Unknown { .. } => return Cow::Borrowed(self),
        };
        Cow::Owned(Self {
            // What a stub hides is hidden from whoever gets the stub next, too.
            withheld: false,
            from: self.from.clone(),
            device: if kind == EntryKind::Withheld {
                None
            } else {
                self.device
            },
            kind,
            ..*self
        })
    }

    /// The same, in place.
    #[must_use]
    pub fn into_seen_by(self, viewer: &UserId, visible_from: Seq) -> Self {
        match self.seen_by(viewer, visible_from) {
            Cow::Borrowed(_) => self,
            Cow::Owned(seen) => seen,
        }
    }

    /// Whether this user may know no more than that there is an entry.
    pub fn is_withheld_from(&self, viewer: &UserId) -> bool {
        self.withheld && self.from != *viewer
    }
}
