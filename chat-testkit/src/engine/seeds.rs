//! Which runs, and how to repeat one.

use std::ops::Range;

/// Names the seed to run, or the seeds as `100..200`.
pub const SEED_VARIABLE: &str = "CHAT_SEED";

/// The seeds of a test: `count` of them, or those that the environment names.
///
/// # Panics
/// When the environment names something else.
pub fn seeds(count: u64) -> Range<u64> {
    match std::env::var(SEED_VARIABLE) {
        Ok(seed) => {
            let number = |text: &str| text.parse::<u64>().expect("CHAT_SEED holds numbers");
            match seed.split_once("..") {
                Some((first, end)) => number(first)..number(end),
                None => number(&seed)..number(&seed) + 1,
            }
        }
        Err(_) => 0..count,
    }
}
