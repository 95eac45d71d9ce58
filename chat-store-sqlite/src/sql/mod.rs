//! Every statement of the store, by area. None is built from input: those for many rows are one constant pattern
//! repeated a fixed number of times.

pub(crate) mod accounts;
pub(crate) mod bodies;
pub(crate) mod inbox;
pub(crate) mod messages;
pub(crate) mod meta;
pub(crate) mod people;
pub(crate) mod rows;
pub(crate) mod users;

#[cfg(test)]
mod tests {
    use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
    use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};

    use super::rows::Pattern;
    use super::{accounts, bodies, inbox, messages, people, users};
    use crate::migrate::MIGRATIONS;

    /// What SQLite may go through from end to end: the rows of the statement itself, and notes, of which as many are read
    /// as are asked for.
    const SCANNED: [&str; 12] = [
        "SCAN CONSTANT ROW",
        "SCAN json_each",
        "SCAN wanted",
        "SCAN changed",
        "SCAN own",
        "SCAN rise",
        "SCAN page",
        "SCAN asked",
        "SCAN signs",
        "SCAN body_notes",
        "SCAN 2 CONSTANT ROWS",
        "SCAN 2-ROW VALUES CLAUSE",
    ];

    #[tokio::test]
    async fn no_statement_goes_through_a_whole_table() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = SqliteConnectOptions::new().filename(folder.path().join("plans.db"));
        let mut db = options
            .create_if_missing(true)
            .connect()
            .await
            .expect("a database");
        for step in MIGRATIONS {
            sqlx::raw_sql(step)
                .execute(&mut db)
                .await
                .expect("a schema");
        }
        let constants = [
            messages::LOAD,
            messages::HEADS,
            messages::HEAD,
            messages::ENTRIES,
            messages::OLDEST_MESSAGES,
            messages::NEWEST_MESSAGES,
            messages::TARGETS,
            messages::FIND_KEY,
            messages::MEMBERS,
            messages::MEMBERSHIPS,
            messages::SUCCESSOR,
            bodies::INSERT_NOTE,
            bodies::DELETE_NOTE,
            bodies::NOTES,
            inbox::LIST,
            inbox::ROWS,
            inbox::LEFT,
            inbox::LARGE,
            inbox::MARKS,
            users::PROFILE,
            users::DEVICES,
            users::DEVICE,
            users::FORGET_DEVICE,
            people::USER_SEQ,
            people::ENTRIES,
            people::FORGET_DRAFT,
            people::RELATIONS,
            people::CONTACTS,
            people::BLOCKS,
            people::PREFS,
            people::STATUSES,
            people::REMOVE_CONTACT,
            people::REMOVE_BLOCK,
            people::REMOVE_PREFS,
            accounts::ACCOUNT,
            accounts::TOKEN_OWNER,
            accounts::REVOKE,
            accounts::SET_PASSWORD,
            accounts::REVOKE_OTHERS,
        ];
        let patterns: [&Pattern; 21] = [
            &messages::INSERT_PLAIN_MESSAGES,
            &messages::FIND_CHANNELS,
            &messages::FIND_KEYS,
            &messages::DELETE_MEMBERS,
            &messages::UPDATE_ROLES,
            &messages::DELETE_LEFT,
            &bodies::FORMER,
            &bodies::ERASE,
            &bodies::SET,
            &bodies::DELETE_MENTIONS,
            &bodies::DELETE_REACTIONS_OF,
            &bodies::DELETE_PINS_OF,
            &bodies::DELETE_REACTIONS,
            &bodies::UPSERT_PINS,
            &bodies::ADD_REPLIES,
            &inbox::RAISE_WITHHELD,
            &inbox::RAISE_OWN,
            &inbox::RAISE_READ,
            &inbox::RAISE_READ_PRIVATELY,
            &inbox::SHOW_READ,
            &inbox::RAISE_DELIVERED,
        ];
        for sql in constants {
            check_plan(&mut db, sql).await;
        }
        for pattern in patterns {
            check_plan(&mut db, &pattern.of_two()).await;
        }
    }

    async fn check_plan(db: &mut SqliteConnection, sql: &str) {
        let explained = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let plan = db
            .fetch_all(explained)
            .await
            .expect("a statement of this schema");
        for row in plan {
            let step: String = row.get("detail");
            let whole = step.starts_with("SCAN")
                && !SCANNED
                    .iter()
                    .any(|own| step == *own || step.starts_with(&format!("{own} ")));
            assert!(!whole, "{step} in {sql}");
        }
    }
}
