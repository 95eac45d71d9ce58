//! Who may do what to which message.

use serde_json::{Value, json};

use super::{
    ADMINS, DIRECT, DIRECT_ROLES, GROUP, GROUP_ROLES, MEMBERS_OF_ANY_ROLE, NOTHING_THERE, Request,
    Row, Scene, Table, VISIBLE_TO_THE_OLD, direct, frame, group, outcome, row, say, server,
};
use crate::harness::{client_id, text};

/// Nobody may, and who is in learns why.
const NOBODY: &str = "no no no no ?? ?? no";
/// Admins, but for who was added again and does not see it.
const ADMINS_OF_OLD: &str = "ok ok no no ?? ?? ??";
/// A place behind every log.
const NOT_THERE: u64 = 1_000;

/// What may be done again and again.
fn harmless() -> Vec<Row> {
    vec![
        row("edit one's own", VISIBLE_TO_THE_OLD, |scene, caller| {
            edit(scene, own(scene, caller))
        }),
        row("edit another's", NOBODY, |scene, _| {
            edit(scene, scene.messages["bob"])
        }),
        row("edit what was deleted", NOTHING_THERE, |scene, _| {
            edit(scene, scene.messages["gil"])
        }),
        row("edit what is no message", NOTHING_THERE, |scene, _| {
            edit(scene, scene.no_message)
        }),
        row("edit what is not there", NOTHING_THERE, |scene, _| {
            edit(scene, NOT_THERE)
        }),
        row("react to one's own", VISIBLE_TO_THE_OLD, |scene, caller| {
            react(scene, own(scene, caller))
        }),
        row("react to another's", MEMBERS_OF_ANY_ROLE, |scene, _| {
            react(scene, scene.messages["bob"])
        }),
        row(
            "react to what was before",
            VISIBLE_TO_THE_OLD,
            |scene, _| react(scene, scene.messages["mia"]),
        ),
        row("react to what was deleted", NOTHING_THERE, |scene, _| {
            react(scene, scene.messages["gil"])
        }),
        row("react to what is no message", NOTHING_THERE, |scene, _| {
            react(scene, scene.no_message)
        }),
        row("react to what is not there", NOTHING_THERE, |scene, _| {
            react(scene, NOT_THERE)
        }),
        row("pin one's own", ADMINS_OF_OLD, |scene, caller| {
            pin(scene, own(scene, caller))
        }),
        row("pin another's", ADMINS, |scene, _| {
            pin(scene, scene.messages["bob"])
        }),
        row("pin what was before", ADMINS_OF_OLD, |scene, _| {
            pin(scene, scene.messages["mia"])
        }),
        row("pin what was deleted", NOTHING_THERE, |scene, _| {
            pin(scene, scene.messages["gil"])
        }),
        row("pin what is no message", NOTHING_THERE, |scene, _| {
            pin(scene, scene.no_message)
        }),
        row("pin what is not there", NOTHING_THERE, |scene, _| {
            pin(scene, NOT_THERE)
        }),
        row("delete what was deleted", ADMINS, |scene, _| {
            delete(scene, scene.messages["gil"])
        }),
        row("delete what is no message", NOTHING_THERE, |scene, _| {
            delete(scene, scene.no_message)
        }),
        row("delete what is not there", NOTHING_THERE, |scene, _| {
            delete(scene, NOT_THERE)
        }),
    ]
}

/// What needs a message of its own for each cell.
fn deletions() -> Vec<Row> {
    vec![
        row("delete one's own", VISIBLE_TO_THE_OLD, |scene, caller| {
            delete(scene, own(scene, caller))
        }),
        row("delete another's", ADMINS, |scene, _| {
            delete(scene, scene.messages["bob"])
        }),
        row("delete what was before", ADMINS_OF_OLD, |scene, caller| {
            let older = if caller == "olga" { "adam" } else { "olga" };
            delete(scene, scene.messages[older])
        }),
    ]
}

