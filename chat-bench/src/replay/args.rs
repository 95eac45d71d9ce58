//! The command, and its run as a whole.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chat_testkit::REQUIRE_VARIABLE;
use chat_testkit::history::{Report, Seen};
use clap::{Args, ValueEnum};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, interval};

use super::check::Checked;
use super::corpus;
use super::fleet::Fleet;
use super::kills::{count_cpu, kill_at, moments};
use super::outcome::{Count, Counts, Outcome, merge};
use super::plan::{Dice, Plan};
use super::room::{self, Scene};
use crate::error::Error;
use crate::jwt::Signer;
use crate::places::{Place, run_name, shown};
use crate::server_process::{ServerOptions, ServerProcess};

/// Between two looks at the progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// Of these looks, one in so many is a line where there is no terminal.
const PROGRESS_LINE_EVERY: u32 = 25;
/// What `CHAT_TEST_REQUIRE` calls these conversations.
const REQUIRED_AS: [&str; 2] = ["irc", "all"];

/// Replays real conversations through a real server that is killed on the way, and checks that every device ends with
/// exactly what was acknowledged.
#[derive(Args, Clone, Debug)]
pub(crate) struct ReplayArgs {
    /// The folder of the logs (`*.jsonl.gz`).
    folder: PathBuf,
    /// One line after the other, or all who spoke within the same minutes at once.
    #[arg(long, value_enum, default_value_t = Mode::Ordered)]
    mode: Mode,
    /// Only so many of the logs, spread evenly.
    #[arg(long)]
    files: Option<usize>,
    /// Decides devices, faults and kills.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often the server is killed.
    #[arg(long, default_value_t = 3)]
    kills: u64,
    /// Channels that are on their way at a time.
    #[arg(long, default_value_t = 8)]
    channels: usize,
    /// Tell the progress line by line where there is no terminal.
    #[arg(long)]
    progress: bool,
    /// Where the server keeps messages, as its own --messages; `{run}` stands for a name drawn for the run, under which a
    /// fresh store is made and removed again.
    #[arg(long, value_name = "URL")]
    messages: Option<String>,
    /// Where the server keeps users, as its own --users; `{run}` stands for the same name.
    #[arg(long, value_name = "URL")]
    users: Option<String>,
}

/// In which order the lines of a log are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Each when the former is acknowledged.
    Ordered,
    /// All of some minutes at once, each sender's in order.
    Concurrent,
}

impl ReplayArgs {
    /// Replays, tells what came of it, and fails when anything differs.
    pub(crate) async fn run(
        &self,
        server: impl Fn(&Signer) -> Result<ServerOptions, Error>,
        json: bool,
    ) -> Result<ExitCode, Error> {
        let files = corpus::files(&self.folder, self.files)?;
        if files.is_empty() {
            return self.skip();
        }
        let mut plans = Vec::with_capacity(files.len());
        for file in &files {
            plans.push(Plan::new(&corpus::read(file)?, self.mode, self.seed)?);
        }
        let places = self.places().await?;
        let outcome = Box::pin(self.replay(server, plans, &places)).await;
        // What was made is removed whatever came of the run.
        for (_, place) in places {
            place.remove().await?;
        }
        let outcome = outcome?;
        if json {
            println!("{}", outcome.to_json());
        } else {
            print!("{}", outcome.to_text());
        }
        match &outcome.difference {
            None => Ok(ExitCode::SUCCESS),
            Some(first) => {
                eprintln!("chat-bench: DIFFERENCE, the first: {first}");
                Ok(ExitCode::FAILURE)
            }
        }
    }

