//! What a client sends, by `op`.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::parts::{
    Components, absent, add, all_of, any_of, name_of, named, one_of, reference, tag, tagged,
};
use crate::id::{ChannelId, Seq, UserId};
use crate::people::PrefsChange;
use crate::wire::{
    ClientFrame, DeleteMessage, EditMessage, Hello, HistoryQuery, Mark, Pin, PullQuery, React,
    ReceiptsQuery, SendMessage, SetStatus, SyncQuery, Target, TypingIn, Unwatch, Watch,
};

/// What a request asks that comes by itself: a client's frame, of which the id may be left out.
#[derive(Debug)]
pub struct OpRequest;

/// Whether a frame is answered under its id.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Id {
    Answered,
    None,
}

struct Op {
    name: &'static str,
    id: Id,
    /// Whether it can come by itself, as an HTTP request.
    alone: bool,
    fields: Option<RefOr<Schema>>,
}

fn ops() -> Vec<Op> {
    let op = |name, fields| Op {
        name,
        id: Id::Answered,
        alone: true,
        fields: Some(fields),
    };
    vec![
        Op {
            alone: false,
            ..op("hello", reference::<Hello>())
        },
        op("sync", reference::<SyncQuery>()),
        op("send", reference::<SendMessage>()),
        op("edit", reference::<EditMessage>()),
        op("delete", reference::<DeleteMessage>()),
        op("react", reference::<React>()),
        op("pin", reference::<Pin>()),
        op("read", reference::<Mark>()),
        op("delivered", reference::<Mark>()),
        op("prefs", all_of([reference::<PrefsChange>(), any_pref()])),
        op("pull", reference::<PullQuery>()),
        op("history", reference::<HistoryQuery>()),
        op("receipts", reference::<ReceiptsQuery>()),
        op("watch", reference::<Watch>()),
        op("unwatch", reference::<Unwatch>()),
        op("status", reference::<SetStatus>()),
        Op {
            id: Id::None,
            ..op("typing", reference::<TypingIn>())
        },
        Op {
            name: "ping",
            id: Id::None,
            alone: false,
            fields: None,
        },
    ]
}

/// A change changes something.
fn any_pref() -> RefOr<Schema> {
    let set = |name, kind| {
        let value = Object::with_type(kind);
        Object::builder()
            .property(name, value)
            .required(name)
            .into()
    };
    any_of([
        set("mute_until_ms", Type::Integer),
        set("archived", Type::Boolean),
        set("marked_unread", Type::Boolean),
        set("draft", Type::String),
    ])
}

/// An unsigned number of 32 bits.
pub(super) fn id() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
        .maximum(Some(u32::MAX))
        .description(Some(
            "Comes back in the answer; unique among those outstanding.",
        ))
}

impl PartialSchema for ClientFrame {
    fn schema() -> RefOr<Schema> {
        let all = ops().into_iter();
        let all = all.map(|op| (Some(op.name), name_of(op.name, "Frame")));
        tagged("op", all, "A frame of a client.")
    }
}

impl ToSchema for ClientFrame {
    fn schemas(components: &mut Components) {
        for op in ops() {
            let tag = tag("op", op.name);
            let header = match op.id {
                Id::Answered => tag.property("id", id()).required("id"),
                Id::None => tag,
            };
            let frame = all_of([header.into()].into_iter().chain(op.fields));
            components.push((name_of(op.name, "Frame"), frame));
        }
        add::<Hello>(components);
        OpRequest::schemas(components);
    }
}

impl PartialSchema for OpRequest {
    fn schema() -> RefOr<Schema> {
        let alone = ops().into_iter().filter(|op| op.alone);
        let alone = alone.map(|op| (Some(op.name), name_of(op.name, "Op")));
        tagged(
            "op",
            alone,
            "A client's frame, of which the id may be left out; `watch` within a session only.",
        )
    }
}

impl ToSchema for OpRequest {
    fn schemas(components: &mut Components) {
        for op in ops().into_iter().filter(|op| op.alone) {
            let tag = tag("op", op.name).into();
            let request = all_of([tag].into_iter().chain(op.fields));
            components.push((name_of(op.name, "Op"), request));
        }
        add::<SyncQuery>(components);
        add::<SendMessage>(components);
        add::<EditMessage>(components);
        add::<DeleteMessage>(components);
        add::<React>(components);
        add::<Pin>(components);
        add::<Mark>(components);
        add::<PrefsChange>(components);
        add::<PullQuery>(components);
        add::<HistoryQuery>(components);
        add::<ReceiptsQuery>(components);
        add::<Watch>(components);
        add::<Unwatch>(components);
        add::<SetStatus>(components);
        add::<TypingIn>(components);
    }
}

impl PartialSchema for HistoryQuery {
    fn schema() -> RefOr<Schema> {
        let anchors = ["before", "after", "around"];
        let page = |chosen: Option<&str>| {
            let page = Object::builder();
            let page = anchors.into_iter().fold(page, |page, anchor| {
                if Some(anchor) == chosen {
                    page.property(anchor, reference::<Seq>()).required(anchor)
                } else {
                    page.property(anchor, absent())
                }
            });
            RefOr::from(Schema::from(page.build()))
        };
        let placed = one_of([None].into_iter().chain(anchors.map(Some)).map(page));
        all_of([named("HistoryFields"), placed])
    }
}

/// Asks for a page of messages: the newest, or those before, after or around one.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema is all that there is of it")]
struct HistoryFields {
    /// Of which log.
    channel: ChannelId,
    /// Messages at the most.
    limit: Option<u32>,
}

impl ToSchema for HistoryQuery {
    fn schemas(components: &mut Components) {
        add::<HistoryFields>(components);
        add::<Seq>(components);
    }
}

impl PartialSchema for Target {
    fn schema() -> RefOr<Schema> {
        let to = |named: &str, other: &str, value| {
            let target = Object::builder().property(named, value).required(named);
            target.property(other, absent()).into()
        };
        one_of([
            to("user", "channel", reference::<UserId>()),
            to("channel", "user", reference::<ChannelId>()),
        ])
    }
}

impl ToSchema for Target {
    fn schemas(components: &mut Components) {
        add::<UserId>(components);
        add::<ChannelId>(components);
    }
}

impl PartialSchema for Watch {
    fn schema() -> RefOr<Schema> {
        let truth = |types: &[Type], value| {
            let types = utoipa::openapi::schema::SchemaType::from_iter(types.iter().cloned());
            ObjectBuilder::new()
                .schema_type(types)
                .enum_values(Some(value))
        };
        let users = ArrayBuilder::new()
            .items(reference::<UserId>())
            .max_items(Some(500));
        let no = [serde_json::Value::Bool(false), serde_json::Value::Null];
        let yes = [serde_json::Value::Bool(true)];
        let of_users = Object::builder().property("users", users).required("users");
        let of_users =
            of_users.property("contacts", truth(&[Type::Boolean, Type::Null], no.to_vec()));
        let of_contacts = Object::builder()
            .property("contacts", truth(&[Type::Boolean], yes.to_vec()))
            .required("contacts")
            .property("users", absent());
        one_of([of_users.into(), of_contacts.into()])
    }
}

impl ToSchema for Watch {
    fn schemas(components: &mut Components) {
        add::<UserId>(components);
    }
}
