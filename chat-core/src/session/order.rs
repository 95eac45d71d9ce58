//! A session's commands to one channel keep their order across failures: behind one that may come again, later ones wait
//! until it has.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::lock::lock;
use chat_proto::{ChannelId, ClientId};
use tokio::time::Instant;

/// For how long later commands wait for a failed one to come again.
const FAILED_COMMAND_WAIT: Duration = Duration::from_secs(30);
/// Channels of which a session remembers a failed command; whoever lets so many fail retries nothing.
const FAILED_CHANNELS_MAX: usize = 1_024;

/// The place of a command among those of its session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    channel: ChannelId,
    client_id: ClientId,
    number: u64,
}

/// Which commands of a session must wait.
#[derive(Debug, Default)]
pub(crate) struct CommandOrder {
    next: AtomicU64,
    any_failed: AtomicBool,
    failed: Mutex<BTreeMap<ChannelId, Vec<Failed>>>,
}

/// A command that failed and may come again. Those behind it must wait, up to the turn at which it came again.
#[derive(Debug)]
struct Failed {
    client_id: ClientId,
    number: u64,
    again: Option<u64>,
    at: Instant,
}

/// Too many channels wait for a failed command.
#[derive(Debug)]
pub(crate) struct TooManyFailed;

impl CommandOrder {
    /// A command came in; to be called in the order in which they come.
    pub(crate) fn take_turn(&self, channel: ChannelId, client_id: ClientId) -> Turn {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if self.any_failed.load(Ordering::Acquire)
            && let Some(failed) = self.lock().get_mut(&channel)
        {
            let waited_for = failed
                .iter_mut()
                .find(|failed| failed.client_id == client_id && failed.again.is_none());
            if let Some(failed) = waited_for {
                failed.again = Some(number);
            }
        }
        Turn {
            channel,
            client_id,
            number,
        }
    }

    /// Whether an earlier command failed and did not come again before this one. Changes nothing: a plan that asked may
    /// be void.
    pub(crate) fn must_wait(&self, turn: &Turn) -> bool {
        self.any_failed.load(Ordering::Acquire)
            && self.lock().get(&turn.channel).is_some_and(|failed| {
                failed.iter().any(|failed| {
                    failed.number < turn.number
                        && failed.again.is_none_or(|again| turn.number < again)
                        && failed.at.elapsed() < FAILED_COMMAND_WAIT
                })
            })
    }

    /// The command was answered; `may_come_again` when it was not carried out, or perhaps not, and its client is to send
    /// it again.
    pub(crate) fn settle(&self, turn: &Turn, may_come_again: bool) -> Result<(), TooManyFailed> {
        if !may_come_again && !self.any_failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut channels = self.lock();
        if channels.len() >= FAILED_CHANNELS_MAX {
            channels.retain(|_, failed| {
                failed
                    .iter()
                    .any(|failed| failed.at.elapsed() < FAILED_COMMAND_WAIT)
            });
        }
        if channels.len() >= FAILED_CHANNELS_MAX && may_come_again {
            return Err(TooManyFailed);
        }
        let failed = channels.entry(turn.channel).or_default();
        failed.retain(|failed| failed.at.elapsed() < FAILED_COMMAND_WAIT);
        let retry = failed
            .iter()
            .position(|failed| failed.again == Some(turn.number));
        match retry {
            Some(index) if may_come_again => {
                failed[index].again = None;
                failed[index].at = Instant::now();
                keep_earliest_open(failed);
            }
            Some(index) => drop(failed.swap_remove(index)),
            None if may_come_again => {
                failed.push(Failed {
                    client_id: turn.client_id,
                    number: turn.number,
                    again: None,
                    at: Instant::now(),
                });
                keep_earliest_open(failed);
            }
            None => {}
        }
        if failed.is_empty() {
            channels.remove(&turn.channel);
        }
        self.any_failed
            .store(!channels.is_empty(), Ordering::Release);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ChannelId, Vec<Failed>>> {
        lock(&self.failed)
    }
}

/// Everything behind the earliest command that has not come again waits for it already.
fn keep_earliest_open(failed: &mut Vec<Failed>) {
    let open = failed.iter().filter(|failed| failed.again.is_none());
    if let Some(earliest) = open.map(|failed| failed.number).min() {
        failed.retain(|failed| failed.again.is_some() || failed.number == earliest);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn turn(order: &CommandOrder, key: u128) -> Turn {
        let client_id = ClientId::from_uuid(Uuid::from_u128(key));
        order.take_turn(ChannelId::external("room"), client_id)
    }

    fn fail(order: &CommandOrder, turn: &Turn) {
        order.settle(turn, true).expect("few channels");
    }

    #[tokio::test]
    async fn those_between_a_failed_command_and_its_return_wait() {
        let order = CommandOrder::default();
        let (first, second) = (turn(&order, 1), turn(&order, 2));
        assert!(!order.must_wait(&second));
        fail(&order, &first);
        assert!(order.must_wait(&second));
        let again = turn(&order, 1);
        let third = turn(&order, 2);
        // Asked as often as a plan is made again, the answer is the same.
        for _ in 0..2 {
            assert!(!order.must_wait(&again));
            assert!(!order.must_wait(&third));
            assert!(order.must_wait(&second));
        }
        order.settle(&again, false).expect("few channels");
        assert!(!order.must_wait(&third));
    }

    #[tokio::test]
    async fn what_came_before_the_failed_command_does_not_wait_for_it() {
        let order = CommandOrder::default();
        let (early, refused) = (turn(&order, 1), turn(&order, 2));
        fail(&order, &refused);
        assert!(!order.must_wait(&early));
        // Now both failed: the earlier one comes first.
        fail(&order, &early);
        let wrong = turn(&order, 2);
        assert!(order.must_wait(&wrong));
        let right = turn(&order, 1);
        assert!(!order.must_wait(&right));
        assert!(!order.must_wait(&turn(&order, 2)));
    }

    #[tokio::test]
    async fn a_return_that_fails_is_waited_for_again() {
        let order = CommandOrder::default();
        let first = turn(&order, 1);
        fail(&order, &first);
        let again = turn(&order, 1);
        let behind = turn(&order, 2);
        fail(&order, &again);
        assert!(order.must_wait(&behind));
        assert!(!order.must_wait(&turn(&order, 1)));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_thirty_seconds() {
        let order = CommandOrder::default();
        let first = turn(&order, 1);
        fail(&order, &first);
        let second = turn(&order, 2);
        tokio::time::sleep(FAILED_COMMAND_WAIT - Duration::from_millis(1)).await;
        assert!(order.must_wait(&second));
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(!order.must_wait(&second));
    }
}
