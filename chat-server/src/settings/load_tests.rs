use std::fs;
use std::path::PathBuf;

use clap::Parser;

use super::*;

fn load(
    file: &str,
    variables: &[(&str, &str)],
    arguments: &[&str],
) -> Result<Settings, SettingsError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("chat.toml");
    fs::write(&path, file).expect("a file in it");
    let path = path.display().to_string();
    let line = ["chat-server", "--config", &path]
        .into_iter()
        .chain(arguments.iter().copied());
    let arguments = Arguments::try_parse_from(line).expect("good arguments");
    let variables = variables
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Settings::load(&arguments, variables)
}

#[test]
fn arguments_go_before_the_environment_before_the_file_before_defaults() {
    let file = "listen = \"127.0.0.1:1\"\ndata = \"file\"\nadmin_listen = \"127.0.0.1:2\"\n[log]\nlevel = \"debug\"\n";
    let variables = [
        ("CHAT_DATA", "environment"),
        ("CHAT_ADMIN_LISTEN", "127.0.0.1:3"),
        ("OTHER", "x"),
    ];
    let settings =
        load(file, &variables, &["--admin-listen", "127.0.0.1:4"]).expect("good settings");
    assert_eq!(settings.listen.port(), 1);
    assert_eq!(settings.data, PathBuf::from("environment"));
    assert_eq!(settings.admin_listen.map(|address| address.port()), Some(4));
    assert_eq!(settings.log.level.as_str(), "debug");
    let defaults = load("", &[], &[]).expect("good settings");
    assert_eq!(defaults.listen, Settings::default().listen);
    assert!(!defaults.auth.jwt.is_on());
}

#[test]
fn every_level_is_reached_from_the_environment() {
    let variables = [
        ("CHAT_AUTH__JWT__HS256_SECRET", "007-and-more-of-a-secret"),
        ("CHAT_AUTH__SIGN_UP", "false"),
        ("CHAT_HTTP__ORIGINS", "https://a.example, https://b.example"),
        ("CHAT_HTTP__CONNECTIONS_MAX", "7"),
        ("CHAT_LOG__FORMAT", "json"),
        ("CHAT_DATA", ""),
        ("CHAT_TEST_REQUIRE", "redis"),
    ];
    let settings = load("", &variables, &[]).expect("good settings");
    let secret = settings.auth.jwt.hs256_secret.expect("a secret");
    assert_eq!(secret.as_bytes(), b"007-and-more-of-a-secret");
    assert!(!settings.auth.sign_up);
    assert_eq!(
        settings.http.origins,
        ["https://a.example", "https://b.example"]
    );
    assert_eq!(settings.http.connections_max, 7);
    assert_eq!(settings.data, PathBuf::from("./chat-data"));
}

#[test]
fn digits_are_a_secret_too() {
    let settings = load(
        "",
        &[("CHAT_AUTH__JWT__HS256_SECRET", "00700700700700")],
        &[],
    )
    .expect("good settings");
    assert_eq!(
        settings.auth.jwt.hs256_secret.expect("a secret").as_bytes(),
        b"00700700700700"
    );
}

