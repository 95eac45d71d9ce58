//! The reference server's process: arguments, signals, exit codes. Everything else is in the library.

use std::io::{self, Write};
use std::num::NonZero;
use std::process::ExitCode;

use chat_server::logging;
use chat_server::server::{Addresses, run};
use chat_server::settings::{AdminCommand, Arguments, Command, Settings};
use chat_server::stores::{StoresError, Upkeep, apply_schemas, draw_new_epochs};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Something went wrong on the way.
const FAILED: u8 = 1;
/// The settings cannot be used.
const UNUSABLE_SETTINGS: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let settings = match Settings::load(&arguments, std::env::vars_os()) {
        Ok(settings) => settings,
        Err(error) => return fail(UNUSABLE_SETTINGS, &error.to_string()),
    };
    logging::start(&settings.log);
    if let Some(command) = &arguments.command {
        return act(command, &settings);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers(&settings))
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(FAILED, &format!("the system gives no threads: {error}")),
    };
    let served = runtime.block_on(async {
        let (mut terminate, mut interrupt) = match (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        ) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => {
                return Err(format!("the system lets no signals be awaited: {error}").into());
            }
        };
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        run(settings, announce, shutdown)
            .await
            .map_err(Box::<dyn std::error::Error>::from)
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(FAILED, &error.to_string()),
    }
}

/// Does what an operator asked for, and tells of it.
fn act(command: &Command, settings: &Settings) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(FAILED, &format!("the system gives no threads: {error}")),
    };
    let done = match command {
        Command::Admin(AdminCommand::Schema(_)) => {
            runtime.block_on(apply_schemas(&settings.stores))
        }
        Command::Admin(AdminCommand::Epoch(_)) => {
            runtime.block_on(draw_new_epochs(&settings.stores))
        }
        other => return fail(FAILED, &format!("nobody knows how to do {other:?}")),
    };
    match done {
        Ok(done) => {
            let mut out = io::stdout().lock();
            for Upkeep { store, epoch, .. } in done {
                // Nobody has to read it.
                let _ = match epoch {
                    Some(epoch) => writeln!(out, "{store}: the new epoch is {epoch}"),
                    None => writeln!(out, "{store}: the schema is up to date"),
                };
            }
            ExitCode::SUCCESS
        }
        Err(error @ StoresError::Nothing) => fail(UNUSABLE_SETTINGS, &error.to_string()),
        Err(error) => fail(FAILED, &error.to_string()),
    }
}

/// Tells where the server listens: the real port where the settings left it open.
fn announce(addresses: &Addresses) {
    let mut out = io::stdout().lock();
    // Nobody has to read it.
    let _ = writeln!(out, "listening on http://{}", addresses.public);
    if let Some(admin) = addresses.admin {
        let _ = writeln!(out, "admin on http://{admin}");
    }
    let _ = out.flush();
}

fn fail(code: u8, why: &str) -> ExitCode {
    // Nobody is left to tell if this fails too.
    let _ = writeln!(io::stderr(), "chat-server: {why}");
    ExitCode::from(code)
}

/// One core is left to the writer of a SQLite store, which is busy whenever messages come: sharing it makes both slower.
fn workers(settings: &Settings) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let left = usize::from(settings.keeps_messages_in_a_file());
    cores.saturating_sub(left).max(1)
}
