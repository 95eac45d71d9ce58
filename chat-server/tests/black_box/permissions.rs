//! Who may what: every operation by everybody on everything, each cell compared with what the protocol says.

mod targets;

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Server, client_id, text, token};

/// Who acts in a group, in the order of the columns.
const GROUP: [&str; 7] = ["olga", "adam", "mia", "gus", "sam", "rita", "zoe"];
/// What they are there.
const GROUP_ROLES: [&str; 7] = [
    "owner", "admin", "member", "guest", "stranger", "removed", "re-added",
];
/// Who acts about a direct channel: its two sides, and somebody else.
const DIRECT: [&str; 3] = ["dora", "emil", "sam"];
/// What they are there.
const DIRECT_ROLES: [&str; 3] = ["blocker", "blocked", "stranger"];

/// What the table says in few letters.
const CODES: [(&str, &str); 4] = [
    ("ok", "ok"),
    ("no", "forbidden"),
    ("??", "not_found"),
    ("!!", "bad_request"),
];

const MEMBERS_OF_ANY_ROLE: &str = "ok ok ok ok ?? ?? ok";
const ADMINS: &str = "ok ok no no ?? ?? no";
const OWNERS: &str = "ok no no no ?? ?? no";
const VISIBLE_TO_THE_OLD: &str = "ok ok ok ok ?? ?? ??";
/// Also strangers: what they ask is about themselves.
const EVERYBODY: &str = "ok ok ok ok ok ok ok";
const NOTHING_THERE: &str = "?? ?? ?? ?? ?? ?? ??";

/// A channel with something of everybody in it.
struct Scene {
    channel: String,
    /// The message of each who wrote one.
    messages: BTreeMap<&'static str, u64>,
    /// An entry that is no message, and that all who are in see.
    no_message: u64,
}

