//! A PostgreSQL of one test's own, which it may stop and kill.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chat_testkit::Skip;
use tempfile::TempDir;

/// Where Debian installs PostgreSQL, a folder a version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// How long a server may take to start again.
const START_TIME_MAX: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// How a server goes down.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Crash {
    /// Every process is told to end at once.
    Immediate,
    /// The first process is killed, and the others notice.
    Kill,
}

/// A server in a temporary folder, stopped when this is dropped.
pub(crate) struct Server {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

impl Server {
    /// Makes a cluster and starts it; the name of what is missing, where PostgreSQL is not installed.
    pub(crate) fn start(settings: &[&str]) -> Result<Self, Skip> {
        let programs = programs().ok_or(Skip("postgres"))?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        give_to_owner(folder.path());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let server = Self {
            folder,
            programs,
            port,
        };
        let made = server.run(
            "initdb",
            &["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale"],
        );
        assert!(made, "a cluster is made");
        server.start_again(settings);
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts the server after a crash. What is left of the former one may keep it from it for a moment.
    pub(crate) fn start_again(&self, settings: &[&str]) {
        let mut options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories=",
            self.port
        );
        for setting in settings {
            options.push_str(" -c ");
            options.push_str(setting);
        }
        let log = self.folder.path().join("log");
        let log = log.to_str().expect("a path of ASCII");
        let started = Instant::now();
        while !self.run("pg_ctl", &["-o", &options, "-l", log, "-w", "start"]) {
            assert!(
                started.elapsed() < START_TIME_MAX,
                "the server does not start: {}",
                std::fs::read_to_string(log).unwrap_or_default()
            );
            std::thread::sleep(PAUSE);
        }
    }

    /// Ends the server as an operator does.
    pub(crate) fn stop(&self) {
        assert!(self.run("pg_ctl", &["-m", "fast", "-w", "stop"]));
    }

    pub(crate) fn crash(&self, how: Crash) {
        match how {
            Crash::Immediate => assert!(self.run("pg_ctl", &["-m", "immediate", "-w", "stop"])),
            Crash::Kill => send("KILL", &self.pid()),
        }
    }

    /// Sends a signal to every process of the server, the first one first.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.pid();
        send(signal, &pid);
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        for child in children
            .expect("Linux tells of children")
            .split_whitespace()
        {
            // One that serves nobody any more may end by itself meanwhile.
            let sent = sends(signal, child);
            assert!(sent || !Path::new("/proc").join(child).exists());
        }
    }

    fn pid(&self) -> String {
        let file = self.data().join("postmaster.pid");
        let file = std::fs::read_to_string(file).expect("a running server's pid file");
        let pid = file.lines().next().expect("the pid comes first");
        pid.to_owned()
    }

    /// Runs one of the server's programs as its owner; whether it succeeded.
    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let command = command.arg("-D").arg(self.data()).args(arguments);
        // A server that is started keeps what its starter had open.
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let status = command.stderr(Stdio::null()).current_dir("/").status();
        status.expect("PostgreSQL's programs run").success()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that failed may have left it stopped.
        if self.data().join("postmaster.pid").exists() {
            drop(Command::new("kill").args(["-CONT", &self.pid()]).status());
        }
        self.run("pg_ctl", &["-m", "immediate", "-w", "stop"]);
    }
}

/// Gives a file or a folder to whom the server runs as. Others may look into a folder.
pub(crate) fn give_to_owner(path: &Path) {
    if path.is_dir() {
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(path, open).expect("a folder of ours");
    }
    if is_root() {
        let owned = Command::new("chown").arg("postgres").arg(path).status();
        assert!(owned.expect("chown runs").success());
    }
}

fn send(signal: &str, pid: &str) {
    assert!(sends(signal, pid));
}

/// Whether the process was there to get the signal.
fn sends(signal: &str, pid: &str) -> bool {
    let signal = format!("-{signal}");
    let sent = Command::new("kill").args([&signal, pid]).status();
    sent.expect("kill runs").success()
}

/// The programs of the newest version that is installed.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(VERSIONS).ok()?;
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions
        .filter_map(|version| version.ok().map(|version| version.path()))
        .filter(|path| path.join("bin/initdb").is_file())
        .max_by_key(|path| number(path))?;
    Some(newest.join("bin"))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.expect("id runs").stdout.starts_with(b"0\n")
}
