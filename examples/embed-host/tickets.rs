//! A ticket is a channel: the desk opens it, marks what happened in it, and closes it.

use chat_core::proto::entry::{MetaChange, Posting};
use chat_core::proto::wire::Target;
use chat_core::proto::{Body, ChannelId, ClientId, Rejection, UserId};
use chat_core::{Draft, Engine, NewChannel};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// What the desk says of a ticket has a key made of the ticket and the event, whenever and however often it is said.
const EVENTS: Uuid = Uuid::from_u128(0x0b6c_55e2_91d7_4f0a_8a3d_3c1f_7e92_4d60);

/// A row of the table of tickets.
pub(crate) struct Ticket {
    number: u32,
    subject: &'static str,
    members: Vec<UserId>,
    /// Whether it is done.
    pub(crate) is_closed: bool,
}

impl Ticket {
    /// Today's tickets.
    pub(crate) fn of_today() -> Result<Vec<Self>, Box<dyn std::error::Error>> {
        let row = |number, subject, customer: &str, is_closed| {
            Ok(Self {
                number,
                subject,
                members: vec!["ada".parse()?, customer.parse()?],
                is_closed,
            })
        };
        [
            row(16, "Where is my parcel?", "carl", true),
            row(17, "The lamp flickers", "gil", false),
        ]
        .into_iter()
        .collect()
    }

    fn name(&self) -> String {
        format!("ticket:{}", self.number)
    }

    fn data(&self, status: &str) -> Map<String, Value> {
        object(json!({ "ticket": self.number, "status": status }))
    }
}

/// Opens the ticket's channel, or finds the one that is there: this may run at every start.
pub(crate) async fn open(engine: &Engine, ticket: &Ticket) -> Result<(), Rejection> {
    let channel = NewChannel::group(ticket.subject)
        .members(ticket.members.clone())
        .external_id(ticket.name())
        .data(Some(ticket.data("open")));
    engine.as_system().create_channel(channel).await?;
    say(engine, ticket, "opened", "Your ticket is open.").await
}

/// Closes the ticket's channel: it is there to read, and only the desk itself could still write.
pub(crate) async fn close(engine: &Engine, ticket: &Ticket) -> Result<(), Rejection> {
    let change = MetaChange {
        post: Some(Posting::Admins),
        data: Some(ticket.data("closed")),
        ..MetaChange::default()
    };
    // The channel's id follows from the ticket's name: no table says which is which.
    let channel = ChannelId::external(&ticket.name());
    let system = engine.as_system();
    system.change_meta(channel, None, change).await?;
    say(engine, ticket, "closed", "Your ticket is closed.").await
}

/// Says in the ticket what happened to it: a text for people, and data for the desk's own apps.
async fn say(engine: &Engine, ticket: &Ticket, event: &str, text: &str) -> Result<(), Rejection> {
    let body = Body::Text {
        text: text.to_owned(),
        attachments: Vec::new(),
        data: Some(object(json!({ "event": event }))),
    };
    let channel = ChannelId::external(&ticket.name());
    let key = Uuid::new_v5(&EVENTS, format!("{} {event}", ticket.name()).as_bytes());
    let draft = Draft::new(Target::Channel(channel), body).client_id(ClientId::from_uuid(key));
    engine.as_system().send(draft).await?;
    Ok(())
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
