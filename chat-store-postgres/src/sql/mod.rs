//! Every statement of the store, by area. None is built from input: those for many rows take one array a column.

pub(crate) mod accounts;
pub(crate) mod bodies;
pub(crate) mod fan_out;
pub(crate) mod inbox;
pub(crate) mod messages;
pub(crate) mod meta;
pub(crate) mod people;
pub(crate) mod rows;
pub(crate) mod users;

#[cfg(test)]
mod tests {
    use chat_testkit::Skip;
    use sqlx::postgres::{PgConnectOptions, PgConnection};
    use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};
    use uuid::Uuid;

    use super::{accounts, bodies, inbox, messages, people, users};
    use crate::migrate::MIGRATIONS;

    /// So many channels and users, with a few rows each, that a table is too long to be gone through.
    const ROWS: &str = "
        INSERT INTO channels (uuid, head_seq, head_n, head_message, last_at, active_at, last_message_seq)
        SELECT md5(i::text)::uuid, 20, 20, 20, i, i, 20 FROM generate_series(1, 3000) i;
        INSERT INTO channel_states SELECT id, false, false, 10, 'x' FROM channels;
        INSERT INTO messages (channel, seq, n, message, at, client_id, form, withheld, sender, content, body)
        SELECT id, i, i, i, i, md5(id || '-' || i)::uuid, 0, false, 'user' || i, 'x', 'a body of some length'
        FROM channels, generate_series(1, 20) i;
        INSERT INTO events (channel, seq, n, message, at, target, sender, kind, detail)
        SELECT id, i, i, i, i, 1, 'user' || i, 'react', '{}' FROM channels, generate_series(21, 30) i;
        INSERT INTO keys SELECT channel, seq, client_id, sender FROM messages;
        INSERT INTO members
        SELECT id, 1, 1, 1, 1, NULL, NULL, 0, 0, 0, 0, i % 4, 'user' || (id * i) % 3000
        FROM channels, generate_series(1, 10) i ON CONFLICT DO NOTHING;
        INSERT INTO left_channels SELECT id, i, 'user' || (id * i) % 3000 FROM channels, generate_series(1, 5) i
        ON CONFLICT DO NOTHING;
        INSERT INTO mentions SELECT id, i, 'user' || (id * i) % 3000 FROM channels, generate_series(1, 5) i;
        INSERT INTO reactions SELECT id, i, i, false, 'user' || i, 'x' FROM channels, generate_series(1, 10) i;
        INSERT INTO pins SELECT id, i, i, true, '' FROM channels, generate_series(1, 5) i;
        INSERT INTO threads SELECT id, i, i, '' FROM channels, generate_series(1, 5) i;
        INSERT INTO body_notes SELECT uuid, i, i FROM channels, generate_series(1, 5) i;
        INSERT INTO users SELECT 1, 'user' || i FROM generate_series(1, 20000) i;
        INSERT INTO devices SELECT 1, 1, md5(user_id || i)::uuid, user_id, 'x', 'x', 'x'
        FROM users, generate_series(1, 2) i;
        INSERT INTO accounts SELECT 1, user_id, 'x' FROM users;
        INSERT INTO tokens SELECT 1, 1, md5(user_id)::uuid, user_id, decode(md5(user_id), 'hex') FROM users;
        INSERT INTO user_heads SELECT 3, user_id FROM users;
        INSERT INTO user_log SELECT i, user_id, '{}' FROM users, generate_series(1, 3) i;
        INSERT INTO contacts SELECT user_id, 'user' || i, 'contact' FROM users, generate_series(1, 3) i;
        INSERT INTO blocks SELECT user_id, 'user' || i FROM users, generate_series(1, 3) i;
        INSERT INTO prefs SELECT md5(user_id)::uuid, NULL, user_id, '{}' FROM users;
        INSERT INTO statuses SELECT 1, user_id, 'here' FROM users;
        ANALYZE;
        SET plan_cache_mode = force_generic_plan;";

    #[tokio::test]
    async fn no_statement_goes_through_a_whole_table() {
        let Ok(url) = std::env::var("CHAT_TEST_POSTGRES") else {
            return Skip("postgres").announce();
        };
        let schema = format!("plans_{}", Uuid::new_v4().simple());
        let options: PgConnectOptions = url.parse().expect("a URL");
        let options = options.options([("search_path", schema.as_str())]);
        let mut db = options.connect().await.expect("the server answers");
        // Nothing is committed, so nothing is left behind.
        for sql in [
            "BEGIN",
            &format!("CREATE SCHEMA {schema}"),
            MIGRATIONS[0],
            ROWS,
        ] {
            let done = db.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await;
            done.expect("a schema with rows");
        }
        let statements = [
            messages::LOCK_CHANNELS,
            messages::FIND_KEYS,
            messages::MOVE_HEADS,
            messages::DELETE_MEMBERS,
            messages::UPDATE_ROLES,
            messages::DELETE_LEFT,
            messages::LOAD,
            messages::HEADS,
            messages::ENTRIES,
            messages::OLDEST_MESSAGES,
            messages::NEWEST_MESSAGES,
            messages::TARGETS,
            messages::FIND_KEY,
            messages::MEMBERS,
            messages::MEMBERSHIPS,
            messages::SUCCESSOR,
            bodies::SET,
            bodies::DELETE_MENTIONS_OF,
            bodies::DELETE_REACTIONS_OF,
            bodies::DELETE_PINS_OF,
            bodies::DELETE_REACTIONS,
            bodies::DELETE_NOTE,
            inbox::RAISE_OWN,
            inbox::RAISE_WITHHELD,
            inbox::RAISE_READ,
            inbox::RAISE_READ_PRIVATELY,
            inbox::RAISE_DELIVERED,
            inbox::SHOW_READ,
            inbox::LIST,
            inbox::ROWS,
            inbox::LEFT,
            inbox::LARGE,
            inbox::MARKS,
            users::PROFILE,
            users::SET_PROFILE,
            users::DEVICE,
            users::DEVICES,
            users::FORGET_DEVICE,
            people::LOCK_USERS,
            people::USER_SEQ,
            people::MOVE_HEAD,
            people::ENTRY,
            people::SET_ENTRY,
            people::ENTRIES,
            people::RELATIONS,
            people::CONTACTS,
            people::BLOCKS,
            people::REMOVE_CONTACT,
            people::REMOVE_BLOCK,
            people::PREFS,
            people::REMOVE_PREFS,
            people::STATUSES,
            accounts::SIGN_UP,
            accounts::ACCOUNT,
            accounts::FREE_HASH,
            accounts::TOKEN_OWNER,
            accounts::REVOKE,
            accounts::SET_PASSWORD,
            accounts::REVOKE_OTHERS,
        ];
        let mut whole = Vec::new();
        for sql in statements {
            whole.extend(whole_tables(&mut db, sql).await);
        }
        assert!(whole.is_empty(), "{}", whole.join("\n"));
    }

    /// The steps of a statement's plan that go through a table or an index from end to end, with the plan.
    async fn whole_tables(db: &mut PgConnection, sql: &str) -> Vec<String> {
        let highest = (1..=16).rfind(|number| sql.contains(&format!("${number}")));
        let nulls = vec!["NULL"; highest.unwrap_or(0)].join(", ");
        for step in ["DEALLOCATE ALL", &format!("PREPARE asked AS {sql}")] {
            let prepared = db.execute(sqlx::raw_sql(AssertSqlSafe(step))).await;
            prepared.unwrap_or_else(|error| panic!("{error} in {sql}"));
        }
        let explain = format!("EXPLAIN EXECUTE asked ({nulls})");
        let plan = db.fetch_all(sqlx::raw_sql(AssertSqlSafe(explain))).await;
        let plan: Vec<String> = plan
            .expect("a plan")
            .iter()
            .map(|row| row.get::<String, _>(0))
            .collect();
        let whole = plan.iter().enumerate().filter(|(place, step)| {
            let by_index = step.contains("Index Scan") || step.contains("Index Only Scan");
            let next = plan.get(place + 1).map_or("", String::as_str);
            step.contains("Seq Scan") || by_index && !next.contains("Index Cond")
        });
        whole
            .map(|(_, step)| format!("{step}\nin {sql}\n{}", plan.join("\n")))
            .collect()
    }
}
