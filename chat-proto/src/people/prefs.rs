//! What a member sets for themselves in a channel.

use serde::Deserialize;
use serde::ser::SerializeMap;

use crate::flat::{Fields, flat};
use crate::id::{ChannelId, Timestamp};
use crate::limits::Limits;
use crate::rejection::Rejection;

/// What a member set for themselves in a channel, or a change of that: what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Prefs {
    /// No notifications until then; 0 clears it.
    pub mute_until_ms: Option<Timestamp>,
    /// The channel is out of the way.
    pub archived: Option<bool>,
    /// Shown as unread, whatever the read mark says.
    pub marked_unread: Option<bool>,
    /// Text that has been begun and not sent; empty clears it.
    #[cfg_attr(feature = "schema", schema(max_length = 100_000))]
    pub draft: Option<String>,
}

/// What a member sets for themselves in one channel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PrefsChange {
    /// Which channel.
    pub channel: ChannelId,
    /// What changes; written beside the channel.
    #[serde(flatten)]
    pub prefs: Prefs,
}

impl Prefs {
    /// Whether nothing is set, or nothing would change.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks a change.
    ///
    /// # Errors
    /// `bad_request` for one that changes nothing, `too_large` for a draft that is longer than any message.
    pub fn check(&self, limits: &Limits) -> Result<(), Rejection> {
        self.check_any()?;
        match &self.draft {
            Some(draft) if draft.chars().count() > limits.text_chars_max => {
                Err(Rejection::too_large(format!(
                    "a draft has at most {} characters",
                    limits.text_chars_max
                )))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Checks that a change changes something.
    pub(crate) fn check_any(&self) -> Result<(), Rejection> {
        if self.is_empty() {
            return Err(Rejection::bad_request(
                "prefs has any of mute_until_ms, archived, marked_unread and draft",
            ));
        }
        Ok(())
    }
}

flat!(Prefs {
    always: ;
    present: mute_until_ms, archived, marked_unread, draft;
});

impl Fields for PrefsChange {
    fn count(&self) -> usize {
        1 + self.prefs.count()
    }

    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("channel", &self.channel)?;
        self.prefs.write(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejection::Code;

    #[test]
    fn a_change_changes_something_and_a_draft_is_no_longer_than_a_message() {
        let limits = Limits::default();
        let code = |prefs: Prefs| prefs.check(&limits).err().map(|rejection| rejection.code);
        let draft = |chars| Prefs {
            draft: Some("\u{1F600}".repeat(chars)),
            ..Prefs::default()
        };
        let back = Prefs {
            archived: Some(false),
            ..Prefs::default()
        };
        assert_eq!(code(Prefs::default()), Some(Code::BadRequest));
        assert_eq!(code(back), None);
        assert_eq!(code(draft(0)), None, "an empty draft clears it");
        assert_eq!(code(draft(limits.text_chars_max)), None);
        assert_eq!(code(draft(limits.text_chars_max + 1)), Some(Code::TooLarge));
    }
}
