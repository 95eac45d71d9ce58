//! Log lines, on standard error.

use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, LogSettings};

/// The variable whose filter goes before the setting.
const FILTER_VARIABLE: &str = "RUST_LOG";

/// Begins to write log lines. `RUST_LOG`, if set, goes before the settings.
pub fn start(settings: &LogSettings) {
    let level = || EnvFilter::new(settings.level.as_str());
    let filter = match std::env::var(FILTER_VARIABLE) {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(filter).unwrap_or_else(|_| level()),
        Ok(_) | Err(_) => level(),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // Fails only where a host has begun to log already, and then its way stands.
    let _ = match settings.format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
}