    async fn replay(
        &self,
        server: impl Fn(&Signer) -> Result<ServerOptions, Error>,
        plans: Vec<Plan>,
        places: &[(&'static str, Place)],
    ) -> Result<Outcome, Error> {
        let signer = Signer::random();
        let mut options = server(&signer)?;
        let variables = places
            .iter()
            .map(|(name, place)| (*name, place.url.clone()));
        options.variables.extend(variables);
        let server = ServerProcess::start(options).await?;
        let messages = plans.iter().map(|plan| plan.messages).sum();
        let counts = Arc::new(Counts::default());
        let scene = Arc::new(Scene {
            address: server.address(),
            fleet: Fleet::new(server.address(), signer, self.seed),
            counts: counts.clone(),
            is_ordered: self.mode == Mode::Ordered,
        });
        let moments = moments(messages, self.kills, &mut Dice::new(self.seed));
        let started = Instant::now();
        let killing = kill_at(server, moments, counts.clone());
        let playing = all_channels(scene.clone(), plans, self.channels);
        let telling = tell_progress(counts.clone(), messages, self.progress);
        let both = async { tokio::try_join!(killing, playing) };
        let (server, checked) = tokio::select! {
            biased;
            both = both => both?,
            never = telling => match never {},
        };
        let seconds = started.elapsed().as_secs_f64();
        let mut report = Report::default();
        let mut difference = None;
        for one in &checked {
            difference = difference.or_else(|| one.difference.clone());
            difference = match difference {
                Some(difference) => Some(difference),
                None => still_there(&scene, one).await?,
            };
        }
        for one in checked {
            merge(&mut report, one.report);
        }
        count_cpu(&server, &counts)?;
        server.stop().await?;
        let fleet = scene.fleet.counts();
        let mut outcome = Outcome::new(self.command(), &counts, &report);
        outcome.add("devices", fleet.devices as f64);
        outcome.add("device_starts", fleet.starts as f64);
        outcome.add("device_disconnects", fleet.disconnects as f64);
        outcome.add("connections_at_once_max", fleet.connections_max as f64);
        outcome.add("seconds", seconds);
        outcome.add(
            "messages_per_s",
            counts.value(Count::Messages) as f64 / seconds,
        );
        outcome.add(
            "device_entries_per_s",
            report.device_entries as f64 / seconds,
        );
        if let Some(difference) = difference {
            outcome.difference = Some(difference);
        }
        Ok(outcome)
    }

    /// The stores that the server is told, each made if it is to be.
    async fn places(&self) -> Result<Vec<(&'static str, Place)>, Error> {
        let name = run_name();
        let mut places: Vec<(&'static str, Place)> = Vec::new();
        for (variable, url) in [
            ("CHAT_STORES__MESSAGES", &self.messages),
            ("CHAT_STORES__USERS", &self.users),
        ] {
            let Some(url) = url else { continue };
            // One store for both is made once, and removed once.
            let place = if self.messages.as_ref() == Some(url) && !places.is_empty() {
                Place::given(url, &name)
            } else {
                Place::prepare(url, &name).await?
            };
            places.push((variable, place));
        }
        Ok(places)
    }

    fn command(&self) -> String {
        let mode = match self.mode {
            Mode::Ordered => "ordered",
            Mode::Concurrent => "concurrent",
        };
        let files = self
            .files
            .map_or_else(String::new, |files| format!(" --files {files}"));
        let named = |option: &str, url: &Option<String>| {
            url.as_ref()
                .map_or_else(String::new, |url| format!(" --{option} {}", shown(url)))
        };
        format!(
            "replay {} --mode {mode}{files} --seed {} --kills {} --channels {}{}{}",
            self.folder.display(),
            self.seed,
            self.kills,
            self.channels,
            named("messages", &self.messages),
            named("users", &self.users),
        )
    }

    fn skip(&self) -> Result<ExitCode, Error> {
        let required = std::env::var(REQUIRE_VARIABLE).unwrap_or_default();
        if required
            .split(',')
            .any(|name| REQUIRED_AS.contains(&name.trim()))
        {
            return Err(Error::Invalid(format!(
                "{} has no logs, and {REQUIRE_VARIABLE}={required} requires them",
                self.folder.display()
            )));
        }
        eprintln!("SKIPPED: irc data ({} has no logs)", self.folder.display());
        Ok(ExitCode::SUCCESS)
    }
}

/// All channels, some at a time, each in a task of its own.
async fn all_channels(
    scene: Arc<Scene>,
    plans: Vec<Plan>,
    at_a_time: usize,
) -> Result<Vec<Checked>, Error> {
    stream::iter(plans)
        .map(|plan| {
            let scene = scene.clone();
            let task = tokio::spawn(async move { Box::pin(room::replay(&scene, &plan)).await });
            async move {
                task.await.unwrap_or_else(|panic| {
                    Err(Error::Invalid(format!("a channel's task failed: {panic}")))
                })
            }
        })
        .buffer_unordered(at_a_time.max(1))
        .try_collect()
        .await
}

/// Whether the log is at the end of the run what it was when its channel was checked, through all deaths since.
async fn still_there(scene: &Scene, checked: &Checked) -> Result<Option<String>, Error> {
    let token = scene.fleet.token(&checked.host);
    let log = room::server_log(scene.address, checked.channel, &token).await?;
    let log: Vec<Seen> = log.iter().map(Seen::of).collect();
    if log == checked.log {
        return Ok(None);
    }
    let first = log
        .iter()
        .zip(&checked.log)
        .position(|(now, then)| now != then);
    let first = first.unwrap_or(log.len().min(checked.log.len())) + 1;
    Ok(Some(format!(
        "{}: at the end of the run entry {first} is not what it was ({} entries then, {} now)",
        checked.channel,
        checked.log.len(),
        log.len()
    )))
}

/// Tells how far the run is: a bar on a terminal, lines elsewhere if asked for.
async fn tell_progress(
    counts: Arc<Counts>,
    messages: u64,
    lines: bool,
) -> std::convert::Infallible {
    let bar = ProgressBar::new(messages);
    let style =
        ProgressStyle::with_template("{wide_bar} {pos}/{len} messages {per_sec} {msg} ETA {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut looks = interval(PROGRESS_EVERY);
    for look in 0u32.. {
        looks.tick().await;
        let done = counts.value(Count::Messages);
        let kills = counts.value(Count::Kills);
        bar.set_position(done);
        bar.set_message(format!("{kills} kills"));
        if lines && bar.is_hidden() && look.is_multiple_of(PROGRESS_LINE_EVERY) {
            eprintln!("{done} of {messages} messages, {kills} kills");
        }
    }
    std::future::pending().await
}
