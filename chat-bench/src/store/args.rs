//! The command, its rounds and what it tells.

use std::fmt::Write;
use std::time::Duration;

use chat_testkit::names::fresh_user;
use clap::Args;
use serde_json::{Value, json};

use super::appends::{self, Rate};
use super::channel::{TEXT_BYTES, WRITERS};
use super::floor;
use super::reads::{self, Waits};
use super::target::Target;
use crate::error::Error;
use crate::places::{Place, run_name, shown};

/// Measures stores on their own, all in one run: appends in closed loops beside the floor of the same rows by plain
/// statements, pages of history, inboxes.
#[derive(Args, Clone, Debug)]
pub(crate) struct StoreArgs {
    /// The stores: sqlite:PATH, postgres://…, cassandra://…; `{run}` in one stands for a name drawn for each round, under
    /// which a fresh store is made and removed again.
    #[arg(required = true, value_name = "URL")]
    stores: Vec<String>,
    /// Channels that each have one append of eight entries in flight.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 1_000])]
    channels: Vec<usize>,
    /// Seconds of each line.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Times that everything is measured, one after the other; medians count.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// One line of appends, of one round.
#[derive(Clone, Copy, Default)]
struct Line {
    store: Rate,
    floor: Rate,
}

/// What was measured of one store, in each round.
struct Measured {
    store: String,
    /// For each count of channels.
    lines: Vec<(usize, Vec<Line>)>,
    waits: Vec<Waits>,
}

impl StoreArgs {
    pub(crate) async fn run(&self, as_json: bool) -> Result<(), Error> {
        let mut measured: Vec<Measured> = self
            .stores
            .iter()
            .map(|store| Measured {
                store: shown(store),
                lines: self
                    .channels
                    .iter()
                    .map(|count| (*count, Vec::new()))
                    .collect(),
                waits: Vec::new(),
            })
            .collect();
        for _ in 0..self.rounds.max(1) {
            for (url, measured) in self.stores.iter().zip(&mut measured) {
                let place = Place::prepare(url, &run_name()).await?;
                let round = Box::pin(self.round(&place, measured)).await;
                // What was made is removed whatever came of the round.
                let removed = place.remove().await;
                round.and(removed)?;
            }
        }
        if as_json {
            println!("{}", self.to_json(&measured));
        } else {
            print!("{}", self.to_text(&measured));
        }
        Ok(())
    }

    async fn round(&self, place: &Place, measured: &mut Measured) -> Result<(), Error> {
        let time = Duration::from_secs(self.seconds.max(1));
        let target = Target::open(place).await?;
        for (count, lines) in &mut measured.lines {
            let reader = fresh_user("reader");
            let channels = appends::begin(&target.messages, *count, &reader).await?;
            lines.push(Line {
                store: appends::measure(&target.messages, channels, time).await?,
                floor: floor::measure(place, *count, time).await?,
            });
        }
        let reader = fresh_user("reader");
        measured.waits.push(reads::measure(&target, &reader).await?);
        target.close().await
    }

    fn to_text(&self, measured: &[Measured]) -> String {
        let mut text = format!(
            "medians of {} rounds of {} s a line; appends of {WRITERS} entries with {TEXT_BYTES} bytes each; CPU of this process only\n\
             {:<44}{:>9}{:>11}{:>8}{:>12}{:>9}{:>9}{:>9}{:>10}{:>10}\n",
            self.rounds.max(1),
            self.seconds.max(1),
            "store",
            "channels",
            "entries/s",
            "CPU us",
            "floor/s",
            "CPU us",
            "rate",
            "CPU",
            "p50 ms",
            "p99 ms"
        );
        for of in measured {
            for (count, lines) in &of.lines {
                let of_line = |number: fn(&Line) -> f64| median(lines.iter().map(number).collect());
                let _ = writeln!(
                    text,
                    "{:<44}{count:>9}{:>11.0}{:>8.1}{:>12.0}{:>9.1}{:>8.2}x{:>8.2}x{:>10.2}{:>10.2}",
                    of.store,
                    of_line(entries_per_s),
                    of_line(cpu_us),
                    of_line(floor_per_s),
                    of_line(floor_cpu_us),
                    of_line(rate_ratio),
                    of_line(cpu_ratio),
                    of_line(|line| line.store.p50_ms),
                    of_line(|line| line.store.p99_ms),
                );
            }
        }
        let _ = writeln!(
            text,
            "{:<44}{:>16}{:>12}{:>16}{:>12}",
            "reads", "history p50 ms", "p99 ms", "inbox p50 ms", "p99 ms"
        );
        for of in measured {
            let [page_50, page_99, inbox_50, inbox_99] = waits(of);
            let _ = writeln!(
                text,
                "{:<44}{:>16.2}{:>12.2}{:>16.2}{:>12.2}",
                of.store, page_50, page_99, inbox_50, inbox_99
            );
        }
        text
    }