enum Request {
    Frame(Value),
    Http(&'static str, String, Option<Value>),
}

/// A line of a table: what is done, by whom, and what comes of it for each of the columns.
struct Row {
    name: &'static str,
    request: fn(&Scene, &str) -> Request,
    expected: &'static str,
}

fn row(name: &'static str, expected: &'static str, request: fn(&Scene, &str) -> Request) -> Row {
    Row {
        name,
        request,
        expected,
    }
}

/// What changes nothing that another cell stands on.
fn harmless_in_groups() -> Vec<Row> {
    let mut rows = vec![
        row(
            "reply to one's own",
            "ok ok ok ok ?? ?? ??",
            |scene, caller| reply(scene, scene.messages.get(caller).copied().unwrap_or(1)),
        ),
        row("reply to another's", MEMBERS_OF_ANY_ROLE, |scene, _| {
            reply(scene, scene.messages["bob"])
        }),
        row(
            "reply to what was before",
            VISIBLE_TO_THE_OLD,
            |scene, _| reply(scene, scene.messages["olga"]),
        ),
        row("reply to no message", NOTHING_THERE, |scene, _| {
            reply(scene, scene.no_message)
        }),
        row("reply to what is not there", NOTHING_THERE, |scene, _| {
            reply(scene, 1_000)
        }),
    ];
    rows.extend(reads_and_sends(MEMBERS_OF_ANY_ROLE));
    rows
}

/// What every member may, whatever their role.
fn reads_and_sends(expected: &'static str) -> Vec<Row> {
    vec![
        row("send", expected, |scene, _| Request::Frame(send(scene))),
        row("POST messages", expected, |scene, _| {
            let body = json!({"client_id": client_id(), "body": text("by HTTP")});
            http("POST", scene, "/messages", Some(body))
        }),
        row("read", expected, |scene, _| {
            frame(scene, "read", json!({"seq": 1}))
        }),
        row("delivered", expected, |scene, _| {
            frame(scene, "delivered", json!({"seq": 1_000}))
        }),
        row("prefs", expected, |scene, _| {
            frame(scene, "prefs", json!({"archived": true}))
        }),
        row("receipts", expected, |scene, _| {
            frame(scene, "receipts", json!({}))
        }),
        row("pull", expected, |scene, _| {
            frame(scene, "pull", json!({"after": 0}))
        }),
        row("history", expected, |scene, _| {
            frame(scene, "history", json!({}))
        }),
        row("history around what was before", expected, |scene, _| {
            frame(scene, "history", json!({"around": 1}))
        }),
        row("sync", EVERYBODY, |scene, _| {
            let cursors = json!({ scene.channel.as_str(): [1, 0] });
            Request::Frame(json!({"op": "sync", "cursors": cursors}))
        }),
        row("typing", EVERYBODY, |scene, _| {
            frame(scene, "typing", json!({}))
        }),
        row("status", EVERYBODY, |_, _| {
            Request::Frame(json!({"op": "status", "state": "online"}))
        }),
        row("watch without a socket", "!! !! !! !! !! !! !!", |_, _| {
            Request::Frame(json!({"op": "watch", "contacts": true}))
        }),
        row("GET channel", expected, |scene, _| {
            http("GET", scene, "", None)
        }),
        row("GET members", expected, |scene, _| {
            http("GET", scene, "/members", None)
        }),
        row("GET messages", expected, |scene, _| {
            http("GET", scene, "/messages?before=1000", None)
        }),
        row("GET entries", expected, |scene, _| {
            http("GET", scene, "/entries?after=0", None)
        }),
    ]
}

/// What needs a group of its own for each cell.
fn changing_groups() -> Vec<Row> {
    vec![
        row("title", ADMINS, |scene, _| {
            patch(scene, json!({"title": "Coffee"}))
        }),
        row("topic", ADMINS, |scene, _| {
            patch(scene, json!({"topic": "Beans"}))
        }),
        row("avatar", ADMINS, |scene, _| {
            patch(scene, json!({"avatar": "cup"}))
        }),
        row("history", ADMINS, |scene, _| {
            patch(scene, json!({"history": "all"}))
        }),
        row("post", ADMINS, |scene, _| {
            patch(scene, json!({"post": "admins"}))
        }),
        row("add members", ADMINS, |scene, _| {
            let body = json!({"client_id": client_id(), "add": [{"user": "nina"}]});
            http("POST", scene, "/members", Some(body))
        }),
        row("add an admin", OWNERS, |scene, _| {
            let body =
                json!({"client_id": client_id(), "add": [{"user": "nina", "role": "admin"}]});
            http("POST", scene, "/members", Some(body))
        }),
        row("put a new member", ADMINS, |scene, _| {
            member("PUT", scene, "nina", Some(json!({})))
        }),
        row("make a member admin", OWNERS, |scene, _| {
            member("PUT", scene, "bob", Some(json!({"role": "admin"})))
        }),
        row("make a member guest", OWNERS, |scene, _| {
            member("PUT", scene, "bob", Some(json!({"role": "guest"})))
        }),
        row(
            "make oneself owner",
            "ok no no no ?? ?? no",
            |scene, caller| member("PUT", scene, caller, Some(json!({"role": "owner"}))),
        ),
        row("remove a member", ADMINS, |scene, _| {
            member("DELETE", scene, "bob", None)
        }),
        row("remove a guest", ADMINS, |scene, _| {
            member("DELETE", scene, "gil", None)
        }),
        row("remove an admin", OWNERS, |scene, _| {
            member("DELETE", scene, "ada", None)
        }),
        row("remove the owner", "ok no no no ?? ?? no", |scene, _| {
            member("DELETE", scene, "olga", None)
        }),
        row("leave", MEMBERS_OF_ANY_ROLE, |scene, caller| {
            member("DELETE", scene, caller, None)
        }),
    ]
}

/// What nobody does to a direct channel, though its two sides know of it.
fn against_direct() -> Vec<Row> {
    let refused = "no no ??";
    vec![
        row("title", refused, |scene, _| {
            patch(scene, json!({"title": "Us"}))
        }),
        row("topic", refused, |scene, _| {
            patch(scene, json!({"topic": "Us"}))
        }),
        row("avatar", refused, |scene, _| {
            patch(scene, json!({"avatar": "us"}))
        }),
        row("history", refused, |scene, _| {
            patch(scene, json!({"history": "all"}))
        }),
        row("post", refused, |scene, _| {
            patch(scene, json!({"post": "admins"}))
        }),
        row("add members", refused, |scene, _| {
            let body = json!({"client_id": client_id(), "add": [{"user": "nina"}]});
            http("POST", scene, "/members", Some(body))
        }),
        row("make oneself owner", refused, |scene, caller| {
            member("PUT", scene, caller, Some(json!({"role": "owner"})))
        }),
        row("remove the other", refused, |scene, caller| {
            let other = if caller == "dora" { "emil" } else { "dora" };
            member("DELETE", scene, other, None)
        }),
        row("leave", refused, |scene, caller| {
            member("DELETE", scene, caller, None)
        }),
    ]
}

#[tokio::test]
async fn everybody_may_in_a_group_what_the_protocol_says() {
    let (server, _folder) = server().await;
    let mut table = Table::new(&server, &GROUP, &GROUP_ROLES);
    let scene = group(&server).await;
    for row in harmless_in_groups() {
        for column in 0..GROUP.len() {
            table.compare(&scene, &row, column).await;
        }
    }
    for row in changing_groups() {
        for column in 0..GROUP.len() {
            let scene = group(&server).await;
            table.compare(&scene, &row, column).await;
        }
    }
    let scene = group(&server).await;
    let closed = patch(&scene, json!({"post": "admins"}));
    assert_eq!(outcome(&server, "olga", closed).await, "ok");
    let send = row("send where admins post", ADMINS, |scene, _| {
        Request::Frame(send(scene))
    });
    for column in 0..GROUP.len() {
        table.compare(&scene, &send, column).await;
    }
    table.finish();
}

#[tokio::test]
async fn both_sides_may_in_a_direct_channel_the_same_with_and_without_a_block() {
    let (server, _folder) = server().await;
    let scene = direct(&server).await;
    for blocked in [false, true] {
        if blocked {
            let block = Request::Http("PUT", "/v1/blocks/emil".to_owned(), None);
            assert_eq!(outcome(&server, "dora", block).await, "ok");
        }
        let mut table = Table::new(&server, &DIRECT, &DIRECT_ROLES);
        for row in reads_and_sends("ok ok ??")
            .into_iter()
            .chain(against_direct())
        {
            for column in 0..DIRECT.len() {
                table.compare(&scene, &row, column).await;
            }
        }
        table.finish();
    }
}

/// A server that takes as much as the tables ask, which is more than a user does.
async fn server() -> (Server, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("chat.toml");
    let settings: String = ["operations_per_user", "operations_per_address"]
        .iter()
        .map(|rate| format!("{rate}_per_s = 100000\n{rate}_burst = 100000\n"))
        .collect();
    std::fs::write(&config, format!("[rates]\n{settings}")).expect("written");
    let arguments = ["--config", config.to_str().expect("text")];
    (Server::start(folder.path(), &arguments).await, folder)
}

/// The cells that were compared.
struct Table<'a> {
    server: &'a Server,
    callers: &'a [&'static str],
    roles: &'a [&'static str],
    cells: usize,
    wrong: String,
}

