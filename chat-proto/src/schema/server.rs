//! What a server sends, by `op`.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::client::id;
use super::parts::{Components, add, all_of, any_of, name_of, named, reference, tag, tagged};
use crate::people::Presence;
use crate::rejection::Rejection;
use crate::wire::{
    ChangeAnswer, EntryPush, GoAway, HeadsPush, HelloAnswer, HistoryAnswer, MarkPush, PrefsAnswer,
    PullAnswer, ReceiptsAnswer, SendAnswer, ServerFrame, SyncAnswer, TypingPush, UserPush,
    WatchAnswer,
};

/// What answers a request that came by itself: the fields of an `ok`, without `op` and `id`.
#[derive(Debug)]
pub struct OpAnswer;

/// What a server says of its own accord.
fn pushes() -> Vec<(&'static str, RefOr<Schema>)> {
    vec![
        ("entry", reference::<EntryPush>()),
        ("heads", reference::<HeadsPush>()),
        ("read", reference::<MarkPush>()),
        ("delivered", reference::<MarkPush>()),
        ("user", reference::<UserPush>()),
        ("presence", reference::<Presence>()),
        ("typing", reference::<TypingPush>()),
        ("goaway", reference::<GoAway>()),
    ]
}

/// What answers a request, beside `op` and `id`.
fn answers() -> Vec<RefOr<Schema>> {
    vec![
        reference::<SyncAnswer>(),
        reference::<SendAnswer>(),
        reference::<PullAnswer>(),
        reference::<HistoryAnswer>(),
        reference::<ChangeAnswer>(),
        reference::<PrefsAnswer>(),
        reference::<ReceiptsAnswer>(),
        reference::<WatchAnswer>(),
        named("DoneAnswer"),
    ]
}

/// The name of the schema of a server's frame; a client has frames of the same ops.
fn frame_name(op: &str) -> String {
    name_of(op, "ServerFrame")
}

impl PartialSchema for ServerFrame {
    fn schema() -> RefOr<Schema> {
        let pushes = pushes().into_iter().map(|(op, _)| op);
        let all = ["ok", "error", "pong"].into_iter().chain(pushes);
        let all = all.map(|op| (Some(op), frame_name(op)));
        tagged("op", all, "A frame of a server.")
    }
}

impl ToSchema for ServerFrame {
    fn schemas(components: &mut Components) {
        let answered = |op| tag("op", op).property("id", id()).required("id").into();
        let hello = [reference::<HelloAnswer>()];
        let ok = any_of(hello.into_iter().chain(answers()));
        components.push((frame_name("ok"), all_of([answered("ok"), ok])));
        let error = all_of([answered("error"), reference::<Rejection>()]);
        components.push((frame_name("error"), error));
        components.push((frame_name("pong"), tag("op", "pong").into()));
        for (op, fields) in pushes() {
            components.push((frame_name(op), all_of([tag("op", op).into(), fields])));
        }
        add::<HelloAnswer>(components);
        OpAnswer::schemas(components);
        add::<Rejection>(components);
        add::<EntryPush>(components);
        add::<HeadsPush>(components);
        add::<MarkPush>(components);
        add::<UserPush>(components);
        add::<Presence>(components);
        add::<TypingPush>(components);
        add::<GoAway>(components);
    }
}

impl PartialSchema for OpAnswer {
    fn schema() -> RefOr<Schema> {
        any_of(answers())
    }
}

impl ToSchema for OpAnswer {
    fn schemas(components: &mut Components) {
        let done = Object::builder().description(Some("Done; there is nothing to tell."));
        components.push(("DoneAnswer".to_owned(), done.into()));
        add::<SyncAnswer>(components);
        add::<SendAnswer>(components);
        add::<PullAnswer>(components);
        add::<HistoryAnswer>(components);
        add::<ChangeAnswer>(components);
        add::<PrefsAnswer>(components);
        add::<ReceiptsAnswer>(components);
        add::<WatchAnswer>(components);
    }
}
