//! Many people who are logged in and say nothing.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use clap::Args;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, sleep};

use super::peer::{callers, connect_all};
use super::run::on_fresh_server;
use crate::cpu::{cpu_time, resident_bytes};
use crate::error::Error;
use crate::figures::{Figures, Report};
use crate::jwt::Signer;
use crate::server_process::{ServerOptions, ServerProcess};
use crate::socket::{Kind, Socket};

/// Answers to `hello` are the largest frames that come.
const READ_IDLE_BYTES: usize = 256;
/// Connections before the first measurement, so that what the server needs once is not counted for each.
const FIRST_CONNECTIONS: usize = 100;
/// Files that this process and the server have open besides the connections.
const FILES_BESIDES: usize = 200;

/// Logged-in connections that only ping.
///
/// Each connection is an open file here and in the server: raise the shell's limit (`ulimit -n`) where it is lower than
/// the connections and some; a program cannot raise it for itself without `unsafe`.
#[derive(Args, Clone, Debug)]
pub(crate) struct IdleArgs {
    /// How many.
    #[arg(long, default_value_t = 15_000)]
    connections: usize,
    /// Seconds that they stay.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seconds between the pings of one connection.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=25))]
    beat_seconds: u64,
}

/// What all connections count together.
#[derive(Default)]
struct Beats {
    pongs: Cell<u64>,
    late: Cell<u64>,
    dropped: Cell<u64>,
}

impl IdleArgs {
    /// Measures.
    pub(crate) async fn run(
        &self,
        server: impl Fn(&Signer) -> Result<ServerOptions, Error>,
    ) -> Result<Report, Error> {
        check_open_files(self.connections + FIRST_CONNECTIONS)?;
        let figures = on_fresh_server(&server, async |signer, server| {
            self.measure(signer, server).await
        })
        .await?;
        Ok(Report {
            command: self.command(),
            runs: vec![figures],
        })
    }

    async fn measure(&self, signer: &Signer, server: &ServerProcess) -> Result<Figures, Error> {
        let pid = server.pid()?;
        let first = callers(signer, "first", FIRST_CONNECTIONS)?;
        let _first = connect_all(server.address(), &first, READ_IDLE_BYTES).await?;
        let before = resident_bytes(pid)?;

        let callers = callers(signer, "idle", self.connections)?;
        let connecting = Instant::now();
        let sockets = connect_all(server.address(), &callers, READ_IDLE_BYTES).await?;
        let connected = connecting.elapsed();
        let after_login = resident_bytes(pid)?;

        let beats = Rc::new(Beats::default());
        let mut tasks = JoinSet::new();
        let beat = Duration::from_secs(self.beat_seconds);
        let start = Instant::now();
        for (at, socket) in sockets.into_iter().enumerate() {
            // Spread over one beat, as people who came at any time are.
            let first = start + beat.mul_f64(at as f64 / self.connections as f64);
            tasks.spawn_local(keep_alive(socket, first, beat, beats.clone()));
        }
        let cpu = cpu_time(pid)?;
        sleep(Duration::from_secs(self.seconds)).await;
        let cpu = cpu_time(pid)? - cpu;
        let at_end = resident_bytes(pid)?;

        let each = |bytes: u64| (bytes as f64 - before as f64) / self.connections as f64;
        let mut figures = Figures::default();
        figures.add("connections", self.connections as f64);
        figures.add("dropped", beats.dropped.get() as f64);
        figures.add("late_pongs", beats.late.get() as f64);
        figures.add("pongs", beats.pongs.get() as f64);
        figures.add(
            "logins_per_s",
            self.connections as f64 / connected.as_secs_f64(),
        );
        figures.add("server_rss_before_bytes", before as f64);
        figures.add("server_rss_bytes", at_end as f64);
        figures.add("server_bytes_each_after_login", each(after_login));
        figures.add("server_bytes_each", each(at_end));
        figures.add(
            "server_cpu_us_per_beat",
            cpu.as_secs_f64() * 1e6 / (beats.pongs.get() as f64).max(1.0),
        );
        Ok(figures)
    }

    fn command(&self) -> String {
        format!(
            "load idle --connections {} --seconds {} --beat-seconds {}",
            self.connections, self.seconds, self.beat_seconds
        )
    }
}

/// Pings until the connection is gone, which should never be.
async fn keep_alive(mut socket: Socket, first: Instant, beat: Duration, beats: Rc<Beats>) {
    let mut due = interval_at(first, beat);
    let mut owed = 0u64;
    loop {
        let alive = tokio::select! {
            _ = due.tick() => {
                beats.late.set(beats.late.get() + owed);
                owed = 1;
                socket.send(br#"{"op":"ping"}"#).await.is_ok()
            }
            frame = socket.next() => match frame {
                Ok(frame) => {
                    if socket.kind(&frame) == Kind::Pong {
                        owed = 0;
                        beats.pongs.set(beats.pongs.get() + 1);
                    }
                    true
                }
                Err(_) => false,
            },
        };
        if !alive {
            beats.dropped.set(beats.dropped.get() + 1);
            return;
        }
    }
}

/// Refuses to begin what the shell's limit would break off.
fn check_open_files(connections: usize) -> Result<(), Error> {
    let path = "/proc/self/limits";
    let limits = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line
        .and_then(|line| line.split_ascii_whitespace().next())
        .and_then(|soft| soft.parse::<usize>().ok());
    match soft {
        Some(soft) if soft < connections + FILES_BESIDES => Err(Error::Invalid(format!(
            "this shell lets a program open {soft} files, and {connections} connections need {}; \
             raise it with `ulimit -n` or take fewer --connections",
            connections + FILES_BESIDES
        ))),
        Some(_) | None => Ok(()),
    }
}
