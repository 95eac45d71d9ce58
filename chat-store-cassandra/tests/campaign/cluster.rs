//! The nodes, as processes.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chat_store_cassandra::Config;
use uuid::Uuid;

pub(crate) const NODES: usize = 3;
/// Apart from the node that other tests use.
const PORT: &str = "19142";

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Three nodes on loopback; stopped in the end.
pub(crate) struct Cluster {
    folder: PathBuf,
    contact_points: String,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Starts the nodes, or says why not.
    pub(crate) fn start() -> Result<Self, String> {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cassandra-campaign");
        let contact_points = set_up(&folder)?;
        Ok(Self {
            folder,
            contact_points,
            _turn: turn,
        })
    }

    /// A keyspace of its own, with three copies.
    pub(crate) fn config(&self) -> Config {
        let keyspace = format!("campaign_{}", Uuid::new_v4().simple());
        Config::new(self.contact_points.split(','), keyspace)
    }

    /// Sends a signal to a node, counted from 1.
    pub(crate) fn signal(&self, node: usize, signal: &str) {
        let pid = std::fs::read_to_string(self.folder.join(format!("node{node}/pid")));
        let pid = pid.expect("a node has a file with its pid");
        let sent = Command::new("kill")
            .args(["-s", signal, pid.trim()])
            .status();
        assert!(
            sent.expect("kill is there").success(),
            "{signal} to node {node}"
        );
    }

    /// Starts what does not run, and waits until it serves.
    pub(crate) fn bring_back(&self) {
        tokio::task::block_in_place(|| set_up(&self.folder)).expect("the nodes start again");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in 1..=NODES {
            // A frozen process takes no other signal.
            self.signal(node, "CONT");
        }
        let stopped = script().arg("stop").arg(&self.folder).status();
        assert!(
            stopped.is_ok_and(|status| status.success()),
            "the nodes stop"
        );
        // Some hundred megabytes that nobody needs.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn set_up(folder: &PathBuf) -> Result<String, String> {
    let output = script()
        .arg(NODES.to_string())
        .arg(folder)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err("three nodes of Cassandra could not be started".to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn script() -> Command {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut script = Command::new(root.join("scripts/set-up-cassandra"));
    script.env("CHAT_TEST_CASSANDRA_PORT", PORT);
    script
}
