//! A real server as a process of its own.

use std::collections::VecDeque;
use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::Error;
use crate::http::HttpClient;

/// A limit on how often that no measurement reaches.
const RATE_UNBOUND: &str = "1000000";
/// How long a server may take until it listens; after a kill it first reads its write-ahead log.
const START_MAX: Duration = Duration::from_secs(60);
/// Of what a server says, what is kept to explain a failure.
const LINES_KEPT: usize = 40;
/// Before an address that the server tells to people.
const LISTENING: &str = "listening on http://";
/// Before the address of its admin port.
const ADMIN: &str = "admin on http://";

/// How to start a server.
pub(crate) struct ServerOptions {
    /// Its binary.
    pub(crate) binary: PathBuf,
    /// What it checks the users' tokens with.
    pub(crate) jwt_secret: String,
    /// Settings besides, as variables; they may be secrets.
    pub(crate) variables: Vec<(&'static str, String)>,
}

/// A running server; dropping it kills it and removes its data.
pub(crate) struct ServerProcess {
    options: ServerOptions,
    data: TempDir,
    child: Child,
    addresses: Addresses,
    said: Said,
    readers: Vec<JoinHandle<()>>,
}

#[derive(Clone, Copy)]
struct Addresses {
    public: SocketAddr,
    admin: Option<SocketAddr>,
}

/// The last lines of both outputs.
type Said = Arc<Mutex<VecDeque<String>>>;

impl ServerOptions {
    /// Finds the binary: as named, else beside this one.
    ///
    /// # Errors
    /// `NoServer` when there is none.
    pub(crate) fn new(named: Option<PathBuf>, jwt_secret: &str) -> Result<Self, Error> {
        let own = env::current_exe().map_err(Error::io("finding this program's own file"))?;
        let binary = named.unwrap_or_else(|| own.with_file_name("chat-server"));
        if !binary.is_file() {
            return Err(Error::NoServer { path: binary });
        }
        Ok(Self {
            binary,
            jwt_secret: jwt_secret.to_owned(),
            variables: Vec::new(),
        })
    }
}

impl ServerProcess {
    /// Starts a server on a fresh data folder and a free port.
    pub(crate) async fn start(options: ServerOptions) -> Result<Self, Error> {
        let data = tempfile::Builder::new()
            .prefix("chat-bench-")
            .tempdir()
            .map_err(Error::io("a data folder"))?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let started = Started::begin(&options, data.path(), any).await?;
        let Started {
            child,
            addresses,
            said,
            readers,
        } = started;
        Ok(Self {
            options,
            data,
            child,
            addresses,
            said,
            readers,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses.public
    }

    pub(crate) fn pid(&self) -> Result<u32, Error> {
        self.child.id().ok_or_else(|| {
            Error::Invalid(format!(
                "the server has ended; it said:\n{}",
                last_lines(&self.said)
            ))
        })
    }

    /// Kills it as a power switch would (SIGKILL) and waits until it is gone.
    pub(crate) async fn kill(&mut self) -> Result<(), Error> {
        self.child
            .kill()
            .await
            .map_err(Error::io("killing the server"))?;
        for reader in self.readers.drain(..) {
            reader.abort();
        }
        Ok(())
    }

    /// Starts it again on the same data and the same port.
    pub(crate) async fn restart(&mut self) -> Result<(), Error> {
        let started =
            Started::begin(&self.options, self.data.path(), self.addresses.public).await?;
        self.child = started.child;
        self.addresses = started.addresses;
        self.said = started.said;
        self.readers = started.readers;
        Ok(())
    }

    /// Ends it and removes its data.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        self.kill().await?;
        self.data
            .close()
            .map_err(Error::io("removing the data folder"))
    }

    /// The sum of the samples of each name on the admin port's `/metrics`, in the order asked for; `None` where the
    /// server has no such name.
    pub(crate) async fn counters(&self, names: &[&str]) -> Result<Vec<Option<f64>>, Error> {
        let Some(admin) = self.addresses.admin else {
            return Ok(vec![None; names.len()]);
        };
        let reply = HttpClient::new(admin).get("/metrics", None).await?;
        let page = String::from_utf8_lossy(&reply.body);
        Ok(names.iter().map(|name| sum_of(&page, name)).collect())
    }
}

/// What starting yields.
struct Started {
    child: Child,
    addresses: Addresses,
    said: Said,
    readers: Vec<JoinHandle<()>>,
}

impl Started {
    async fn begin(
        options: &ServerOptions,
        data: &Path,
        listen: SocketAddr,
    ) -> Result<Self, Error> {
        let mut child = Command::new(&options.binary)
            .arg("--listen")
            .arg(listen.to_string())
            .args(["--admin-listen", "127.0.0.1:0"])
            .arg("--data")
            .arg(data)
            .env("CHAT_AUTH__JWT__HS256_SECRET", &options.jwt_secret)
            .envs(options.variables.iter().map(|(name, value)| (name, value)))
            // What is measured is the server, not the limits of a user.
            .env("CHAT_RATES__OPERATIONS_PER_USER_PER_S", RATE_UNBOUND)
            .env("CHAT_RATES__OPERATIONS_PER_USER_BURST", RATE_UNBOUND)
            .env("CHAT_RATES__CONNECTS_PER_USER_PER_MINUTE", RATE_UNBOUND)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::io(format!("starting {}", options.binary.display())))?;
        let said = Said::default();
        let (lines, mut heard) = mpsc::channel(LINES_KEPT);
        let stdout = child.stdout.take().expect("stdout was asked for as a pipe");
        let stderr = child.stderr.take().expect("stderr was asked for as a pipe");
        let readers = vec![
            listen_to(stdout, said.clone(), lines.clone()),
            listen_to(stderr, said.clone(), lines),
        ];
        let mut public = None;
        let mut admin = None;
        let heard_all = timeout(START_MAX, async {
            while public.is_none() || admin.is_none() {
                let Some(line) = heard.recv().await else {
                    break;
                };
                public = public.or_else(|| address_after(&line, LISTENING));
                admin = admin.or_else(|| address_after(&line, ADMIN));
            }
        });
        // A server that tells no admin address in time is still one that listens.
        let _ = heard_all.await;
        match public {
            Some(public) => Ok(Self {
                child,
                addresses: Addresses { public, admin },
                said,
                readers,
            }),
            None => Err(Error::ServerSilent {
                said: last_lines(&said),
            }),
        }
    }
}

/// Keeps reading, so that the server never waits for a full pipe.
fn listen_to(
    output: impl AsyncRead + Unpin + Send + 'static,
    said: Said,
    lines: mpsc::Sender<String>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut output = BufReader::new(output).lines();
        while let Ok(Some(line)) = output.next_line().await {
            {
                let mut said = said.lock().expect("nobody panics with this lock");
                if said.len() == LINES_KEPT {
                    said.pop_front();
                }
                said.push_back(line.clone());
            }
            // Once it is started, nobody listens any more.
            let _ = lines.try_send(line);
        }
    })
}

fn address_after(line: &str, words: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(words)?;
    rest.split(|c: char| c.is_whitespace() || c == '/')
        .next()?
        .parse()
        .ok()
}

fn last_lines(said: &Said) -> String {
    let said = said.lock().expect("nobody panics with this lock");
    said.iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("\n")
}

fn sum_of(page: &str, name: &str) -> Option<f64> {
    let samples = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once('}')?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.trim().parse::<f64>().ok()
    });
    samples.fold(None, |sum, sample| Some(sum.unwrap_or(0.0) + sample))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_lines_for_people() {
        let line = "listening on http://127.0.0.1:4711 (press Ctrl-C to stop)";
        assert_eq!(
            address_after(line, LISTENING),
            Some(SocketAddr::from(([127, 0, 0, 1], 4711)))
        );
        assert_eq!(address_after("nothing", LISTENING), None);
    }

    #[test]
    fn counters_are_summed_over_their_labels() {
        let page = "# TYPE a counter\na{port=\"x\"} 2\na{port=\"y\"} 3\nab 9\nb 1.5\n";
        assert_eq!(sum_of(page, "a"), Some(5.0));
        assert_eq!(sum_of(page, "b"), Some(1.5));
        assert_eq!(sum_of(page, "c"), None);
    }
}
