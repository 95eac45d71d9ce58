//! Every statement, prepared once a session.

mod bodies;
mod inbox;
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
    set_standing: inbox::SET_STANDING;
    set_active: inbox::SET_ACTIVE;
    replace_copies: inbox::REPLACE_COPIES;
    set_copy: inbox::SET_COPY;
    clear_copies: inbox::CLEAR_COPIES;
    set_read: inbox::SET_READ;
    set_shown: inbox::SET_SHOWN;
    set_delivered: inbox::SET_DELIVERED;
    set_raised: inbox::SET_RAISED;
    replace_own: inbox::REPLACE_OWN;
    set_own: inbox::SET_OWN;
    set_mentioned: inbox::SET_MENTIONED;
    inbox_places: inbox::PLACES;
    inbox_row: inbox::ROW;
    inbox_marks: inbox::MARKS;
    insert_mention: inbox::INSERT_MENTION;
    delete_mention: inbox::DELETE_MENTION;
    mentions: inbox::MENTIONS;
    keep_mark: inbox::KEEP_MARK;
    marks_of_channel: inbox::MARKS_OF_CHANNEL;
    drop_mark: inbox::DROP_MARK;
    marks_of_owner: inbox::MARKS_OF_OWNER;
    know_owner: inbox::KNOW_OWNER;
    renew_lease: inbox::RENEW_LEASE;
    leases: inbox::LEASES;
    forget_owner: inbox::FORGET_OWNER;
}
