//! From arguments, environment and file to settings.

use std::collections::HashMap;
use std::ffi::OsString;

use config::{Config, ConfigError, Environment, File, FileFormat};

use super::arguments::{Arguments, StoresArguments};
use super::tree::{Secret, Settings};
use crate::stores::{StoreUrl, StoreUrlError};

/// What the names of all variables begin with.
const PREFIX: &str = "CHAT_";
/// What those begin with that belong to tests.
const TEST_PREFIX: &str = "CHAT_TEST_";

/// Why settings were refused; says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file or a variable has what is no setting, or a value of the wrong kind.
    #[error("settings: {problem}; correct or remove it (all settings: docs/operations.md)")]
    Source {
        /// What is wrong, and where.
        problem: String,
    },
    /// A value cannot work.
    #[error("settings: `{key}` {problem}")]
    Value {
        /// Which.
        key: &'static str,
        /// Why, and what to do.
        problem: String,
    },
}

impl Settings {
    /// The settings of these arguments, these variables, and the file that the arguments name.
    ///
    /// # Errors
    /// For what is no setting and for values that cannot work.
    pub fn load(
        arguments: &Arguments,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, SettingsError> {
        let stores = arguments
            .command
            .as_ref()
            .map_or(&arguments.stores, |command| command.stores());
        let mut sources = Config::builder();
        if let Some(path) = &stores.config {
            sources = sources.add_source(File::from(path.clone()).format(FileFormat::Toml));
        }
        let environment = Environment::with_prefix("CHAT")
            .prefix_separator("_")
            .separator("__")
            .ignore_empty(true);
        let read = sources
            .add_source(environment.source(Some(own(variables)?)))
            .build();
        let settings = read.and_then(Config::try_deserialize);
        let mut settings: Self = settings.map_err(|error| SettingsError::Source {
            problem: problem_of(&error),
        })?;
        settings.listen = arguments.listen.unwrap_or(settings.listen);
        settings.admin_listen = arguments.admin_listen.or(settings.admin_listen);
        if let Some(data) = &arguments.data {
            settings.data.clone_from(data);
        }
        settings.name_stores(stores)?;
        settings.check()?;
        Ok(settings)
    }

    fn name_stores(&mut self, named: &StoresArguments) -> Result<(), SettingsError> {
        let url = |key, named: &Option<Secret>| -> Result<Option<StoreUrl>, SettingsError> {
            let url = named.as_ref().map(|url| url.as_str().parse()).transpose();
            url.map_err(|error: StoreUrlError| SettingsError::Value {
                key,
                problem: error.to_string(),
            })
        };
        let stores = &mut self.stores;
        stores.messages = url("stores.messages", &named.messages)?.or(stores.messages.take());
        stores.users = url("stores.users", &named.users)?.or(stores.users.take());
        Ok(())
    }
}

/// The variables that are settings.
fn own(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<HashMap<String, String>, SettingsError> {
    let mut own = HashMap::new();
    for (name, value) in variables {
        let Some(name) = name.to_str() else { continue };
        if !name.starts_with(PREFIX) || name.starts_with(TEST_PREFIX) {
            continue;
        }
        let value = value.into_string().map_err(|_| SettingsError::Source {
            problem: format!("the variable {name} is not Unicode"),
        })?;
        own.insert(name.to_owned(), value);
    }
    Ok(own)
}

/// In one line, without the value: it may be a secret.
fn problem_of(error: &ConfigError) -> String {
    match error {
        ConfigError::Type {
            origin,
            expected,
            key,
            ..
        } => format!(
            "`{}` in {} should be {expected}",
            key.as_deref().unwrap_or("a setting"),
            origin.as_deref().unwrap_or("the settings"),
        ),
        error => error.to_string().replace('\n', " "),
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
