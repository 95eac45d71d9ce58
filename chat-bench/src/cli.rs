//! What can be asked for on the command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::Builder;

use crate::error::Error;
use crate::figures::Report;
use crate::jwt::Signer;
use crate::load::{GroupArgs, IdleArgs, PairsArgs};
use crate::replay::ReplayArgs;
use crate::server_process::ServerOptions;
use crate::store::StoreArgs;

/// Measures a real chat-server process.
#[derive(Parser, Debug)]
#[command(name = "chat-bench", version)]
pub(crate) struct Cli {
    /// The server's binary; else `chat-server` beside this program.
    #[arg(long, global = true, env = "CHAT_TEST_SERVER")]
    server: Option<PathBuf>,
    /// Tell the result as one line of JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Rates, waits and what they cost.
    #[command(subcommand)]
    Load(Load),
    Replay(ReplayArgs),
    Store(StoreArgs),
}

#[derive(Subcommand, Debug)]
enum Load {
    Pairs(PairsArgs),
    Group(GroupArgs),
    Idle(IdleArgs),
}

impl Cli {
    /// Does what was asked and tells it.
    pub(crate) fn run(self) -> ExitCode {
        // A load's clients share one thread and leave the rest to the server; a replay's are many and real.
        let mut runtime = match &self.command {
            Command::Load(_) => Builder::new_current_thread(),
            Command::Replay(_) | Command::Store(_) => Builder::new_multi_thread(),
        };
        let told = runtime
            .enable_all()
            .build()
            .map_err(Error::io("starting a runtime"))
            .and_then(|runtime| runtime.block_on(self.work()));
        match told {
            Ok(code) => code,
            Err(error) => {
                eprintln!("chat-bench: {error}");
                ExitCode::FAILURE
            }
        }
    }

    async fn work(self) -> Result<ExitCode, Error> {
        let server = |signer: &Signer| ServerOptions::new(self.server.clone(), signer.secret());
        match &self.command {
            Command::Load(Load::Pairs(pairs)) => self.tell(&pairs.run(server).await?),
            Command::Load(Load::Group(group)) => self.tell(&group.run(server).await?),
            Command::Load(Load::Idle(idle)) => self.tell(&idle.run(server).await?),
            Command::Store(store) => Box::pin(store.run(self.json)).await?,
            Command::Replay(replay) => return Box::pin(replay.run(server, self.json)).await,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn tell(&self, report: &Report) {
        if self.json {
            println!("{}", report.to_json());
        } else {
            print!("{}", report.to_text());
        }
    }
}