impl<'a> Table<'a> {
    fn new(server: &'a Server, callers: &'a [&'static str], roles: &'a [&'static str]) -> Self {
        Self {
            server,
            callers,
            roles,
            cells: 0,
            wrong: String::new(),
        }
    }

    async fn compare(&mut self, scene: &Scene, row: &Row, column: usize) {
        let caller = self.callers[column];
        let short = row
            .expected
            .split(' ')
            .nth(column)
            .expect("a cell a column");
        let (_, expected) = CODES
            .iter()
            .find(|(letters, _)| *letters == short)
            .expect("a code");
        let found = outcome(self.server, caller, (row.request)(scene, caller)).await;
        self.cells += 1;
        if found != *expected {
            let (name, role) = (row.name, self.roles[column]);
            writeln!(self.wrong, "{name} by {role}: {found}, not {expected}").expect("a string");
        }
    }

    fn finish(self) {
        assert!(self.cells > 0, "a table has cells");
        assert!(
            self.wrong.is_empty(),
            "of {} cells:\n{}",
            self.cells,
            self.wrong
        );
    }
}

/// `ok`, or the code of the error.
async fn outcome(server: &Server, caller: &str, request: Request) -> String {
    let token = token(caller, 1);
    let (status, answer) = match request {
        Request::Frame(frame) => server.post("/v1/op", &token, frame).await,
        Request::Http(method, path, body) => server.http(method, &path, Some(&token), body).await,
    };
    match answer["code"].as_str() {
        Some(code) => code.to_owned(),
        None => {
            assert!((200..300).contains(&status), "{status}: {answer}");
            "ok".to_owned()
        }
    }
}

/// A group with two admins and a guest more than act in it; `rita` was removed, `zoe` too and added again.
async fn group(server: &Server) -> Scene {
    let members = ["adam", "ada", "mia", "bob", "gus", "gil", "rita", "zoe"];
    let create =
        json!({"client_id": client_id(), "title": "Tea", "members": members, "history": "joined"});
    let (status, created) = server.post("/v1/channels", &token("olga", 1), create).await;
    assert_eq!(status, 201, "{created}");
    let mut scene = Scene {
        channel: created["channel"].as_str().expect("text").to_owned(),
        messages: BTreeMap::new(),
        no_message: 0,
    };
    let put = async |scene: &Scene, user: &str, body: Value| {
        let request = member("PUT", scene, user, Some(body));
        assert_eq!(outcome(server, "olga", request).await, "ok");
    };
    for (user, role) in [
        ("adam", "admin"),
        ("ada", "admin"),
        ("gus", "guest"),
        ("gil", "guest"),
    ] {
        put(&scene, user, json!({"role": role})).await;
    }
    for user in ["olga", "adam", "mia", "gus", "rita", "zoe"] {
        say(server, &mut scene, user).await;
    }
    for user in ["rita", "zoe"] {
        let remove = member("DELETE", &scene, user, None);
        assert_eq!(outcome(server, "olga", remove).await, "ok");
    }
    put(&scene, "zoe", json!({})).await;
    say(server, &mut scene, "bob").await;
    // The entry that added somebody again stands right before.
    scene.no_message = scene.messages["bob"] - 1;
    scene
}

async fn direct(server: &Server) -> Scene {
    let frame = json!({"op": "send", "to": {"user": "emil"}, "client_id": client_id(), "body": text("hello")});
    let (_, sent) = server.post("/v1/op", &token("dora", 1), frame).await;
    let mut scene = Scene {
        channel: sent["channel"].as_str().expect("text").to_owned(),
        messages: BTreeMap::new(),
        no_message: 1,
    };
    for user in ["dora", "emil"] {
        say(server, &mut scene, user).await;
    }
    scene
}

async fn say(server: &Server, scene: &mut Scene, user: &'static str) {
    let (_, sent) = server.post("/v1/op", &token(user, 1), send(scene)).await;
    let seq = sent["seq"].as_u64();
    scene
        .messages
        .insert(user, seq.unwrap_or_else(|| panic!("{sent}")));
}

fn send(scene: &Scene) -> Value {
    json!({"op": "send", "to": {"channel": scene.channel}, "client_id": client_id(), "body": text("hello")})
}

fn reply(scene: &Scene, to: u64) -> Request {
    let mut frame = send(scene);
    frame["reply_to"] = to.into();
    Request::Frame(frame)
}

fn frame(scene: &Scene, op: &str, mut fields: Value) -> Request {
    fields["op"] = op.into();
    fields["channel"] = scene.channel.as_str().into();
    Request::Frame(fields)
}

fn http(method: &'static str, scene: &Scene, rest: &str, body: Option<Value>) -> Request {
    Request::Http(
        method,
        format!("/v1/channels/{}{rest}", scene.channel),
        body,
    )
}

fn patch(scene: &Scene, mut change: Value) -> Request {
    change["client_id"] = client_id().into();
    http("PATCH", scene, "", Some(change))
}

fn member(method: &'static str, scene: &Scene, user: &str, body: Option<Value>) -> Request {
    http(method, scene, &format!("/members/{user}"), body)
}
