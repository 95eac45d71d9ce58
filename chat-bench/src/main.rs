//! Measures a real `chat-server` process: replay of real conversations, load; and stores on their own.
//!
//! ```text
//! cargo build --release -p chat-server -p chat-bench
//! target/release/chat-bench load pairs --pairs 200 --seconds 10
//! target/release/chat-bench load group --members 100 --rate 50
//! target/release/chat-bench load group --members 100 --saturate
//! target/release/chat-bench load idle --connections 15000 --seconds 60
//! target/release/chat-bench replay PATH/TO/LOGS --mode concurrent
//! target/release/chat-bench replay PATH/TO/LOGS --messages 'postgres://USER@HOST/{run}' --users 'postgres://USER@HOST/{run}'
//! target/release/chat-bench store 'sqlite:/var/tmp/{run}.db' 'postgres://USER@HOST/{run}'
//! ```

mod cli;
mod cpu;
mod error;
mod figures;
mod http;
mod jwt;
mod load;
mod places;
mod replay;
mod server_process;
mod socket;
mod store;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::Cli::parse().run()
}
