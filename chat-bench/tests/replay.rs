//! A slice of real conversations through a real server that is killed on the way, in both orders.
//!
//! The logs are looked for in the folder that `CHAT_TEST_IRC_DATA` names, else in `shared/data/irc` beside the repository;
//! without them the tests are skipped, unless `CHAT_TEST_REQUIRE` names `irc`. The server is the one that
//! `CHAT_TEST_SERVER` names, else the one beside this crate's program: `cargo build -p chat-server` makes it, and
//! `scripts/test` does that first.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

fn logs() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/irc");
    env::var_os("CHAT_TEST_IRC_DATA").map_or_else(|| PathBuf::from(beside), PathBuf::from)
}

/// Replays two logs; what came of it, or nothing where there are none.
fn replay(mode: &str, seed: &str) -> Option<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_chat-bench"))
        .args([
            "replay", "--files", "2", "--kills", "3", "--json", "--mode", mode, "--seed", seed,
        ])
        .arg(logs())
        .output()
        .expect("this crate's program can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    if output.stdout.is_empty() {
        assert!(said.contains("SKIPPED: irc data"), "{said}");
        eprintln!("{said}");
        return None;
    }
    Some(serde_json::from_slice(&output.stdout).expect("--json tells JSON"))
}

fn holds(outcome: &Value) {
    let number = |name: &str| {
        outcome[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name} in {outcome}"))
    };
    assert_eq!(outcome["difference"], Value::Null, "{outcome}");
    assert_eq!(number("channels"), 2.0);
    assert_eq!(number("kills"), 3.0);
    assert!(number("messages") > 2_000.0, "{outcome}");
    assert_eq!(number("messages"), number("acknowledged"), "{outcome}");
    assert_eq!(
        number("entries"),
        number("messages") + number("members_changes") + number("channels"),
        "{outcome}"
    );
    assert!(number("device_entries") > number("entries"), "{outcome}");
    // What was forced has really happened.
    for fault in [
        "duplicates_forced",
        "acks_cut",
        "acks_lost",
        "devices_dropped",
    ] {
        assert!(number(fault) > 0.0, "{fault} in {outcome}");
    }
}

#[test]
fn line_by_line_nothing_is_lost() {
    if let Some(outcome) = replay("ordered", "11") {
        holds(&outcome);
    }
}

#[test]
fn with_everybody_at_once_nothing_is_lost() {
    if let Some(outcome) = replay("concurrent", "12") {
        holds(&outcome);
    }
}

#[test]
fn without_logs_it_says_aloud_that_it_was_skipped() {
    let replay = |required: &str| {
        let replay = Command::new(env!("CARGO_BIN_EXE_chat-bench"))
            .args(["replay", "there/are/no/logs"])
            .env("CHAT_TEST_REQUIRE", required)
            .output();
        replay.expect("this crate's program can be started")
    };
    let skipped = replay("strace");
    assert!(skipped.status.success());
    assert!(String::from_utf8_lossy(&skipped.stderr).contains("SKIPPED: irc data"));
    for required in ["irc", "strace, irc", "all"] {
        assert!(!replay(required).status.success(), "{required}");
    }
}