/// What is done in a direct channel to the last message of its second side.
fn in_direct([edits, reacts, pins, deletes]: [&'static str; 4]) -> Vec<Row> {
    vec![
        row("edit emil's", edits, |scene, _| {
            edit(scene, scene.messages["emil"])
        }),
        row("react to emil's", reacts, |scene, _| {
            react(scene, scene.messages["emil"])
        }),
        row("pin emil's", pins, |scene, _| {
            pin(scene, scene.messages["emil"])
        }),
        row("delete emil's", deletes, |scene, _| {
            delete(scene, scene.messages["emil"])
        }),
    ]
}

#[tokio::test]
async fn everybody_may_to_a_message_in_a_group_what_the_protocol_says() {
    let (server, _folder) = server().await;
    let mut table = Table::new(&server, &GROUP, &GROUP_ROLES);
    let mut scene = group(&server).await;
    say(&server, &mut scene, "gil").await;
    let gone = delete(&scene, scene.messages["gil"]);
    assert_eq!(outcome(&server, "olga", gone).await, "ok");
    for row in harmless() {
        for column in 0..GROUP.len() {
            table.compare(&scene, &row, column).await;
        }
    }
    for row in deletions() {
        for column in 0..GROUP.len() {
            let scene = group(&server).await;
            table.compare(&scene, &row, column).await;
        }
    }
    table.finish();
}

#[tokio::test]
async fn who_blocks_knows_of_no_message_that_was_withheld() {
    let (server, _folder) = server().await;
    let mut scene = direct(&server).await;
    let mut table = Table::new(&server, &DIRECT, &DIRECT_ROLES);
    compare_direct(
        &mut table,
        &scene,
        ["no ok ??", "ok ok ??", "ok ok ??", "no ok ??"],
    )
    .await;
    let block = Request::Http("PUT", "/v1/blocks/emil".to_owned(), None);
    assert_eq!(outcome(&server, "dora", block).await, "ok");
    say(&server, &mut scene, "emil").await;
    compare_direct(&mut table, &scene, ["?? ok ??"; 4]).await;
    table.finish();
}

#[tokio::test]
async fn who_takes_messages_of_contacts_gets_none_of_others() {
    let (server, _folder) = server().await;
    let only = Request::Http(
        "PATCH",
        "/v1/me".to_owned(),
        Some(json!({"direct": "contacts"})),
    );
    assert_eq!(outcome(&server, "nina", only).await, "ok");
    for (one, other) in [("dora", "nina"), ("nina", "dora")] {
        let ask = Request::Http("PUT", format!("/v1/contacts/{other}"), None);
        assert_eq!(outcome(&server, one, ask).await, "ok");
    }
    for (from, expected) in [("dora", "ok"), ("sam", "forbidden"), ("nina", "ok")] {
        let frame = json!({"op": "send", "to": {"user": "nina"}, "client_id": client_id(), "body": text("hello")});
        let found = outcome(&server, from, Request::Frame(frame)).await;
        assert_eq!(found, expected, "{from} writes to nina");
    }
}

async fn compare_direct(table: &mut Table<'_>, scene: &Scene, expected: [&'static str; 4]) {
    for row in in_direct(expected) {
        for column in 0..DIRECT.len() {
            table.compare(scene, &row, column).await;
        }
    }
}

/// The caller's message; who wrote none tries the first entry.
fn own(scene: &Scene, caller: &str) -> u64 {
    scene.messages.get(caller).copied().unwrap_or(1)
}

fn edit(scene: &Scene, seq: u64) -> Request {
    change(scene, "edit", seq, json!({"body": text("otherwise")}))
}

fn delete(scene: &Scene, seq: u64) -> Request {
    change(scene, "delete", seq, json!({}))
}

fn react(scene: &Scene, seq: u64) -> Request {
    change(scene, "react", seq, json!({"emoji": "+1"}))
}

fn pin(scene: &Scene, seq: u64) -> Request {
    change(scene, "pin", seq, json!({}))
}

fn change(scene: &Scene, op: &str, seq: u64, mut fields: Value) -> Request {
    fields["seq"] = seq.into();
    fields["client_id"] = client_id().into();
    frame(scene, op, fields)
}
