//! What no store can be used for, found before anything is opened.

use super::url::StoreUrl;

/// Why this store cannot hold messages and inboxes, if it cannot.
pub(crate) fn refusal_of_messages(url: &StoreUrl) -> Option<String> {
    match url {
        StoreUrl::Sqlite(_) => None,
        StoreUrl::Postgres(_) => left_out("PostgreSQL", "postgres", cfg!(feature = "postgres")),
        StoreUrl::Cassandra(url) => left_out("Cassandra", "cassandra", cfg!(feature = "cassandra"))
            .or_else(|| not_understood(url.whole())),
    }
}

/// Why this store cannot hold users and accounts, if it cannot.
pub(crate) fn refusal_of_users(url: &StoreUrl) -> Option<String> {
    match url {
        StoreUrl::Cassandra(_) => {
            let why = "is a Cassandra keyspace, which holds messages and inboxes only; name PostgreSQL or SQLite for users \
                       and accounts";
            Some(why.to_owned())
        }
        StoreUrl::Sqlite(_) | StoreUrl::Postgres(_) => refusal_of_messages(url),
    }
}

fn left_out(name: &str, feature: &str, is_built_in: bool) -> Option<String> {
    (!is_built_in).then(|| {
        format!(
            "is in {name}, which this server was built without; build it with the feature `{feature}`, or name another store"
        )
    })
}

#[cfg(feature = "cassandra")]
fn not_understood(url: &str) -> Option<String> {
    let parsed = url.parse::<chat_store_cassandra::Config>();
    parsed.err().map(|error| format!("cannot be used: {error}"))
}

#[cfg(not(feature = "cassandra"))]
fn not_understood(_url: &str) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(url: &str) -> StoreUrl {
        url.parse().expect(url)
    }

    #[test]
    fn users_are_not_for_cassandra() {
        let why = refusal_of_users(&url("cassandra://u:hunter2@a/chat")).expect("refused");
        assert!(why.contains("name PostgreSQL or SQLite"), "{why}");
        assert!(!why.contains("hunter2"), "{why}");
        assert_eq!(refusal_of_users(&url("sqlite:chat.db")), None);
    }

    #[test]
    fn an_adapter_that_was_left_out_is_named() {
        let why = left_out("PostgreSQL", "postgres", false).expect("refused");
        assert!(
            why.contains("built without") && why.contains("`postgres`"),
            "{why}"
        );
        let refused = refusal_of_messages(&url("postgres://db/chat")).is_some();
        assert_eq!(refused, cfg!(not(feature = "postgres")));
        assert_eq!(
            refusal_of_users(&url("postgres://db/chat")).is_some(),
            refused
        );
        let refused = refusal_of_messages(&url("cassandra://a/chat")).is_some();
        assert_eq!(refused, cfg!(not(feature = "cassandra")));
    }
}
