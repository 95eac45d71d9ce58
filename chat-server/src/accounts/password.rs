//! Which passwords are taken: long enough, and none that is tried first.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use chat_core::proto::Rejection;

/// Characters at the least.
const CHARS_MIN: usize = 8;
/// Characters at the most: what is hashed must have an end.
pub(super) const CHARS_MAX: usize = 256;
/// A password that repeats a part of at most this many characters is as good as the part.
const PERIOD_MAX: usize = 4;
/// Digits and signs after a common word that make nothing better of it.
const TAIL_CHARS_MAX: usize = 5;

static COMMON: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    include_str!("common_passwords.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect()
});

/// Checks a new password.
pub(super) fn check(password: &str, user: &str) -> Result<(), Rejection> {
    let chars = password.chars().count();
    if !(CHARS_MIN..=CHARS_MAX).contains(&chars) {
        return Err(Rejection::bad_request("a password has 8 to 256 characters"));
    }
    let lower = password.to_lowercase();
    if is_common(&lower) || lower.contains(user) && chars < user.chars().count() + CHARS_MIN {
        return Err(Rejection::bad_request(
            "this password is among the first that are guessed; take a few words that nobody else puts together",
        ));
    }
    Ok(())
}

fn is_common(lower: &str) -> bool {
    let chars: Vec<char> = lower.chars().collect();
    COMMON.contains(lower) || COMMON.contains(stem(lower)) || repeats(&chars) || is_run(&chars)
}

/// The password without a short tail of digits and signs.
fn stem(lower: &str) -> &str {
    let stem =
        lower.trim_end_matches(|sign: char| sign.is_ascii_digit() || sign.is_ascii_punctuation());
    if lower.len() - stem.len() <= TAIL_CHARS_MAX {
        stem
    } else {
        lower
    }
}

/// As `aaaaaaaa` and `abcabcabc`.
fn repeats(chars: &[char]) -> bool {
    (1..=PERIOD_MAX).any(|period| {
        chars
            .iter()
            .zip(chars.iter().skip(period))
            .all(|(one, later)| one == later)
    })
}

/// As `23456789` and `hgfedcba`; a 0 may follow the 9.
fn is_run(chars: &[char]) -> bool {
    let steps = |up: bool| {
        chars.windows(2).all(|pair| {
            let [low, high] = if up {
                [pair[0], pair[1]]
            } else {
                [pair[1], pair[0]]
            };
            u32::from(low) + 1 == u32::from(high) || (low, high) == ('9', '0')
        })
    };
    steps(true) || steps(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_guessed_first_is_refused() {
        for bad in [
            "",
            "short",
            "1234567",
            "password",
            "Password",
            "PASSWORD1",
            "password123!",
            "12345678",
            "1234567890",
            "87654321",
            "aaaaaaaa",
            "abcabcabc",
            "12121212",
            "abcdefgh",
            "qwertyuiop",
            "iloveyou",
            "1q2w3e4r",
            "letmein1",
            "dragon2024",
            "alice-b1",
            "xalice12",
            &"x".repeat(257),
            "трололо",
        ] {
            assert!(check(bad, "alice").is_err(), "{bad}");
        }
        for good in [
            "correct horse",
            "kleine-eule",
            "8fj2Ks0q",
            "пароль-и-ещё",
            "alice and the looking glass",
        ] {
            assert_eq!(check(good, "alice"), Ok(()), "{good}");
        }
        let long: String = ('a'..='z').cycle().step_by(7).take(256).collect();
        assert!(check(&long, "alice").is_ok());
    }

    #[test]
    fn the_list_is_in_the_form_that_is_looked_up() {
        assert!(COMMON.len() > 200);
        for common in COMMON.iter() {
            assert_eq!(*common, common.to_lowercase().trim(), "{common}");
            assert!(!common.is_empty());
        }
    }
}
