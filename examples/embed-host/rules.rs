//! The desk's own rules, asked before those of chat.

use async_trait::async_trait;
use chat_core::ports::{Authorizer, Operation, PortError, Verdict};
use chat_core::proto::channel::Action;
use chat_core::proto::{Body, Rejection, UserId};

use crate::desk::{Desk, Kind};

/// Digits in a row that may be the number of a card.
const CARD_DIGITS_MIN: usize = 13;

#[async_trait]
impl Authorizer for Desk {
    async fn authorize(
        &self,
        user: &UserId,
        operation: Operation<'_>,
    ) -> Result<Verdict, PortError> {
        let kind = match self.kind_of(user) {
            Some(Kind::Agent) => return Ok(Verdict::Allow),
            Some(kind) => kind,
            None => return Ok(deny("the desk does not know you")),
        };
        Ok(match operation {
            Operation::Command { action, .. } => judge(kind, action),
            // Whoever is in a ticket may read it: the rules of chat see to that.
            Operation::Read { .. } => Verdict::Allow,
            Operation::Watch { contact } if self.kind_of(contact) == Some(Kind::Agent) => {
                deny("agents are not watched")
            }
            Operation::Watch { .. } => Verdict::Allow,
            // Whatever chat learns to do is for agents until the desk says otherwise.
            _ => deny("this is for agents"),
        })
    }
}

/// What customers and guests may do, and say.
fn judge(kind: Kind, action: &Action) -> Verdict {
    match action {
        Action::Create(_) => deny("the desk opens tickets"),
        Action::Members(_) => deny("agents say who is in a ticket"),
        Action::Meta(_) => deny("agents change tickets"),
        _ => said(action).map_or(Verdict::Allow, |body| judge_body(kind, body)),
    }
}

fn judge_body(kind: Kind, body: &Body) -> Verdict {
    let Body::Text {
        text,
        attachments,
        data,
    } = body
    else {
        return deny("the desk must be able to read what is said");
    };
    if kind == Kind::Guest && text.contains("://") {
        return deny("guests send no links");
    }
    let Some(text) = without_cards(text) else {
        return Verdict::Allow;
    };
    Verdict::ReplaceBody(Body::Text {
        text,
        attachments: attachments.clone(),
        data: data.clone(),
    })
}

/// What the action has a message say.
fn said(action: &Action) -> Option<&Body> {
    match action {
        Action::Send(message) => Some(&message.body),
        Action::Edit(edit) => Some(&edit.body),
        _ => None,
    }
}

/// The text with card numbers blotted out, if it has any.
fn without_cards(text: &str) -> Option<String> {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, digits) = rest.split_at(start);
        let end = digits.find(|c: char| !c.is_ascii_digit());
        let (digits, after) = digits.split_at(end.unwrap_or(digits.len()));
        clean.push_str(before);
        if digits.len() >= CARD_DIGITS_MIN {
            clean.push_str("[number removed]");
        } else {
            clean.push_str(digits);
        }
        rest = after;
    }
    clean.push_str(rest);
    (clean != text).then_some(clean)
}

fn deny(why: &'static str) -> Verdict {
    Verdict::Deny(Rejection::forbidden(why))
}
