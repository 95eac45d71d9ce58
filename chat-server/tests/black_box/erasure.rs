//! What is edited away or deleted is soon in no file of the server's folder and at once in no row of its database; and what anybody says is in none of its log lines.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};
use tempfile::TempDir;
use tokio::process::Command;

use crate::harness::{Client, SECRET, Server, client_id, send_to, text};
use crate::over::{Home, Over};

/// As long as a text may be; it fills pages that hold nothing else.
const LONG_CHARS: usize = 100_000;
/// The server empties its log some seconds after an erasure; the rest is for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(100);
const LOG_FILE: &str = "server.log";

#[tokio::test]
async fn what_is_erased_is_soon_in_no_file_and_in_no_log_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = verbose_server(&folder).await;
    let texts = write_and_erase(&server).await;
    gone_in_time(&folder, &texts).await;
    server.kill().await;
    nothing_logged(folder.path());
}

#[tokio::test]
async fn what_is_erased_is_in_no_file_after_a_kill_right_behind_the_acknowledgement() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = verbose_server(&folder).await;
    let texts = write_and_erase(&server).await;
    server.kill().await;
    let server = verbose_server(&folder).await;
    gone_in_time(&folder, &texts).await;
    server.kill().await;
    nothing_logged(folder.path());
}

#[tokio::test]
async fn what_is_erased_is_in_no_row_and_in_no_log_line() {
    let Some(over) = Over::postgres() else {
        return;
    };
    let home = Home::new(over).await;
    let mut command = verbose_command(home.path());
    command.envs(home.variables());
    let server = Server::run(command, &[]).await;
    let texts = write_and_erase(&server).await;
    let there = texts_in_rows(&home).await;
    assert!(there.is_superset(&texts.kept), "{there:?}");
    let left: Vec<&String> = texts.gone.intersection(&there).collect();
    assert!(left.is_empty(), "still in the rows: {left:?}");
    server.kill().await;
    nothing_logged(home.path());
}

/// All texts of the form `<0000000>` in any column of any table.
async fn texts_in_rows(home: &Home) -> BTreeSet<String> {
    let mut db = home.database().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&mut db)
    .await
    .expect("tables");
    assert!(!tables.is_empty());
    let mut texts = BTreeSet::new();
    for table in tables {
        // Columns of bytes are shown with everything readable as it is.
        let sql = format!("SELECT t::text FROM {table} AS t");
        db.execute("SET bytea_output = 'escape'")
            .await
            .expect("set");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_all(&mut db)
            .await
            .expect("rows");
        texts.extend(rows.iter().flat_map(|row| texts_of(row.as_bytes())));
    }
    texts
}

/// A server that logs all that it can, into a file beside its data.
async fn verbose_server(folder: &TempDir) -> Server {
    Server::run(verbose_command(folder.path()), &[]).await
}

fn verbose_command(folder: &Path) -> Command {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join(LOG_FILE))
        .expect("a file");
    let mut command = Server::command(folder);
    command
        .env("CHAT_AUTH__JWT__HS256_SECRET", SECRET)
        .env("RUST_LOG", "trace")
        .stderr(Stdio::from(log));
    command
}

/// What was said, by what became of it.
#[derive(Default)]
struct Texts {
    gone: BTreeSet<String>,
    kept: BTreeSet<String>,
}

impl Texts {
    /// Something to say that is nowhere else.
    fn next(&self) -> String {
        format!("<{:07}>", self.gone.len() + self.kept.len())
    }

    fn that_goes(&mut self) -> String {
        let text = self.next();
        self.gone.insert(text.clone());
        text
    }

    fn that_stays(&mut self) -> String {
        let text = self.next();
        self.kept.insert(text.clone());
        text
    }
}

/// Short texts and long ones: deleted, edited away, edited and then deleted; and such as stay.
async fn write_and_erase(server: &Server) -> Texts {
    let mut alice = Client::log_in(server, "alice", 1).await;
    let mut texts = Texts::default();
    for chars in [1, LONG_CHARS] {
        let deleted = say(&mut alice, &texts.that_goes(), chars).await;
        let edited = say(&mut alice, &texts.that_goes(), chars).await;
        let both = say(&mut alice, &texts.that_goes(), chars).await;
        say(&mut alice, &texts.that_stays(), chars).await;
        edit(&mut alice, &edited, &texts.that_stays(), chars).await;
        edit(&mut alice, &both, &texts.that_goes(), chars).await;
        for message in [&deleted, &both] {
            let delete = json!({"op": "delete", "channel": message["channel"], "seq": message["seq"],
                                "client_id": client_id()});
            alice.must(delete).await;
        }
    }
    texts
}

/// The answer to a message that says this again and again.
async fn say(client: &mut Client, mark: &str, chars: usize) -> Value {
    client
        .must(send_to("bob", &client_id(), &repeated(mark, chars)))
        .await
}

async fn edit(client: &mut Client, message: &Value, mark: &str, chars: usize) {
    let edit = json!({"op": "edit", "channel": message["channel"], "seq": message["seq"],
                      "client_id": client_id(), "body": text(&repeated(mark, chars))});
    client.must(edit).await;
}

fn repeated(mark: &str, chars: usize) -> String {
    mark.chars().cycle().take(chars.max(mark.len())).collect()
}

/// Waits until nothing is left of what goes; what stays is there.
async fn gone_in_time(folder: &TempDir, texts: &Texts) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let there = texts_in(&folder.path().join("data"));
        assert!(there.is_superset(&texts.kept), "{there:?}");
        let left: Vec<&String> = texts.gone.intersection(&there).collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "still in the files: {left:?}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The server's log has lines, and no text in them.
fn nothing_logged(folder: &Path) {
    let log = folder.join(LOG_FILE);
    let lines = fs::read_to_string(&log).expect("text");
    assert!(lines.contains("listening"), "{lines}");
    assert_eq!(texts_in(&log), BTreeSet::new());
}

/// All texts of the form `<0000000>` in this file, or in all files of this folder.
fn texts_in(path: &Path) -> BTreeSet<String> {
    if path.is_dir() {
        let files = fs::read_dir(path).expect("a folder");
        return files
            .flat_map(|file| texts_in(&file.expect("a name").path()))
            .collect();
    }
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        // The server may have removed it meanwhile.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => panic!("{}: {error}", path.display()),
    };
    texts_of(&bytes)
}

fn texts_of(bytes: &[u8]) -> BTreeSet<String> {
    let is_text = |window: &&[u8]| matches!(window, [b'<', digits @ .., b'>'] if digits.iter().all(u8::is_ascii_digit));
    bytes
        .windows("<0000000>".len())
        .filter(is_text)
        .map(|window| String::from_utf8_lossy(window).into_owned())
        .collect()
}
