//! Every statement, prepared once a session.

mod bodies;
mod log;
pub(crate) mod meta;
mod views;

use scylla::client::session::Session;
use scylla::errors::PrepareError;
use scylla::statement::prepared::PreparedStatement;

macro_rules! statements {
    ($($name:ident: $cql:expr;)*) => {
        /// The prepared statements of a session.
        pub(crate) struct Statements {
            $(pub(crate) $name: PreparedStatement,)*
        }

        impl Statements {
            pub(crate) async fn prepare(session: &Session) -> Result<Self, PrepareError> {
                Ok(Self {
                    $($name: session.prepare($cql).await?,)*
                })
            }
        }
    };
}

statements! {
    move_head: log::MOVE_HEAD;
    insert_entry: log::INSERT_ENTRY;
    insert_key: log::INSERT_KEY;
    erase_body: log::ERASE_BODY;
    head: log::HEAD;
    entries: log::ENTRIES;
    newest_entries: log::NEWEST_ENTRIES;
    skeletons: log::SKELETONS;
    key: log::KEY;
    insert_long_body: bodies::INSERT_LONG;
    long_body: bodies::LONG;
    delete_long_body: bodies::DELETE_LONG;
    set_overlay: bodies::SET_OVERLAY;
    erase_overlay: bodies::ERASE_OVERLAY;
    set_clean: bodies::SET_CLEAN;
    overlays: bodies::OVERLAYS;
    keep_note: bodies::KEEP_NOTE;
    drop_note: bodies::DROP_NOTE;
    notes: bodies::NOTES;
    through: views::THROUGH;
    raise_through: views::RAISE_THROUGH;
    insert_member: views::INSERT_MEMBER;
    delete_member: views::DELETE_MEMBER;
    set_role: views::SET_ROLE;
    members: views::MEMBERS;
    membership: views::MEMBERSHIP;
    insert_naming: views::INSERT_NAMING;
    naming: views::NAMING;
    snapshot: views::SNAPSHOT;
    insert_snapshot: views::INSERT_SNAPSHOT;
}
