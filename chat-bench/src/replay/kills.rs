//! The server's deaths.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::outcome::{Count, Counts};
use super::plan::Dice;
use crate::cpu::cpu_time;
use crate::error::Error;
use crate::server_process::ServerProcess;

/// How often it is looked whether the time has come.
const LOOK: Duration = Duration::from_millis(5);

/// After how many acknowledged messages the server dies: once in each of as many equal parts of the run, at a random
/// place in its middle.
pub(crate) fn moments(messages: u64, kills: u64, dice: &mut Dice) -> Vec<u64> {
    let part = messages as f64 / kills.max(1) as f64;
    (0..kills)
        .map(|at| (part * (at as f64 + 0.1 + 0.8 * dice.fraction())) as u64)
        .collect()
}

/// Kills the server at each of these moments and starts it again on its data; gives it back alive.
pub(crate) async fn kill_at(
    mut server: ServerProcess,
    moments: Vec<u64>,
    counts: Arc<Counts>,
) -> Result<ServerProcess, Error> {
    for moment in moments {
        while counts.value(Count::Messages) < moment {
            sleep(LOOK).await;
        }
        count_cpu(&server, &counts)?;
        server.kill().await?;
        counts.add(Count::Kills);
        server.restart().await?;
    }
    Ok(server)
}

/// Adds what this life of the server has used.
pub(crate) fn count_cpu(server: &ServerProcess, counts: &Counts) -> Result<(), Error> {
    let cpu = cpu_time(server.pid()?)?;
    counts.add_many(Count::ServerCpuUs, cpu.as_micros() as u64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_dies_once_in_each_part() {
        for seed in 0..100 {
            let moments = moments(1_000, 4, &mut Dice::new(seed));
            let parts: Vec<u64> = moments.iter().map(|moment| moment / 250).collect();
            assert_eq!(parts, [0, 1, 2, 3], "{moments:?}");
        }
        assert!(moments(1_000, 0, &mut Dice::new(1)).is_empty());
    }
}
