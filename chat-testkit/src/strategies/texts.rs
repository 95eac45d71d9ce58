//! Texts that break careless code.

use chat_core::proto::Limits;
use proptest::prelude::*;

/// Texts that a message may hold and that careless code breaks, truncates, normalises or trusts: the big list of naughty
/// strings, U+0000 in every place, lone combining marks and joiners, bidirectional controls, noncharacters, both spellings
/// of one letter, texts that look like the formats they are stored in, and the longest ones.
pub fn hostile_texts() -> Vec<String> {
    let naughty = naughty_strings::BLNS.iter().filter(|text| !text.is_empty());
    let mut texts: Vec<String> = naughty.map(ToString::to_string).collect();
    texts.extend(OWN.iter().map(ToString::to_string));
    let chars_max = Limits::default().text_chars_max;
    texts.push("\u{0}".repeat(1_000));
    texts.push(format!("a{}", "\u{0301}".repeat(5_000)));
    texts.push("\u{202E}".repeat(2_000));
    texts.push(format!("{}\u{1F468}\u{200D}", "x".repeat(chars_max - 2)));
    texts
}

/// Texts of messages: mostly ordinary, some hostile, some of any characters, none empty.
pub fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z0-9 ,.!?\u{e4}\u{1F600}]{1,40}",
        2 => proptest::sample::select(hostile_texts()),
        2 => proptest::collection::vec(any::<char>(), 1..200).prop_map(String::from_iter),
    ]
}

const OWN: &[&str] = &[
    "\u{0}",
    "\u{0}leading",
    "trailing\u{0}",
    "in\u{0}the middle",
    "\u{FEFF}byte order mark",
    " ",
    "\n",
    "\r\n",
    "  spaces on both sides  ",
    "\u{0301}",
    "\u{20DD}\u{0489}",
    "\u{200D}",
    "\u{FE0F}",
    "\u{202E}\u{2066}\u{2069}\u{202C}",
    "\u{FFFE}\u{FFFF}\u{1FFFE}\u{10FFFF}",
    "\u{FFFD}",
    "\u{E000}\u{F8FF}",
    "e\u{0301}",
    "\u{00E9}",
    "\u{212B}\u{00C5}A\u{030A}",
    "\u{FB01}",
    "\u{0130}\u{0131}",
    "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}\u{200D}\u{1F466}",
    "\u{1F1E9}\u{1F1EA}\u{1F1E9}",
    "\\u0000",
    "\\",
    "\"",
    "'; DROP TABLE entries; --",
    "%s%n%00",
    "{\"type\":\"text\"}",
    "null",
    "\u{1b}[2J\u{7}\u{7f}\u{80}\u{9f}",
    "\u{2028}\u{2029}",
    "<script>alert(1)</script>",
    "\u{D7FF}\u{E000}",
];

#[cfg(test)]
mod tests {
    use chat_core::proto::Body;

    use super::*;

    #[test]
    fn a_message_may_hold_every_hostile_text() {
        let limits = Limits::default();
        for text in hostile_texts() {
            let checked = Body::text(text.as_str()).check(&limits);
            assert_eq!(checked, Ok(()), "{text:.40?}");
        }
    }

    proptest! {
        #[test]
        fn a_message_may_hold_every_text(text in texts()) {
            prop_assert_eq!(Body::text(text).check(&Limits::default()), Ok(()));
        }
    }
}
