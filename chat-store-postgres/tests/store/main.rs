//! What the store promises beyond the ports.

use std::sync::Arc;

use chat_core::ports::MessageStore;
use chat_proto::{Body, Entry};
use chat_store_postgres::PostgresStore;
use common::Schema;

mod alone;
#[path = "../common/mod.rs"]
mod common;
mod shared;

/// A schema of this case's own; nothing, said aloud, where there is no server.
fn schema() -> Option<Schema> {
    match common::url() {
        Ok(url) => Some(Schema::new(url)),
        Err(skip) => {
            skip.announce();
            None
        }
    }
}

fn logs(store: &PostgresStore) -> Arc<dyn MessageStore> {
    Arc::new(store.clone())
}

fn text_of(entry: &Entry) -> String {
    let body = entry.as_message().and_then(|message| message.body.clone());
    match body {
        Some(Body::Text { text, .. }) => text,
        other => panic!("a text: {other:?}"),
    }
}
