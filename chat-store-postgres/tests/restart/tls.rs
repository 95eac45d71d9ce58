//! The connection is encrypted and the server's certificate checked where the URL asks for it.

use std::path::Path;
use std::process::{Command, Stdio};

use chat_core::ports::MessageStore;
use chat_store_postgres::{OpenError, PostgresStore};
use chat_testkit::Skip;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Row};

use crate::server::{Server, give_to_owner};

#[tokio::test]
async fn a_certificate_is_checked_where_the_url_asks_for_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    if !certificates(folder.path()) {
        return Skip("openssl").announce();
    }
    let path = |name: &str| folder.path().join(name).display().to_string();
    give_to_owner(folder.path());
    give_to_owner(Path::new(&path("server.key")));
    let certificate = format!("ssl_cert_file={}", path("server.pem"));
    let key = format!("ssl_key_file={}", path("server.key"));
    let server = match Server::start(&["ssl=on", &certificate, &key]) {
        Ok(server) => server,
        Err(skip) => return skip.announce(),
    };
    let url = server.url().replace("127.0.0.1", "localhost");

    let known = format!(
        "{url}?sslmode=verify-full&sslrootcert={}&application_name=known",
        path("ca.pem")
    );
    let store = PostgresStore::open(&known).await;
    let store = store.expect("a certificate of a known authority");
    assert_eq!(store.heads(&[]).await.ok(), Some(Vec::new()));
    let options: PgConnectOptions = server.url().parse().expect("a URL");
    let mut db = options.connect().await.expect("the server answers");
    let encrypted = sqlx::query(
        "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'known'",
    );
    let encrypted = encrypted.fetch_one(&mut db).await.expect("connections");
    assert_eq!(encrypted.get::<Option<bool>, _>(0), Some(true));
    store.close().await.expect("the store closes");

    let strange = format!(
        "{url}?sslmode=verify-full&sslrootcert={}",
        path("other.pem")
    );
    let refused = PostgresStore::open(&strange).await.map(drop);
    assert!(
        matches!(refused, Err(OpenError::Connect { .. })),
        "{refused:?}"
    );
    server.stop();
    server.start_again(&[]);
    let plain = format!("{url}?sslmode=require");
    let refused = PostgresStore::open(&plain).await.map(drop);
    assert!(
        matches!(refused, Err(OpenError::Connect { .. })),
        "{refused:?}"
    );
}

/// Makes an authority, a certificate of it for this host, and another authority; whether there is a program for it.
fn certificates(folder: &Path) -> bool {
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
    std::fs::write(folder.join("names"), names).expect("a file");
    let commands = [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=one",
        "req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -days 2 -subj /CN=other",
        "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names",
    ];
    for command in commands {
        let mut program = Command::new("openssl");
        let program = program.args(command.split(' ')).current_dir(folder);
        let program = program.stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(status) = program.status() else {
            return false;
        };
        assert!(status.success(), "openssl {command}");
    }
    true
}
