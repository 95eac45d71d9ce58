//! The orders in which several actors' steps may happen.

use proptest::prelude::*;

/// Orders of the steps of several actors, each keeping its own order: `steps[k]` steps of actor `k`. The value names the
/// actor whose turn it is.
///
/// ```
/// use chat_testkit::strategies::interleavings;
/// use proptest::prelude::*;
///
/// proptest!(|(turns in interleavings(vec![2, 3]))| {
///     prop_assert_eq!(turns.iter().filter(|actor| **actor == 1).count(), 3);
/// });
/// ```
pub fn interleavings(steps: Vec<usize>) -> impl Strategy<Value = Vec<usize>> {
    let in_turn: Vec<usize> = steps
        .iter()
        .enumerate()
        .flat_map(|(actor, count)| std::iter::repeat_n(actor, *count))
        .collect();
    Just(in_turn).prop_shuffle()
}
