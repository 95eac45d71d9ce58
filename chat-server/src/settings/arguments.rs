//! The command line.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::tree::Secret;

/// The arguments of the command line.
#[derive(Clone, Debug, Default, Parser)]
#[command(
    name = "chat-server",
    version,
    about = "A chat server: WebSocket and HTTP, with everything durable in one folder or in stores that servers share.",
    args_conflicts_with_subcommands = true,
    after_help = "Every setting can also come from the file or the environment: CHAT_ and its path in capitals, with __ \
                  between levels, as CHAT_AUTH__JWT__HS256_SECRET. Arguments go before the environment, the environment \
                  before the file. Everybody on a machine can read arguments: a URL with a password is better in the \
                  environment, as CHAT_STORES__MESSAGES and CHAT_STORES__USERS."
)]
pub struct Arguments {
    /// Where users connect [default: 127.0.0.1:8080]; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// The folder of everything durable [default: ./chat-data]
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Where /healthz, /readyz and /metrics are [default: nowhere]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub admin_listen: Option<SocketAddr>,
    /// Which stores, and the file of all settings.
    #[command(flatten)]
    pub stores: StoresArguments,
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Which stores, and the file of all settings.
#[derive(Clone, Debug, Default, Args)]
pub struct StoresArguments {
    /// Messages and inboxes [default: chat.db in the data folder]: sqlite:PATH, postgres://USER@HOST/DATABASE or
    /// `cassandra://HOST[,HOST]/KEYSPACE?dc=DATACENTER`
    #[arg(long, value_name = "URL", value_parser = secret)]
    pub messages: Option<Secret>,
    /// Users and accounts [default: chat.db in the data folder]: sqlite:PATH or postgres://USER@HOST/DATABASE
    #[arg(long, value_name = "URL", value_parser = secret)]
    pub users: Option<Secret>,
    /// A TOML file with settings
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What to do instead of serving.
#[derive(Clone, Debug, Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Prepare stores, or begin another life of them after a restore
    #[command(subcommand)]
    Admin(AdminCommand),
}

/// What operators do to stores.
#[derive(Clone, Debug, Subcommand)]
#[non_exhaustive]
pub enum AdminCommand {
    /// The tables of a store
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// The life of a store
    #[command(subcommand)]
    Epoch(EpochCommand),
}

/// What can be done to tables.
#[derive(Clone, Debug, Subcommand)]
#[non_exhaustive]
pub enum SchemaCommand {
    /// Make what is missing of the tables of each store named, a Cassandra keyspace included; may be run again
    Apply(StoresArguments),
}

/// What can be done to a store's life.
#[derive(Clone, Debug, Subcommand)]
#[non_exhaustive]
pub enum EpochCommand {
    /// After a restore, with all servers stopped: draw a new epoch in each store named, so that clients drop what they know
    Draw(StoresArguments),
}

impl Command {
    /// Which stores it is about.
    pub fn stores(&self) -> &StoresArguments {
        match self {
            Self::Admin(AdminCommand::Schema(SchemaCommand::Apply(stores)))
            | Self::Admin(AdminCommand::Epoch(EpochCommand::Draw(stores))) => stores,
        }
    }
}

/// Never fails: a refusal by clap would repeat the value.
fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(["chat-server"].iter().chain(line))
    }

    fn text(secret: &Option<Secret>) -> Option<&str> {
        secret.as_ref().map(Secret::as_str)
    }

    #[test]
    fn serving_is_what_is_done_without_a_command() {
        let arguments = parsed(&["--messages", "sqlite:a.db", "--listen", "127.0.0.1:0"]);
        let arguments = arguments.expect("good arguments");
        assert!(arguments.command.is_none());
        assert_eq!(text(&arguments.stores.messages), Some("sqlite:a.db"));
        assert_eq!(text(&arguments.stores.users), None);
    }

    #[test]
    fn operators_name_the_stores_that_they_act_on() {
        let line = [
            "admin",
            "schema",
            "apply",
            "--messages",
            "cassandra://a/chat",
        ];
        let command = parsed(&line)
            .expect("good arguments")
            .command
            .expect("a command");
        assert!(matches!(command, Command::Admin(AdminCommand::Schema(_))));
        assert_eq!(text(&command.stores().messages), Some("cassandra://a/chat"));
        assert_eq!(text(&command.stores().users), None);
        let line = [
            "admin",
            "epoch",
            "draw",
            "--messages",
            "sqlite:a",
            "--users",
            "sqlite:b",
        ];
        let command = parsed(&line)
            .expect("good arguments")
            .command
            .expect("a command");
        assert!(matches!(command, Command::Admin(AdminCommand::Epoch(_))));
        assert_eq!(text(&command.stores().messages), Some("sqlite:a"));
        assert_eq!(text(&command.stores().users), Some("sqlite:b"));
    }

    #[test]
    fn what_is_half_said_is_refused() {
        for line in [
            &["admin"][..],
            &["admin", "schema"],
            &["admin", "epoch"],
            &["admin", "schema", "drop"],
            &["serve"],
            &["admin", "epoch", "draw", "--messages"],
            &["admin", "epoch", "draw", "--listen", "127.0.0.1:0"],
            &["--data", "x", "admin", "schema", "apply"],
        ] {
            assert!(parsed(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn urls_are_not_shown() {
        let arguments = parsed(&["--users", "postgres://chat:hunter2@db/chat"]);
        assert!(!format!("{arguments:?}").contains("hunter2"));
    }
}
