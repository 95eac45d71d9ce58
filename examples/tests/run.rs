//! The examples and the README's tour do what they say.

use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use chat_core::proto::ChannelId;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Time that a program has to stop in good order.
const STOP_MAX: Duration = Duration::from_secs(30);

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Asks the program to stop, as the terminal does, and waits for its end.
    fn interrupted(mut self) -> Result<ExitStatus> {
        let id = self.0.id().to_string();
        Command::new("kill").args(["-INT", &id]).status()?;
        let deadline = Instant::now() + STOP_MAX;
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                return Err("the program does not stop".into());
            }
            std::thread::yield_now();
        }
    }

    /// Starts a program and waits for its line `listening on http://…`.
    fn listening(command: &mut Command) -> Result<(Self, String)> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("piped")?;
        let running = Self(child);
        for line in BufReader::new(stdout).lines() {
            if let Some((_, address)) = line?.split_once("listening on http://") {
                return Ok((running, address.trim().to_owned()));
            }
        }
        Err("the program ended before it listened".into())
    }
}

/// `scripts/test` builds the server and says where it is; without it the one beside this test's programs is taken.
fn server_program() -> PathBuf {
    std::env::var_os("CHAT_TEST_SERVER").map_or_else(
        || Path::new(env!("CARGO_BIN_EXE_wire")).with_file_name("chat-server"),
        PathBuf::from,
    )
}

fn server(data: &Path) -> Result<(Running, String)> {
    let program = server_program();
    if !program.exists() {
        return Err(format!(
            "{} is not there: cargo build -p chat-server",
            program.display()
        )
        .into());
    }
    Running::listening(
        Command::new(program)
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(data),
    )
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn tour() -> Result<String> {
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md"))?;
    let (_, rest) = readme
        .split_once("```sh tour\n")
        .ok_or("the README has a tour")?;
    let (tour, _) = rest.split_once("```").ok_or("the tour ends")?;
    Ok(tour.to_owned())
}

#[test]
fn the_tour_of_the_readme_works_when_pasted() -> Result {
    let folder = tempfile::tempdir()?;
    let (_server, address) = server(folder.path())?;
    let script = tour()?.replace("127.0.0.1:8080", &address).replace(
        "cargo run -q -p chat-examples --bin wire --",
        env!("CARGO_BIN_EXE_wire"),
    );
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .output()?;
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    // Sent, sent again, logged in by WebSocket, synced, answered.
    for expected in [
        "\"seq\":2",
        "\"duplicate\":true",
        "\"user\":\"bob\"",
        "\"text\":\"hello\"",
        "\"seq\":3",
    ] {
        assert!(text.contains(expected), "{expected} in:\n{text}");
    }
    assert!(
        !text.contains("\"op\":\"error\"") && !text.contains("\"code\""),
        "{text}"
    );
    Ok(())
}

#[test]
fn embed_minimal_stores_and_hears() -> Result {
    let folder = tempfile::tempdir()?;
    let run = || {
        Command::new(env!("CARGO_BIN_EXE_embed-minimal"))
            .arg(folder.path().join("chat.db"))
            .output()
    };
    let (first, second) = (text(&run()?), text(&run()?));
    assert!(
        first.contains("stored as entry 2") && first.contains("alice says \"hello\""),
        "{first}"
    );
    assert!(second.contains("stored as entry 3"), "{second}");
    Ok(())
}

#[test]
fn custom_store_remembers_over_a_restart() -> Result {
    let folder = tempfile::tempdir()?;
    let run = || {
        Command::new(env!("CARGO_BIN_EXE_custom-store"))
            .arg(folder.path().join("journal"))
            .output()
    };
    let (_, second) = (run()?, text(&run()?));
    assert!(
        second.contains("2 alice: hello") && second.contains("3 alice: hello"),
        "{second}"
    );
    Ok(())
}

#[test]
fn embed_axum_serves_the_application_and_chat() -> Result {
    let folder = tempfile::tempdir()?;
    let mut program = Command::new(env!("CARGO_BIN_EXE_embed-axum"));
    let (_server, address) = Running::listening(
        program
            .arg(folder.path().join("chat.db"))
            .arg("127.0.0.1:0"),
    )?;
    let own = Command::new("curl")
        .args(["-s", &format!("http://{address}/")])
        .output()?;
    assert_eq!(text(&own), "my application");

    let frames = "{\"op\":\"hello\",\"id\":1,\"token\":\"bob-secret\",\"client\":\"test/1\"}\n{\"op\":\"sync\",\"id\":2}\n";
    let heard = wire(&format!("http://{address}/chat/v1/ws"), frames)?;
    assert!(
        heard.contains("\"user\":\"bob\"") && heard.contains("\"peer\":\"alice\""),
        "{heard}"
    );
    assert!(heard.contains("support-17"), "{heard}");
    Ok(())
}

#[test]
fn embed_host_keeps_its_own_users_rules_and_tickets() -> Result {
    let folder = tempfile::tempdir()?;
    let start = || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_embed-host"));
        let program = program
            .arg(folder.path().join("desk.db"))
            .arg("127.0.0.1:0");
        Running::listening(program)
    };
    let (desk, address) = start()?;
    let say = |token: &str, to: &str, number: u32, text: &str| {
        let frames = format!(
            "{{\"op\":\"hello\",\"id\":1,\"token\":\"{token}\",\"client\":\"test/1\"}}\n{{\"op\":\"sync\",\"id\":2,\"entries\":10}}\n\
             {{\"op\":\"send\",\"id\":3,\"to\":{{{to}}},\"client_id\":\"6f1b2c3d-0000-4000-8000-00000000000{number}\",\
             \"body\":{{\"type\":\"text\",\"text\":\"{text}\"}}}}\n"
        );
        wire(&format!("http://{address}/chat/v1/ws"), &frames)
    };
    let ticket = format!("\"channel\":\"{}\"", ChannelId::external("ticket:17"));

    let link = say("gil-secret", &ticket, 1, "see https://example.com")?;
    assert!(link.contains("guests send no links"), "{link}");
    assert!(link.contains("\"data\":{\"event\":\"opened\"}"), "{link}");
    assert!(link.contains("\"status\":\"open\""), "{link}");
    assert!(
        !link.contains("ticket\":16"),
        "somebody else's ticket: {link}"
    );

    let card = say("gil-secret", &ticket, 2, "my card is 4000123412341234")?;
    assert!(
        card.contains("Thank you. An agent will answer soon."),
        "{card}"
    );
    let read = say("ada-secret", &ticket, 3, "see https://example.com")?;
    assert!(read.contains("my card is [number removed]"), "{read}");
    assert!(!read.contains("forbidden"), "agents send links: {read}");

    let closed = format!("\"channel\":\"{}\"", ChannelId::external("ticket:16"));
    let late = say("carl-secret", &closed, 4, "still nothing")?;
    assert!(
        late.contains("\"status\":\"closed\"") && late.contains("forbidden"),
        "{late}"
    );
    let stranger = say("gil-secret", "\"user\":\"carl\"", 5, "hello")?;
    assert!(stranger.contains("\"op\":\"error\""), "{stranger}");

    assert!(desk.interrupted()?.success());
    // Tickets are opened at every start, and are there once.
    let (_desk, address) = start()?;
    let bearer = "authorization: Bearer gil-secret";
    let channel = ChannelId::external("ticket:17");
    let url = format!("http://{address}/chat/v1/channels/{channel}/entries?after=0");
    let log = text(
        &Command::new("curl")
            .args(["-s", &url, "-H", bearer])
            .output()?,
    );
    assert_eq!(log.matches("Your ticket is open.").count(), 1, "{log}");
    assert_eq!(
        log.matches("An agent will answer soon.").count(),
        2,
        "{log}"
    );
    Ok(())
}

