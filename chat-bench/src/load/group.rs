//! One group in which everybody is online.

use std::rc::Rc;
use std::time::Duration;

use chat_proto::{ChannelId, ClientId};
use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use super::peer::{Caller, Peer, To, callers, connect_all};
use super::run::{on_fresh_server, unless_failed};
use super::tally::Tally;
use crate::error::Error;
use crate::figures::{Figures, Report};
use crate::http::HttpClient;
use crate::jwt::Signer;
use crate::server_process::{ServerOptions, ServerProcess};
use crate::socket::READ_LARGE_BYTES;

/// One group of online members, at a fixed rate or as fast as it goes.
#[derive(Args, Clone, Debug)]
pub(crate) struct GroupArgs {
    /// Members, all of them online and all of them sending in turn.
    #[arg(long, default_value_t = 100)]
    members: usize,
    /// Messages a second.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Every member sends as soon as its former message is acknowledged; counts deliveries.
    #[arg(long)]
    saturate: bool,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Seconds before that.
    #[arg(long, default_value_t = 3)]
    warm_up_seconds: u64,
    /// Bytes of each text.
    #[arg(long, default_value_t = 200)]
    bytes: usize,
    /// Runs, each on a fresh server; the median counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

impl GroupArgs {
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
        let callers = callers(signer, "member", self.members)?;
        let channel = create_group(server, &callers).await?;
        let sockets = connect_all(server.address(), &callers, READ_LARGE_BYTES).await?;
        let tally = Rc::new(Tally::new());
        let mut peers = JoinSet::new();
        let first = Instant::now();
        for (at, socket) in sockets.into_iter().enumerate() {
            let peer = Peer::new(
                socket,
                tally.clone(),
                Some(To::channel(channel)),
                self.bytes,
            );
            if self.saturate {
                peers.spawn_local(peer.without_times().converse());
            } else {
                let turn = Turn {
                    first: first + self.beat(at),
                    every: self.beat(self.members),
                };
                peers.spawn_local(turn.keep(peer));
            }
        }
        let window = async {
            sleep(Duration::from_secs(self.warm_up_seconds)).await;
            let begun = tally.begin(server).await?;
            sleep(Duration::from_secs(self.seconds)).await;
            let window = tally.since(&begun, server).await?;
            let mut figures = Figures::default();
            figures.add("acked_per_s", window.acked / window.seconds);
            figures.add("deliveries_per_s", window.delivered / window.seconds);
            figures.add("heads_frames_per_s", window.heads / window.seconds);
            tally.add_ack_waits(&mut figures);
            tally.add_delivery_waits(&mut figures);
            figures.add(
                "server_cpu_us_per_delivery",
                window.cpu_us / window.delivered.max(1.0),
            );
            figures.add("server_cpu_cores", window.cpu_us / 1e6 / window.seconds);
            window.add_commits(&mut figures);
            Ok(figures)
        };
        unless_failed(window, &mut peers).await
    }

    /// The time in which the group sends so many messages.
    fn beat(&self, messages: usize) -> Duration {
        Duration::from_secs_f64(messages as f64 / f64::from(self.rate))
    }

    fn command(&self) -> String {
        let how = if self.saturate {
            "--saturate".to_owned()
        } else {
            format!("--rate {}", self.rate)
        };
        format!(
            "load group --members {} {how} --seconds {} --warm-up-seconds {} --bytes {}",
            self.members, self.seconds, self.warm_up_seconds, self.bytes
        )
    }
}

/// When one member sends.
struct Turn {
    first: Instant,
    every: Duration,
}

impl Turn {
    /// Sends at its times, whatever has come back, and counts all that comes.
    async fn keep(self, mut peer: Peer) -> Result<(), Error> {
        let mut due = self.first;
        loop {
            tokio::select! {
                // A member whose former message is still under way waits: the rate then falls, which the figures show.
                () = sleep_until(due), if !peer.is_waiting() => {
                    due += self.every;
                    peer.send().await?;
                }
                frame = peer.socket.next() => {
                    peer.hear(&frame?)?;
                }
            }
        }
    }
}

async fn create_group(server: &ServerProcess, callers: &[Caller]) -> Result<ChannelId, Error> {
    let [owner, others @ ..] = callers else {
        return Err(Error::Invalid("a group has at least one member".to_owned()));
    };
    let members: Vec<_> = others.iter().map(|caller| &caller.user).collect();
    let body = json!({ "client_id": ClientId::from_uuid(Uuid::new_v4()), "title": "load", "members": members });
    let reply = HttpClient::new(server.address())
        .post("/v1/channels", &owner.token, &body)
        .await?;
    let answer = reply.done("creating the group")?;
    let channel = answer["channel"]
        .as_str()
        .and_then(|channel| channel.parse().ok());
    channel.ok_or_else(|| Error::Answer {
        what: "creating the group".to_owned(),
        answer: answer.to_string(),
    })
}
