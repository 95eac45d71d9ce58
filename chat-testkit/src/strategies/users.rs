//! User ids, good and bad.

use chat_core::proto::UserId;
use proptest::prelude::*;

/// Good user ids: short ones that often meet, and ones of any characters that an id may have, up to its longest.
pub fn user_ids() -> impl Strategy<Value = UserId> {
    prop_oneof![
        3 => "[a-d]{1,2}",
        1 => "[a-zA-Z0-9@._\u{df}\u{540d}\u{1F600}-]{1,16}",
        1 => proptest::collection::vec(any::<char>(), 1..16).prop_map(String::from_iter),
        1 => Just("x".repeat(64)),
    ]
    .prop_filter_map("a good user id", |text| text.parse().ok())
}

/// Texts that are no user ids: empty, too long, with white space, control or bidirectional-control characters.
pub fn bad_user_ids() -> impl Strategy<Value = String> {
    let forbidden = proptest::sample::select(vec![
        ' ', '\t', '\n', '\0', '\u{7f}', '\u{85}', '\u{a0}', '\u{3000}', '\u{2028}', '\u{61c}',
        '\u{200e}', '\u{200f}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}',
    ]);
    let with_forbidden = ("[a-z]{0,8}", forbidden, "[a-z]{0,8}");
    prop_oneof![
        1 => Just(String::new()),
        1 => "[a-z]{65,200}",
        1 => "\u{540d}{22,40}",
        4 => with_forbidden.prop_map(|(before, bad, after)| format!("{before}{bad}{after}")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest! {
        #[test]
        fn bad_ids_are_refused(text in bad_user_ids()) {
            prop_assert!(text.parse::<UserId>().is_err());
        }

        #[test]
        fn good_ids_are_their_text(user in user_ids()) {
            prop_assert_eq!(user.as_str().parse::<UserId>(), Ok(user.clone()));
        }
    }
}
