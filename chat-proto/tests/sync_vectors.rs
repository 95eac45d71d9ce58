//! Scripts for the client's sync machine, one file each: what goes in, and what must come out. Clients in other
//! languages run the same files.
//!
//! A script has `settings`, the `stored` snapshot if the client was here before, and `steps`: `do` names one input,
//! `expect` lists the outputs in their order and `deadline` is when the machine wants to be called next. The point in
//! time of a step is `now`, as before if absent. With `CHAT_VECTORS=write` the expectations are written anew, for a
//! person to read before they are committed.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use chat_proto::sync::{Command, GapPolicy, Output, Settings, SyncMachine, SyncSnapshot};
use chat_proto::wire::{
    DeleteMessage, EditMessage, Format, Hello, Mark, Pin, React, SendMessage, TypingIn,
    decode_server,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Deserialize, Serialize)]
struct Script {
    about: String,
    #[serde(default)]
    settings: Chosen,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stored: Option<SyncSnapshot>,
    steps: Vec<Step>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Chosen {
    drop_gaps: bool,
    entries_per_channel: u32,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    now: Option<u64>,
    r#do: Input,
    #[serde(default)]
    expect: Vec<Value>,
    #[serde(default)]
    deadline: Option<u64>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Input {
    Connected,
    /// A frame of the server.
    Frame(Value),
    /// The number drawn for the wait.
    Disconnected {
        random: u64,
    },
    Tick,
    Send(SendMessage),
    Edit(EditMessage),
    Delete(DeleteMessage),
    React(React),
    Pin(Pin),
    Read(Mark),
    Delivered(Mark),
    Typing(TypingIn),
}

#[test]
fn every_script_runs_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/sync");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the folder of scripts")
        .map(|file| file.expect("a readable folder").path())
        .collect();
    files.sort();
    assert!(files.len() >= 8, "scripts are missing from {folder:?}");
    for file in files {
        run(&file);
    }
}

fn run(file: &Path) {
    let text = fs::read_to_string(file).expect("a readable file");
    let mut script: Script =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let mut settings = Settings::default();
    settings.entries_per_channel = script.settings.entries_per_channel;
    if script.settings.drop_gaps {
        settings.gap_policy = GapPolicy::Drop;
    }
    let hello = Hello {
        token: "token".into(),
        client: "vector/1.0".into(),
        heartbeat_ms: None,
    };
    let stored = script.stored.clone().unwrap_or_default();
    let mut machine = SyncMachine::restore(settings, hello, stored);
    let write = std::env::var("CHAT_VECTORS").is_ok_and(|value| value == "write");
    let mut now = 0;
    for (number, step) in script.steps.iter_mut().enumerate() {
        now = step.now.unwrap_or(now);
        let outputs = outputs(&mut machine, now, &step.r#do);
        if write {
            step.expect = outputs;
            step.deadline = machine.next_deadline();
        } else {
            assert_eq!(
                Value::from(outputs),
                Value::from(step.expect.clone()),
                "{file:?}, step {number}"
            );
            assert_eq!(
                machine.next_deadline(),
                step.deadline,
                "{file:?}, step {number}"
            );
        }
    }
    if write {
        let text = serde_json::to_string_pretty(&script).expect("plain data");
        fs::write(file, text + "\n").expect("a writable file");
    }
}

fn outputs(machine: &mut SyncMachine, now: u64, input: &Input) -> Vec<Value> {
    let mut first = None;
    match input {
        Input::Connected => machine.connected(now),
        Input::Frame(frame) => {
            let bytes = Bytes::from(frame.to_string());
            let frame = decode_server(Format::Json, bytes).expect("a frame of the protocol");
            machine
                .received(now, frame)
                .expect("an answer that fits its request");
        }
        Input::Disconnected { random } => {
            first = Some(match machine.disconnected(now, *random) {
                Some(again) => json!({"reconnect": {"at_ms": again.at_ms, "url": again.url}}),
                None => json!({"reconnect": null}),
            });
        }
        Input::Tick => machine.tick(now),
        Input::Send(message) => first = submit(machine, Command::Send(message.clone())),
        Input::Edit(edit) => first = submit(machine, Command::Edit(edit.clone())),
        Input::Delete(delete) => first = submit(machine, Command::Delete(*delete)),
        Input::React(react) => first = submit(machine, Command::React(react.clone())),
        Input::Pin(pin) => first = submit(machine, Command::Pin(*pin)),
        Input::Read(mark) => machine.read(mark.channel, mark.seq),
        Input::Delivered(mark) => machine.delivered(mark.channel, mark.seq),
        Input::Typing(typing) => machine.typing(typing.channel),
    }
    let mut outputs: Vec<Value> = first.into_iter().collect();
    while let Some(output) = machine.poll() {
        outputs.push(match output {
            Output::Frame(frame) => json!({"frame": frame}),
            Output::Event(event) => json!({"event": event}),
            Output::Close => json!({"close": true}),
            Output::Answer { .. } => panic!("scripts ask nothing"),
        });
    }
    outputs
}

fn submit(machine: &mut SyncMachine, command: Command) -> Option<Value> {
    let refused = machine.submit(command).err()?;
    Some(json!({"refused": refused.to_string()}))
}
