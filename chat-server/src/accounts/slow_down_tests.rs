//! Guesses under a paused clock.

use tokio::time::advance;

use super::*;

fn pair(name: &str, address: &str) -> Pair {
    Pair::new(name, Some(address.parse().expect("an address")))
}

/// What comes of a password: whether it gets in, or how long the next has to wait.
fn tries(slow_down: &SlowDown, pair: Pair, is_right: bool) -> Result<bool, u64> {
    let decided = slow_down
        .attempt(pair)
        .and_then(|attempt| slow_down.decide(attempt, is_right));
    decided.map_err(|refused| {
        assert_eq!(refused.code, Code::RateLimited);
        refused.retry_after_ms.expect("when to come again")
    })
}

/// Guesses until it has to wait; how long.
fn guess_away(slow_down: &SlowDown, pair: Pair) -> u64 {
    loop {
        if let Err(wait_ms) = tries(slow_down, pair, false) {
            return wait_ms;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_five_failures_each_attempt_waits_twice_as_long_up_to_a_bound() {
    let slow_down = SlowDown::new();
    let guesser = pair("alice", "192.0.2.1");
    for _ in 0..FREE_FAILURES {
        assert_eq!(tries(&slow_down, guesser, false), Ok(false));
    }
    let mut waits_s = Vec::new();
    for _ in 0..12 {
        let wait_ms = tries(&slow_down, guesser, false).expect_err("too early");
        waits_s.push(wait_ms / 1_000);
        advance(Duration::from_millis(wait_ms - 2)).await;
        assert!(
            tries(&slow_down, guesser, true).is_err(),
            "still too early, also for the right one"
        );
        advance(Duration::from_millis(2)).await;
        assert_eq!(tries(&slow_down, guesser, false), Ok(false));
    }
    assert_eq!(waits_s, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    advance(WINDOW).await;
    assert!((0..FREE_FAILURES).all(|_| tries(&slow_down, guesser, false) == Ok(false)));
}

#[tokio::test(start_paused = true)]
async fn a_name_is_not_slowed_down_from_elsewhere() {
    let slow_down = SlowDown::new();
    guess_away(&slow_down, pair("alice", "192.0.2.1"));
    for other in [pair("alice", "192.0.2.2"), pair("bob", "192.0.2.1")] {
        assert_eq!(tries(&slow_down, other, true), Ok(true));
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_at_once_no_more_are_looked_at_than_one_after_the_other() {
    let slow_down = SlowDown::new();
    let guesser = pair("alice", "192.0.2.1");
    let looked_at = (0..50).filter_map(|_| slow_down.attempt(guesser).ok());
    assert_eq!(looked_at.count(), FREE_FAILURES as usize);
}

#[tokio::test(start_paused = true)]
async fn where_it_has_logged_in_before_a_name_waits_a_second_at_most() {
    let slow_down = SlowDown::new();
    let home = pair("alice", "192.0.2.1");
    assert_eq!(tries(&slow_down, home, true), Ok(true));
    for _ in 0..50 {
        let wait_ms = guess_away(&slow_down, home);
        advance(LOOK_INTERVAL).await;
        assert_eq!(tries(&slow_down, home, true), Ok(true), "of {wait_ms} ms");
        advance(Duration::from_millis(wait_ms)).await;
    }
    let wait_ms = guess_away(&slow_down, home);
    assert_eq!(wait_ms, 300_001, "for those who guess");
}

/// The name's owner logs in now and again at the address of those who guess.
#[tokio::test(start_paused = true)]
async fn a_guesser_sees_the_same_of_a_name_that_logs_in_there_and_of_one_that_does_not_exist() {
    let slow_down = SlowDown::new();
    let [used, nobody] = ["alice", "nobody"].map(|name| pair(name, "192.0.2.1"));
    assert_eq!(tries(&slow_down, used, true), Ok(true));
    for round in 0..200 {
        let seen = [used, nobody].map(|pair| tries(&slow_down, pair, false));
        assert_eq!(seen[0], seen[1], "round {round}");
        if round % 3 == 0 {
            advance(LOOK_INTERVAL).await;
            assert_eq!(tries(&slow_down, used, true), Ok(true), "round {round}");
            advance(LOOK_INTERVAL).await;
        }
        advance(Duration::from_millis(137 * (round % 11))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_is_bounded() {
    let slow_down = SlowDown::new();
    for number in 0..=PAIRS_MAX {
        let name = Pair::new(&number.to_string(), None);
        assert_eq!(tries(&slow_down, name, false), Ok(false));
    }
    let remembered = slow_down.pairs().len();
    assert!(remembered <= PAIRS_MAX, "{remembered}");
}
