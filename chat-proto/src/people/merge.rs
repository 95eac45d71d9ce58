//! How a change of preferences or of a profile is taken over.

use super::{DirectFrom, Prefs, ProfileChange};

impl Prefs {
    /// Takes over what a change says; a time of 0, false and an empty draft clear. Returns what is otherwise now, as the
    /// user's own log tells it; nothing where all of it was so already.
    pub fn merge(&mut self, change: &Self) -> Option<Self> {
        let changed = Self {
            mute_until_ms: merged(&mut self.mute_until_ms, &change.mute_until_ms),
            archived: merged(&mut self.archived, &change.archived),
            marked_unread: merged(&mut self.marked_unread, &change.marked_unread),
            draft: merged(&mut self.draft, &change.draft),
        };
        (!changed.is_empty()).then_some(changed)
    }
}

impl ProfileChange {
    /// Takes the change over into a profile; an empty name clears. Returns what is otherwise now, as the user's own log
    /// tells it; nothing where all of it was so already.
    pub fn apply(&self, name: &mut Option<String>, direct: &mut DirectFrom) -> Option<Self> {
        let changed = Self {
            name: merged(name, &self.name),
            direct: self.direct.filter(|wanted| wanted != direct),
        };
        *direct = changed.direct.unwrap_or(*direct);
        (changed != Self::default()).then_some(changed)
    }
}

/// Sets a field as the change says. What is kept is never the type's default, which says as little as nothing.
fn merged<T: Clone + Default + PartialEq>(kept: &mut Option<T>, change: &Option<T>) -> Option<T> {
    let wanted = change.as_ref()?;
    let is_so = kept
        .as_ref()
        .map_or_else(|| *wanted == T::default(), |kept| kept == wanted);
    if is_so {
        return None;
    }
    *kept = Some(wanted.clone()).filter(|wanted| *wanted != T::default());
    Some(wanted.clone())
}