#[test]
fn the_echo_bot_answers_once_over_a_restart() -> Result {
    let folder = tempfile::tempdir()?;
    let (_server, address) = server(folder.path())?;
    let base = format!("http://{address}");
    let tokens = ["alice", "bot"].map(|user| log_in(&base, user));
    let [alice, bot] = tokens;
    let (alice, bot) = (alice?, bot?);
    let start = || -> Result<Running> {
        let mut program = Command::new(env!("CARGO_BIN_EXE_echo-bot"));
        program
            .args(["bot", &bot, &format!("ws://{address}/v1/ws")])
            .current_dir(folder.path())
            .stdout(Stdio::null());
        Ok(Running(program.spawn()?))
    };
    let send = format!(
        "{{\"op\":\"hello\",\"id\":1,\"token\":\"{alice}\",\"client\":\"test/1\"}}\n{{\"op\":\"send\",\"id\":2,\"to\":{{\"user\":\"bot\"}},\
         \"client_id\":\"6f1b2c3d-0000-4000-8000-000000000009\",\"body\":{{\"type\":\"text\",\"text\":\"anybody there?\"}}}}\n"
    );
    let channel_of = |text: &str| {
        text.split("\"channel\":\"")
            .nth(1)
            .map(|rest| rest[..36].to_owned())
    };
    let sent = wire(&format!("{base}/v1/ws"), &send)?;
    let channel = channel_of(&sent).ok_or(sent)?;

    // The bot starts twice; the message is answered once.
    for _ in 0..2 {
        let bot = start()?;
        let deadline = Instant::now() + Duration::from_secs(20);
        let log = loop {
            let log = entries(&base, &alice, &channel)?;
            if log.matches("anybody there?").count() >= 2 {
                break log;
            }
            assert!(Instant::now() < deadline, "no answer: {log}");
            std::thread::yield_now();
        };
        assert_eq!(log.matches("anybody there?").count(), 2, "{log}");
        drop(bot);
    }
    Ok(())
}

fn wire(url: &str, frames: &str) -> Result<String> {
    use std::io::Write;
    let mut program = Command::new(env!("CARGO_BIN_EXE_wire"));
    let mut child = program
        .arg(url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .ok_or("piped")?
        .write_all(frames.as_bytes())?;
    let mut heard = String::new();
    child
        .stdout
        .take()
        .ok_or("piped")?
        .read_to_string(&mut heard)?;
    child.wait()?;
    Ok(heard)
}

fn post(url: &str, body: &str) -> Result<String> {
    let json = "content-type: application/json";
    Ok(text(
        &Command::new("curl")
            .args(["-s", url, "-H", json, "-d", body])
            .output()?,
    ))
}

fn log_in(base: &str, user: &str) -> Result<String> {
    let password = format!("correct horse of {user}");
    post(
        &format!("{base}/v1/users"),
        &format!("{{\"user\":\"{user}\",\"password\":\"{password}\"}}"),
    )?;
    let device = "{\"name\":\"test\",\"platform\":\"cli\"}";
    let body = format!("{{\"user\":\"{user}\",\"password\":\"{password}\",\"device\":{device}}}");
    let answer = post(&format!("{base}/v1/sessions"), &body)?;
    let token = answer
        .split("\"token\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    Ok(token.ok_or_else(|| answer.clone())?.to_owned())
}

fn entries(base: &str, token: &str, channel: &str) -> Result<String> {
    let url = format!("{base}/v1/channels/{channel}/entries?after=0");
    let bearer = format!("authorization: Bearer {token}");
    Ok(text(
        &Command::new("curl")
            .args(["-s", &url, "-H", &bearer])
            .output()?,
    ))
}
