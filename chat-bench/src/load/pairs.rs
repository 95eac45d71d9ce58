//! Many pairs of people who write to each other, each as fast as the server answers.

use std::rc::Rc;
use std::time::Duration;

use clap::Args;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::peer::{Peer, To, callers, connect_all};
use super::run::{on_fresh_server, unless_failed};
use super::tally::Tally;
use crate::error::Error;
use crate::figures::{Figures, Report};
use crate::jwt::Signer;
use crate::server_process::{ServerOptions, ServerProcess};
use crate::socket::READ_SMALL_BYTES;

/// How long the last messages may be under way.
const SETTLE_MAX: Duration = Duration::from_secs(10);
/// How often it is looked whether they have arrived.
const SETTLE_LOOK: Duration = Duration::from_millis(20);

/// Pairs that send 1-on-1 messages in closed loops.
#[derive(Args, Clone, Debug)]
pub(crate) struct PairsArgs {
    /// How many pairs.
    #[arg(long, default_value_t = 200)]
    pairs: usize,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds before that.
    #[arg(long, default_value_t = 3)]
    warm_up_seconds: u64,
    /// Bytes of each text.
    #[arg(long, default_value_t = 200)]
    bytes: usize,
    /// Both of a pair send, not only the first.
    #[arg(long)]
    both: bool,
    /// Runs, each on a fresh server; the median counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

impl PairsArgs {
    /// Measures.
    pub(crate) async fn run(
        &self,
        server: impl Fn(&Signer) -> Result<ServerOptions, Error>,
    ) -> Result<Report, Error> {
        let mut runs = Vec::new();
        for _ in 0..self.runs {
            runs.push(
                on_fresh_server(&server, async |signer, server| {
                    self.measure(signer, server).await
                })
                .await?,
            );
        }
        Ok(Report {
            command: self.command(),
            runs,
        })
    }

    async fn measure(&self, signer: &Signer, server: &ServerProcess) -> Result<Figures, Error> {
        let callers = callers(signer, "pair", self.pairs * 2)?;
        let sockets = connect_all(server.address(), &callers, READ_SMALL_BYTES).await?;
        let tally = Rc::new(Tally::new());
        let mut peers = JoinSet::new();
        for (at, socket) in sockets.into_iter().enumerate() {
            let other = &callers[at ^ 1].user;
            let to = (self.both || at % 2 == 0).then(|| To::user(other));
            peers.spawn_local(Peer::new(socket, tally.clone(), to, self.bytes).converse());
        }
        let window = async {
            sleep(Duration::from_secs(self.warm_up_seconds)).await;
            let begun = tally.begin(server).await?;
            sleep(Duration::from_secs(self.seconds)).await;
            let window = tally.since(&begun, server).await?;
            let mut figures = Figures::default();
            figures.add("acked_per_s", window.acked / window.seconds);
            figures.add("delivered_per_s", window.delivered / window.seconds);
            tally.add_ack_waits(&mut figures);
            tally.add_delivery_waits(&mut figures);
            figures.add(
                "server_cpu_us_per_message",
                window.cpu_us / window.acked.max(1.0),
            );
            figures.add("server_cpu_cores", window.cpu_us / 1e6 / window.seconds);
            window.add_commits(&mut figures);
            Ok::<_, Error>(figures)
        };
        let figures = unless_failed(window, &mut peers).await?;
        tally.stopping.set(true);
        unless_failed(all_delivered(&tally), &mut peers).await?;
        Ok(figures)
    }

    fn command(&self) -> String {
        let both = if self.both { " --both" } else { "" };
        format!(
            "load pairs --pairs {} --seconds {} --warm-up-seconds {} --bytes {}{both}",
            self.pairs, self.seconds, self.warm_up_seconds, self.bytes
        )
    }
}

/// Waits until everything acknowledged has arrived; what was left out for `heads` a client would pull.
async fn all_delivered(tally: &Tally) -> Result<(), Error> {
    let arrived = async {
        while tally.in_flight.get() > 0
            || (tally.delivered.get() < tally.acked.get() && tally.heads.get() == 0)
        {
            sleep(SETTLE_LOOK).await;
        }
    };
    let missing = || {
        let (acked, delivered) = (tally.acked.get(), tally.delivered.get());
        Error::Invalid(format!(
            "of {acked} acknowledged messages only {delivered} were delivered"
        ))
    };
    tokio::time::timeout(SETTLE_MAX, arrived)
        .await
        .map_err(|_| missing())
}
