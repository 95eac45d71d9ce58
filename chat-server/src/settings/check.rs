//! Values that cannot work.

use super::load::SettingsError;
use super::tree::{JwtSettings, Settings};
use crate::stores::{refusal_of_messages, refusal_of_users};

/// Below this a shared secret can be guessed from one token.
const SECRET_BYTES_MIN: usize = 8;
/// What HS256 asks for; less is accepted with a warning.
const SECRET_BYTES_ADVISED: usize = 32;
const LEEWAY_S_MAX: u64 = 5;
const DRAIN_S_MAX: u64 = 8;
const PASSWORD_HASHES_MAX: usize = 64;

impl Settings {
    /// Checks what the type of a setting does not.
    ///
    /// # Errors
    /// For the first value that cannot work, with what to do.
    pub fn check(&self) -> Result<(), SettingsError> {
        let refuse = |key, problem: String| Err(SettingsError::Value { key, problem });
        if self.admin_listen == Some(self.listen) && self.listen.port() != 0 {
            return refuse(
                "admin_listen",
                "is the address of `listen`; give it another port".to_owned(),
            );
        }
        for origin in &self.http.origins {
            let is_origin = origin.split_once("://").is_some_and(|(scheme, host)| {
                !scheme.is_empty() && !host.is_empty() && !host.contains('/')
            });
            if origin != "*" && !is_origin {
                let problem = format!(
                    "has {origin:?}; write each origin as `https://app.example.com`, without a path"
                );
                return refuse("http.origins", problem);
            }
        }
        if let Some(url) = &self.http.connect_url
            && !(url.starts_with("ws://") || url.starts_with("wss://"))
        {
            return refuse(
                "http.connect_url",
                format!("is {url:?}; write `wss://chat.example.com/v1/ws`"),
            );
        }
        let refused_messages = self.stores.messages.as_ref().and_then(refusal_of_messages);
        if let Some(why) = refused_messages {
            return refuse("stores.messages", why);
        }
        if let Some(why) = self.stores.users.as_ref().and_then(refusal_of_users) {
            return refuse("stores.users", why);
        }
        if self.http.connections_max == 0 {
            return refuse(
                "http.connections_max",
                "is 0; nobody could connect".to_owned(),
            );
        }
        if self.http.connections_per_address_max == 0 {
            return refuse(
                "http.connections_per_address_max",
                "is 0; nobody could connect".to_owned(),
            );
        }
        if !(1..=PASSWORD_HASHES_MAX).contains(&self.auth.password_hashes_max) {
            return refuse(
                "auth.password_hashes_max",
                format!("must be between 1 and {PASSWORD_HASHES_MAX}"),
            );
        }
        if self.stop.drain_s > DRAIN_S_MAX {
            return refuse("stop.drain_s", format!("must be at most {DRAIN_S_MAX}"));
        }
        self.auth.jwt.check()
    }
}

impl JwtSettings {
    /// Whether the shared secret is shorter than HS256 asks for.
    pub(crate) fn is_weak(&self) -> bool {
        self.hs256_secret
            .as_ref()
            .is_some_and(|secret| secret.as_bytes().len() < SECRET_BYTES_ADVISED)
    }

    fn check(&self) -> Result<(), SettingsError> {
        let refuse = |key, problem: String| Err(SettingsError::Value { key, problem });
        if self
            .hs256_secret
            .as_ref()
            .is_some_and(|secret| secret.as_bytes().len() < SECRET_BYTES_MIN)
        {
            let problem = format!(
                "is shorter than {SECRET_BYTES_MIN} bytes and could be guessed; draw one with `openssl rand -base64 32`"
            );
            return refuse("auth.jwt.hs256_secret", problem);
        }
        if self.leeway_s > LEEWAY_S_MAX {
            return refuse(
                "auth.jwt.leeway_s",
                format!("must be at most {LEEWAY_S_MAX}; set the clocks instead"),
            );
        }
        if !self.is_on() && (self.issuer.is_some() || self.audience.is_some()) {
            let problem = "has no key to check tokens with; set `auth.jwt.hs256_secret` or `auth.jwt.jwks_file`";
            return refuse("auth.jwt", problem.to_owned());
        }
        Ok(())
    }
}
