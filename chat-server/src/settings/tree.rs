//! The settings.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;

use chat_transport_ws::RateSettings;
use serde::{Deserialize, Deserializer};

use crate::stores::StoreUrl;

/// All settings of the server.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// Where users connect; port 0 takes a free one. Put a proxy with TLS before it for the open network.
    pub listen: SocketAddr,
    /// The folder of everything durable that is not in another store; made if it is needed and not there.
    pub data: PathBuf,
    /// Where `/healthz`, `/readyz` and `/metrics` are; nowhere if absent. Not for the open network.
    pub admin_listen: Option<SocketAddr>,
    /// Log lines.
    pub log: LogSettings,
    /// Where everything durable is kept.
    pub stores: StoresSettings,
    /// Connections.
    pub http: HttpSettings,
    /// How often users and addresses may connect, log in and ask.
    pub rates: RatesSettings,
    /// Users and tokens.
    pub auth: AuthSettings,
    /// How the server ends.
    pub stop: StopSettings,
}

/// Log lines.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LogSettings {
    /// From which level on; `RUST_LOG`, if set, goes before it.
    pub level: LogLevel,
    /// As text or JSON.
    pub format: LogFormat,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What somebody must look at.
    Error,
    /// Also what went wrong and healed.
    Warn,
    /// Also beginnings and ends.
    #[default]
    Info,
    /// Also every connection's trouble.
    Debug,
    /// Everything.
    Trace,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Where everything durable is kept; what is absent is in `chat.db` in the data folder.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StoresSettings {
    /// Messages and inboxes.
    pub messages: Option<StoreUrl>,
    /// Users, devices and accounts.
    pub users: Option<StoreUrl>,
}

/// Connections.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HttpSettings {
    /// Origins whose pages may connect besides those of the server's own host: a list, or one text with commas; `*` is
    /// any.
    #[serde(deserialize_with = "list_or_text")]
    pub origins: Vec<String>,
    /// What `GET /v1/connect` answers, as `wss://chat.example.com/v1/ws`; else the host of the request, without TLS.
    pub connect_url: Option<String>,
    /// Connections of the process.
    pub connections_max: usize,
    /// Connections of one address. Behind a proxy on another machine all come from its address: let the proxy count then,
    /// and set this to `connections_max`.
    pub connections_per_address_max: usize,
    /// Whether connections from the same machine count as those of an address; set it where everybody comes from there
    /// by way of no proxy.
    pub counts_loopback: bool,
}

/// How often. Those of addresses hold where connections count as those of an address, see `http.counts_loopback`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RatesSettings {
    /// Operations of a user: frames that ask for something, and requests.
    pub operations_per_user_per_s: NonZeroU32,
    /// Operations of a user at once, after it was quiet.
    pub operations_per_user_burst: NonZeroU32,
    /// Operations from an address.
    pub operations_per_address_per_s: NonZeroU32,
    /// Operations from an address at once, after it was quiet.
    pub operations_per_address_burst: NonZeroU32,
    /// Sessions that a user opens.
    pub connects_per_user_per_minute: NonZeroU32,
    /// Sessions opened from an address.
    pub connects_per_address_per_minute: NonZeroU32,
    /// Times that a user logs in.
    pub log_ins_per_user_per_minute: NonZeroU32,
    /// Log-ins and sign-ups from an address, whether or not they succeed.
    pub log_ins_per_address_per_minute: NonZeroU32,
}

/// Users and tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AuthSettings {
    /// Whether `POST /v1/users` is open.
    pub sign_up: bool,
    /// Passwords hashed at once, each with 19 MiB and one core.
    pub password_hashes_max: usize,
    /// The host's own tokens.
    pub jwt: JwtSettings,
}

/// The host's own tokens, accepted beside the server's. With a key set, every well-formed user id exists.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct JwtSettings {
    /// Shared secret of HS256 tokens, best of 32 random bytes or more.
    pub hs256_secret: Option<Secret>,
    /// File with public keys (a JWK set) of RS256, ES256 and EdDSA tokens.
    pub jwks_file: Option<PathBuf>,
    /// Seconds by which the clocks may differ: 0 to 5.
    pub leeway_s: u64,
    /// The `iss` that tokens must have.
    pub issuer: Option<String>,
    /// The `aud` that tokens must have.
    pub audience: Option<String>,
}

/// How the server ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StopSettings {
    /// Seconds over which clients are sent away and asked to come back: 0 to 8, so that all is done within 15.
    pub drain_s: u64,
}

/// A text that must not reach a log.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Settings {
    /// Whether messages are kept in a file of this machine, whose writer is a thread of this process.
    pub fn keeps_messages_in_a_file(&self) -> bool {
        matches!(self.stores.messages, None | Some(StoreUrl::Sqlite(_)))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            data: PathBuf::from("./chat-data"),
            admin_listen: None,
            log: LogSettings::default(),
            stores: StoresSettings::default(),
            http: HttpSettings::default(),
            rates: RatesSettings::default(),
            auth: AuthSettings::default(),
            stop: StopSettings::default(),
        }
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            connect_url: None,
            connections_max: 100_000,
            connections_per_address_max: 100,
            counts_loopback: false,
        }
    }
}

impl Default for RatesSettings {
    fn default() -> Self {
        let usual = RateSettings::default();
        Self {
            operations_per_user_per_s: usual.operations_per_user_per_s,
            operations_per_user_burst: usual.operations_per_user_burst,
            operations_per_address_per_s: usual.operations_per_address_per_s,
            operations_per_address_burst: usual.operations_per_address_burst,
            connects_per_user_per_minute: usual.connects_per_user_per_minute,
            connects_per_address_per_minute: usual.connects_per_address_per_minute,
            log_ins_per_user_per_minute: usual.log_ins_per_user_per_minute,
            log_ins_per_address_per_minute: usual.log_ins_per_address_per_minute,
        }
    }
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            sign_up: true,
            password_hashes_max: 2,
            jwt: JwtSettings::default(),
        }
    }
}

impl Default for StopSettings {
    fn default() -> Self {
        Self { drain_s: 5 }
    }
}

impl LogLevel {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl JwtSettings {
    /// Whether any such token is accepted.
    pub fn is_on(&self) -> bool {
        self.hs256_secret.is_some() || self.jwks_file.is_some()
    }
}

impl Secret {
    /// A secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// Its text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A variable can only hold text.
fn list_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum ListOrText {
        List(Vec<String>),
        Text(String),
    }
    Ok(match ListOrText::deserialize(deserializer)? {
        ListOrText::List(list) => list,
        ListOrText::Text(text) => text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}
