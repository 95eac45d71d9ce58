//! Entries of channels' logs and of users' own logs: what every entry has, and by `kind` what only some have.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::parts::{Components, add, all_of, name_of, named, reference, tag, tagged};
use crate::entry::{Created, Delete, Edit, Entry, MembersChange, Message, MetaChange, Pin, React};
use crate::id::{DeviceId, MessageId, Ordinal, Seq, Timestamp, UserId};
use crate::people::{
    BlockChange, ContactChange, DeviceChange, PrefsChange, ProfileChange, UserEntry,
};
use crate::wire::{HistoryMessage, Reaction};

/// What every entry of a channel's log has.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema is all that there is of it")]
struct EntryFields {
    /// Its place: contiguous from 1.
    seq: Seq,
    /// Message entries up to and with this one.
    n: Ordinal,
    /// Its name, rising with `seq`.
    message: MessageId,
    /// When the server took it.
    at: Timestamp,
    /// Who did it.
    from: UserId,
    /// With which device; absent for a system actor.
    device: Option<DeviceId>,
}

/// What every entry of a user's own log has.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema is all that there is of it")]
struct UserEntryFields {
    /// Its place: contiguous from 1.
    seq: Seq,
    /// When the server took it.
    at: Timestamp,
}

/// What a page of history shows beside a message.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema is all that there is of it")]
struct Annotations {
    /// What others answered with a sign.
    reactions: Vec<Reaction>,
    /// Whether it is kept at hand for everybody.
    pinned: Option<bool>,
    /// Messages in its thread.
    replies: Option<u64>,
}

/// The kinds of entries of one sort of log.
struct Kinds {
    suffix: &'static str,
    every: RefOr<Schema>,
    kinds: Vec<(&'static str, Option<RefOr<Schema>>)>,
}

fn entries() -> Kinds {
    Kinds {
        suffix: "Entry",
        every: reference::<EntryFields>(),
        kinds: vec![
            ("message", Some(reference::<Message>())),
            ("edit", Some(reference::<Edit>())),
            ("delete", Some(reference::<Delete>())),
            ("react", Some(reference::<React>())),
            ("pin", Some(reference::<Pin>())),
            ("created", Some(reference::<Created>())),
            ("members", Some(reference::<MembersChange>())),
            ("meta", Some(reference::<MetaChange>())),
            ("withheld", None),
        ],
    }
}

fn user_entries() -> Kinds {
    Kinds {
        suffix: "UserEntry",
        every: reference::<UserEntryFields>(),
        kinds: vec![
            ("contact", Some(reference::<ContactChange>())),
            ("block", Some(reference::<BlockChange>())),
            ("device", Some(reference::<DeviceChange>())),
            ("prefs", Some(reference::<PrefsChange>())),
            ("profile", Some(reference::<ProfileChange>())),
        ],
    }
}

impl Kinds {
    fn schema(&self, description: &str) -> RefOr<Schema> {
        let known = self.kinds.iter();
        let known = known.map(|(kind, _)| (Some(*kind), name_of(kind, self.suffix)));
        let newer = (None, name_of("unknown", self.suffix));
        tagged("kind", known.chain([newer]), description)
    }

    /// Adds a schema for each kind, and one for those that a newer server may write.
    fn add(self, components: &mut Components) {
        let names: Vec<&str> = self.kinds.iter().map(|(kind, _)| *kind).collect();
        let unknown = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(format!("^(?!(?:{})$)", names.join("|"))));
        let unknown = Object::builder()
            .property("kind", unknown)
            .required("kind")
            .description(Some(
                "Of a kind that a newer server writes: keep it, and pass it by.",
            ));
        let name = name_of("unknown", self.suffix);
        components.push((name, all_of([self.every.clone(), unknown.into()])));
        for (kind, fields) in self.kinds {
            let parts = [self.every.clone(), tag("kind", kind).into()];
            let entry = all_of(parts.into_iter().chain(fields));
            components.push((name_of(kind, self.suffix), entry));
        }
    }
}

impl PartialSchema for Entry {
    fn schema() -> RefOr<Schema> {
        entries().schema("One entry of a channel's log.")
    }
}

impl ToSchema for Entry {
    fn schemas(components: &mut Components) {
        entries().add(components);
        add::<EntryFields>(components);
        add::<Message>(components);
        add::<Edit>(components);
        add::<Delete>(components);
        add::<React>(components);
        add::<Pin>(components);
        add::<Created>(components);
        add::<MembersChange>(components);
        add::<MetaChange>(components);
    }
}

impl PartialSchema for HistoryMessage {
    fn schema() -> RefOr<Schema> {
        all_of([named("MessageEntry"), reference::<Annotations>()])
    }
}

impl ToSchema for HistoryMessage {
    fn schemas(components: &mut Components) {
        add::<Entry>(components);
        add::<Annotations>(components);
    }
}

impl PartialSchema for UserEntry {
    fn schema() -> RefOr<Schema> {
        user_entries().schema("One entry of a user's own log.")
    }
}

impl ToSchema for UserEntry {
    fn schemas(components: &mut Components) {
        user_entries().add(components);
        add::<UserEntryFields>(components);
        add::<ContactChange>(components);
        add::<BlockChange>(components);
        add::<DeviceChange>(components);
        add::<PrefsChange>(components);
        add::<ProfileChange>(components);
    }
}
