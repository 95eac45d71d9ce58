//! The process is killed at any moment, again and again on the same store: what was acknowledged is there.

use std::collections::BTreeSet;

use crate::appender::{Appender, acknowledgements, lost};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const ROUNDS: u32 = 50;
/// Draws the moments of the kills.
const SEED: u64 = 7;

#[test]
fn acknowledged_survives_kill_at_any_moment() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut moments = StdRng::seed_from_u64(SEED);
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        let child = Appender::start(folder.path(), &[], true);
        acknowledged.extend(child.acknowledged(moments.random_range(1..60)));
        acknowledged.extend(acknowledgements(&child.kill()));
        let lost = lost(folder.path(), &acknowledged);
        assert_eq!(
            lost,
            0,
            "round {round} of seed {SEED}, of {} acknowledged",
            acknowledged.len()
        );
    }
}