#[test]
fn what_is_no_setting_is_refused_and_named() {
    for (file, variables, named) in [
        ("lisen = \"127.0.0.1:1\"", &[][..], "lisen"),
        ("[auth.jwt]\nsecret = \"x\"", &[], "secret"),
        ("listen = \"here\"", &[], "listen"),
        ("listen = ", &[], "chat.toml"),
        ("[log]\nlevel = \"loud\"", &[], "loud"),
        ("", &[("CHAT_LISTN", "127.0.0.1:1")][..], "listn"),
        ("", &[("CHAT_AUTH__JWT__KEY", "x")], "key"),
        (
            "",
            &[("CHAT_HTTP__CONNECTIONS_MAX", "many")],
            "connections_max",
        ),
        ("[http]\nconnections_max = -1", &[], "connections_max"),
    ] {
        let error = load(file, variables, &[]).expect_err(file).to_string();
        assert!(error.contains(named), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn values_that_cannot_work_are_refused() {
    for (file, key) in [
        (
            "listen = \"127.0.0.1:1\"\nadmin_listen = \"127.0.0.1:1\"",
            "admin_listen",
        ),
        ("[http]\norigins = [\"app.example.com\"]", "http.origins"),
        (
            "[http]\norigins = [\"https://app.example.com/\"]",
            "http.origins",
        ),
        (
            "[http]\nconnect_url = \"https://app.example.com\"",
            "http.connect_url",
        ),
        ("[http]\nconnections_max = 0", "http.connections_max"),
        (
            "[http]\nconnections_per_address_max = 0",
            "http.connections_per_address_max",
        ),
        (
            "[auth]\npassword_hashes_max = 0",
            "auth.password_hashes_max",
        ),
        (
            "[auth.jwt]\nhs256_secret = \"s3cr3t\"",
            "auth.jwt.hs256_secret",
        ),
        (
            "[auth.jwt]\nhs256_secret = \"0123456789abcdef\"\nleeway_s = 6",
            "auth.jwt.leeway_s",
        ),
        ("[auth.jwt]\nissuer = \"me\"", "auth.jwt"),
        ("[stop]\ndrain_s = 9", "stop.drain_s"),
    ] {
        let error = load(file, &[], &[]).expect_err(file).to_string();
        assert!(error.contains(&format!("`{key}`")), "{error}");
        assert!(
            !error.contains("s3cr3t"),
            "a secret is never shown: {error}"
        );
    }
}

#[test]
fn stores_are_named_by_arguments_the_environment_or_the_file() {
    let file = "[stores]\nmessages = \"sqlite:file\"\nusers = \"sqlite:users\"\n";
    let variables = [("CHAT_STORES__MESSAGES", "sqlite:environment")];
    let shown = |arguments: &[&str]| {
        let stores = load(file, &variables, arguments)
            .expect("good settings")
            .stores;
        let named = [stores.messages, stores.users].map(|url| url.expect("a store"));
        named.map(|url| {
            url.to_string()
                .rsplit('/')
                .next()
                .map(str::to_owned)
                .unwrap_or_default()
        })
    };
    assert_eq!(shown(&[]), ["environment", "users"]);
    assert_eq!(
        shown(&["--messages", "sqlite:argument"]),
        ["argument", "users"]
    );
    let none = load("", &[], &[]).expect("good settings").stores;
    assert!(none.messages.is_none() && none.users.is_none());
}

#[test]
fn stores_that_cannot_be_used_are_refused_without_their_passwords() {
    let cassandra = "cassandra://u:hunter2@a/chat?dc=north";
    for (file, variables, arguments, tells) in [
        (
            "",
            &[][..],
            &["--messages", "mysql://u:hunter2@db/chat"][..],
            "`stores.messages`",
        ),
        (
            "",
            &[],
            &["--users", "postgres://u:hunter2@db"],
            "nothing behind the host",
        ),
        (
            "",
            &[],
            &["--users", cassandra],
            "name PostgreSQL or SQLite",
        ),
        (
            "",
            &[("CHAT_STORES__USERS", cassandra)],
            &[],
            "`stores.users`",
        ),
        (
            "",
            &[("CHAT_STORES__MESSAGES", "postgres:hunter2")],
            &[],
            "stores.messages",
        ),
        (
            "[stores]\nmessages = \"hunter2\"",
            &[],
            &[],
            "stores.messages",
        ),
        ("[stores]\ninbox = \"sqlite:hunter2\"", &[], &[], "inbox"),
    ] {
        let error = load(file, variables, arguments)
            .expect_err(tells)
            .to_string();
        assert!(error.contains(tells), "{error}");
        assert!(
            !error.contains("hunter2") && !error.contains('\n'),
            "{error}"
        );
    }
}