    fn to_json(&self, measured: &[Measured]) -> String {
        let stores: Vec<Value> = measured
            .iter()
            .map(|of| {
                let appends: Vec<Value> = of
                    .lines
                    .iter()
                    .map(|(count, lines)| {
                        let of_line =
                            |number: fn(&Line) -> f64| median(lines.iter().map(number).collect());
                        json!({
                            "channels": count,
                            "entries_per_s": of_line(entries_per_s),
                            "cpu_us_per_entry": of_line(cpu_us),
                            "floor_entries_per_s": of_line(floor_per_s),
                            "floor_cpu_us_per_entry": of_line(floor_cpu_us),
                            "rate_of_floor": of_line(rate_ratio),
                            "cpu_of_floor": of_line(cpu_ratio),
                            "append_p50_ms": of_line(|line| line.store.p50_ms),
                            "append_p99_ms": of_line(|line| line.store.p99_ms),
                        })
                    })
                    .collect();
                let [page_50, page_99, inbox_50, inbox_99] = waits(of);
                json!({
                    "store": of.store,
                    "appends": appends,
                    "history_p50_ms": page_50,
                    "history_p99_ms": page_99,
                    "inbox_p50_ms": inbox_50,
                    "inbox_p99_ms": inbox_99,
                })
            })
            .collect();
        json!({
            "command": "store",
            "rounds": self.rounds.max(1),
            "seconds": self.seconds.max(1),
            "entries_per_append": WRITERS,
            "text_bytes": TEXT_BYTES,
            "stores": stores,
        })
        .to_string()
    }
}

fn entries_per_s(line: &Line) -> f64 {
    line.store.entries_per_s
}

fn cpu_us(line: &Line) -> f64 {
    line.store.cpu_us_per_entry
}

fn floor_per_s(line: &Line) -> f64 {
    line.floor.entries_per_s
}

fn floor_cpu_us(line: &Line) -> f64 {
    line.floor.cpu_us_per_entry
}

/// How much of the floor's rate the store has, in one round.
fn rate_ratio(line: &Line) -> f64 {
    line.store.entries_per_s / line.floor.entries_per_s
}

/// How much of the floor's processor time the store needs, in one round.
fn cpu_ratio(line: &Line) -> f64 {
    line.store.cpu_us_per_entry / line.floor.cpu_us_per_entry
}

/// History at p50 and p99, an inbox at p50 and p99; medians of the rounds.
fn waits(of: &Measured) -> [f64; 4] {
    let median_of = |number: fn(&Waits) -> f64| median(of.waits.iter().map(number).collect());
    [
        median_of(|waits| waits.history_p50_ms),
        median_of(|waits| waits.history_p99_ms),
        median_of(|waits| waits.inbox_p50_ms),
        median_of(|waits| waits.inbox_p99_ms),
    ]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_store_in_a_file_is_measured_and_removed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let args = StoreArgs {
            stores: vec![format!("sqlite:{}/{{run}}.db", folder.path().display())],
            channels: vec![2],
            seconds: 1,
            rounds: 1,
        };
        let mut measured = Measured {
            store: "sqlite".to_owned(),
            lines: vec![(2, Vec::new())],
            waits: Vec::new(),
        };
        let place = Place::prepare(&args.stores[0], &run_name())
            .await
            .expect("a path");
        Box::pin(args.round(&place, &mut measured))
            .await
            .expect("a round");
        place.remove().await.expect("removed");
        let text = args.to_text(&[measured]);
        assert!(text.contains("rate") && !text.contains("NaN"), "{text}");
        let left = std::fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(left, 0, "nothing stays behind");
    }
}
