//! The Autobahn cases of WebSocket, for whatever speaks it. Needs the program `kosoku` (PyPI), on the path or named by
//! `CHAT_TEST_KOSOKU`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use crate::skip::Skip;

/// The cases without compression, which is not offered.
pub const CASES: usize = 301;
/// Bytes that the largest message of a case has.
pub const CASE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Names a folder in which the reports are kept; without it they are dropped.
pub const REPORTS_VARIABLE: &str = "CHAT_TEST_AUTOBAHN_REPORTS";

const PROGRAM_VARIABLE: &str = "CHAT_TEST_KOSOKU";
const RUN_MAX: Duration = Duration::from_secs(240);
/// Ask that bad UTF-8 is noticed inside a frame that has not arrived in full.
const NON_STRICT_CASES: [&str; 2] = ["6.4.3", "6.4.4"];

/// The program that runs the cases.
#[derive(Clone, Debug)]
pub struct Kosoku {
    program: PathBuf,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Every case passed, as the program sees it.
    pub passed: bool,
    /// By case.
    pub verdicts: BTreeMap<String, Verdict>,
}

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// As the program calls it: `OK`, `NON-STRICT`, `INFORMATIONAL`, `FAILED` and others.
    pub behavior: String,
    /// What the side under test closed with, if it sent a close frame with a code.
    pub close_code: Option<u64>,
}

impl Kosoku {
    /// The program, where there is one.
    ///
    /// # Errors
    /// [`Skip`] where there is none.
    pub fn find() -> Result<Self, Skip> {
        let named = std::env::var_os(PROGRAM_VARIABLE).map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = || {
            std::env::split_paths(&path)
                .map(|folder| folder.join("kosoku"))
                .find(|file| file.is_file())
        };
        let program = named.or_else(found).ok_or(Skip("kosoku"))?;
        Ok(Self { program })
    }

    /// Runs the cases against a server that echoes. The reports are kept under this name.
    ///
    /// # Panics
    /// When the program does not run, or not to its end.
    pub async fn try_server(&self, name: &str, address: &str) -> Report {
        let reports = Reports::create(name);
        let mut runner = self.command(reports.path());
        let runner = runner.arg(address).stderr(Stdio::null());
        let child = runner.spawn().expect("the runner starts");
        reports.read(ended(child).await)
    }

    /// Runs the cases against a client that echoes what the server at the address that it is given says: once for each
    /// of the cases that the server counts.
    ///
    /// # Panics
    /// When the program does not run, or not to its end.
    pub async fn try_client(&self, name: &str, echo: impl AsyncFnOnce(String)) -> Report {
        let reports = Reports::create(name);
        let mut runner = self.command(reports.path());
        let runner = runner.args(["-m", "fuzzingserver", "127.0.0.1:0"]);
        let mut child = runner.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut said = BufReader::new(child.stderr.take().expect("it is piped"));
        let url = timeout(RUN_MAX, address(&mut said)).await.expect("in time");
        timeout(RUN_MAX, echo(url)).await.expect("in time");
        // Dropped no earlier: the program lists there what failed, and must not be stopped by a closed pipe.
        let mut failures = String::new();
        while said
            .read_line(&mut failures)
            .await
            .is_ok_and(|read| read > 0)
        {}
        reports.read(ended(child).await)
    }

    fn command(&self, reports: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["-x", "12.*", "-x", "13.*", "-o"])
            .arg(reports);
        command.stdout(Stdio::null()).kill_on_drop(true);
        command
    }
}

impl Report {
    /// The cases that do not pass, apart from those that ask for more than the protocol does.
    pub fn failures(&self) -> BTreeMap<&str, &Verdict> {
        self.verdicts
            .iter()
            .filter(|(case, verdict)| !verdict.passes(case))
            .map(|(case, verdict)| (case.as_str(), verdict))
            .collect()
    }
}

impl Verdict {
    fn passes(&self, case: &str) -> bool {
        match self.behavior.as_str() {
            "OK" | "INFORMATIONAL" => true,
            "NON-STRICT" => NON_STRICT_CASES.contains(&case),
            _ => false,
        }
    }
}

/// Where the program writes its reports.
enum Reports {
    Kept(PathBuf),
    Dropped(TempDir),
}

impl Reports {
    fn create(name: &str) -> Self {
        match std::env::var_os(REPORTS_VARIABLE) {
            Some(folder) => Self::Kept(PathBuf::from(folder).join(name)),
            None => Self::Dropped(tempfile::tempdir().expect("a temporary folder")),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Dropped(folder) => folder.path(),
        }
    }

    fn read(&self, status: ExitStatus) -> Report {
        let index = std::fs::read(self.path().join("index.json")).expect("a report");
        let agents: BTreeMap<String, BTreeMap<String, Value>> =
            serde_json::from_slice(&index).expect("verdicts by agent");
        assert_eq!(agents.len(), 1, "one agent is under test");
        let verdicts = agents.into_values().flatten().map(|(case, verdict)| {
            let behavior = verdict["behavior"].as_str().expect("a word").to_owned();
            let close_code = verdict["remoteCloseCode"].as_u64();
            let verdict = Verdict {
                behavior,
                close_code,
            };
            (case, verdict)
        });
        Report {
            passed: status.success(),
            verdicts: verdicts.collect(),
        }
    }
}

/// Where the server of the cases listens, as it says once it does.
async fn address(said: &mut BufReader<ChildStderr>) -> String {
    let mut lines = said.lines();
    while let Some(line) = lines.next_line().await.expect("text") {
        if let Some((_, address)) = line.split_once("listening on ") {
            return address.trim().to_owned();
        }
    }
    panic!("the runner ended before it listened");
}

async fn ended(mut child: Child) -> ExitStatus {
    let ended = timeout(RUN_MAX, child.wait()).await.expect("in time");
    ended.expect("the runner runs")
}
