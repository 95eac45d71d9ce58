//! How a change of what a member set for themselves is taken over.

use super::Prefs;

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
