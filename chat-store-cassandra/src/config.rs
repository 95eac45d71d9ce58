//! What can be set.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Entries in one partition of a log. Part of the schema: a store with another number would look for entries where they
/// are not. A bucket with bodies of the usual size then has some megabytes, well below what a partition should have.
pub const BUCKET_ENTRIES: u32 = 4096;
/// The version of the schema that this program reads and writes.
pub const SCHEMA_VERSION: i32 = 1;
/// Bytes of a body up to which it is in the row of its entry.
pub(crate) const INLINE_BODY_BYTES_MAX: usize = 32 * 1024;
/// Bytes of one conditional batch, unless a single record, or a channel's first two, has more.
pub(crate) const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Conditional batches in flight of one process. More only queue inside of Cassandra, where they time out.
pub(crate) const BATCHES_IN_FLIGHT_MAX: usize = 64;
/// Reads in flight for one call.
pub(crate) const READS_IN_FLIGHT_MAX: usize = 16;
/// Rows of a log read at once; with bodies in the row that is 4 MiB at the most.
pub(crate) const CHUNK_ROWS: usize = 128;
/// Rows read at once where a log is searched for a few messages.
pub(crate) const CHUNK_ROWS_MIN: usize = 16;
/// Rows of inboxes, marks and notes written at once for one call.
pub(crate) const INBOX_WRITES_IN_FLIGHT_MAX: usize = 32;
/// Rows of an inbox read at once to find its order.
pub(crate) const INBOX_PAGE_ROWS: i32 = 2000;
/// Unread messages of one channel that name a user are counted up to here.
pub(crate) const MENTIONS_COUNTED_MAX: i32 = 10_000;
/// Bytes of text of a newest message that is read from a log: whoever shows it cuts it further.
pub(crate) const SHOWN_BYTES_MAX: usize = 16 * 1024;
/// Longer than what a server waits at the most, so that its answer, not our silence, tells what happened.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(12);
/// For the first connection, and for each node that is asked about itself.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const PORT: u16 = 9042;
const FORM: &str =
    "cassandra://HOST[:PORT][,HOST[:PORT]]/KEYSPACE[?dc=NAME&allow_single_node=true]";

/// Where the cluster is and which keyspace to use.
///
/// ```
/// use chat_store_cassandra::Config;
///
/// let config: Config = "cassandra://10.0.0.1,10.0.0.2:9142/chat?dc=north".parse()?;
/// assert_eq!(config.contact_points, ["10.0.0.1:9042", "10.0.0.2:9142"]);
/// assert_eq!((config.keyspace.as_str(), config.datacenter.as_deref()), ("chat", Some("north")));
/// # Ok::<(), chat_store_cassandra::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Nodes to ask first, as `host:port`; the others are learned from them.
    pub contact_points: Vec<String>,
    /// The keyspace.
    pub keyspace: String,
    /// The data centre whose nodes answer; none: that of the first node which answers.
    pub datacenter: Option<String>,
    /// Takes a keyspace with fewer than three copies. Such a store loses what was acknowledged with its disk.
    pub allow_single_node: bool,
    /// User and password, where the cluster asks for them.
    pub login: Option<(String, String)>,
    /// Entries in one partition; for tests, which cannot wait for thousands.
    #[doc(hidden)]
    pub bucket_entries: u32,
}

impl Config {
    /// The keyspace of the cluster that these nodes are of.
    pub fn new(
        contact_points: impl IntoIterator<Item = impl Into<String>>,
        keyspace: impl Into<String>,
    ) -> Self {
        Self {
            contact_points: contact_points.into_iter().map(Into::into).collect(),
            keyspace: keyspace.into(),
            datacenter: None,
            allow_single_node: false,
            login: None,
            bucket_entries: BUCKET_ENTRIES,
        }
    }
}

/// As derived, without the password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("contact_points", &self.contact_points)
            .field("keyspace", &self.keyspace)
            .field("datacenter", &self.datacenter)
            .field("allow_single_node", &self.allow_single_node)
            .field("login", &self.login.as_ref().map(|(user, _)| user))
            .field("bucket_entries", &self.bucket_entries)
            .finish()
    }
}

/// Why a URL is none of a Cassandra store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; write {FORM}")]
pub struct ConfigError {
    what: String,
}

fn wrong(what: impl Into<String>) -> ConfigError {
    ConfigError { what: what.into() }
}

impl FromStr for Config {
    type Err = ConfigError;

    fn from_str(url: &str) -> Result<Self, ConfigError> {
        let rest = url
            .strip_prefix("cassandra://")
            .ok_or_else(|| wrong("the URL does not begin with cassandra://"))?;
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, keyspace) = rest
            .split_once('/')
            .ok_or_else(|| wrong("the URL names no keyspace"))?;
        let (login, hosts) = match hosts.rsplit_once('@') {
            Some((login, hosts)) => (Some(parse_login(login)?), hosts),
            None => (None, hosts),
        };
        let points: Result<Vec<String>, ConfigError> =
            hosts.split(',').map(contact_point).collect();
        let mut config = Self::new(points?, checked_keyspace(keyspace)?);
        config.login = login;
        for option in options.split('&').filter(|option| !option.is_empty()) {
            config.set(option)?;
        }
        Ok(config)
    }
}

impl Config {
    fn set(&mut self, option: &str) -> Result<(), ConfigError> {
        match option.split_once('=') {
            Some(("dc", "")) => return Err(wrong("`dc` is empty")),
            Some(("dc", name)) => self.datacenter = Some(decoded(name)?),
            Some(("allow_single_node", "true")) => self.allow_single_node = true,
            Some(("allow_single_node", "false")) => self.allow_single_node = false,
            Some(("allow_single_node", _)) => {
                return Err(wrong("`allow_single_node` is true or false"));
            }
            Some(_) | None => {
                return Err(wrong(format!("there is no such option as `{option}`")));
            }
        }
        Ok(())
    }
}

fn contact_point(text: &str) -> Result<String, ConfigError> {
    let bare_ipv6 = text.starts_with('[') && text.ends_with(']');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !bare_ipv6 => {
            let port = port.parse::<u16>().ok().filter(|port| *port > 0);
            let port = port.ok_or_else(|| wrong(format!("`{text}` has no good port")))?;
            (host, port)
        }
        Some(_) | None => (text, PORT),
    };
    if host.is_empty() {
        return Err(wrong("a host is empty"));
    }
    Ok(format!("{host}:{port}"))
}

/// Names that need no quotes: they stand in statements that make the keyspace, where nothing can be bound.
fn checked_keyspace(name: &str) -> Result<&str, ConfigError> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase());
    if !begins || name.len() > 48 || !name.bytes().all(good) {
        return Err(wrong(format!(
            "`{name}` is no keyspace: 1 to 48 of a-z, 0-9 and _, a letter first"
        )));
    }
    Ok(name)
}

/// As [`FromStr`] checks it, for configurations that were made otherwise.
pub(crate) fn check_keyspace(config: &Config) -> Result<(), ConfigError> {
    checked_keyspace(&config.keyspace).map(drop)
}

fn parse_login(text: &str) -> Result<(String, String), ConfigError> {
    let (user, password) = text
        .split_once(':')
        .ok_or_else(|| wrong("the login has no password"))?;
    Ok((decoded(user)?, decoded(password)?))
}

/// Percent-decoding, for names with characters that mean something in a URL.
fn decoded(text: &str) -> Result<String, ConfigError> {
    let bad = || wrong("a `%` is not followed by the two digits of a byte of UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = char::from(rest.next()?).to_digit(16)?;
            u8::try_from(digit).ok()
        };
        let (high, low) = (digit().ok_or_else(bad)?, digit().ok_or_else(bad)?);
        bytes.push(high << 4 | low);
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_with_everything_in_it() -> Result<(), ConfigError> {
        let url = "cassandra://u%3A:p%40@a,[::1]:1,[::2]/k_1?dc=dc%201&allow_single_node=true";
        let config: Config = url.parse()?;
        assert_eq!(config.contact_points, ["a:9042", "[::1]:1", "[::2]:9042"]);
        assert_eq!(config.keyspace, "k_1");
        assert_eq!(config.datacenter.as_deref(), Some("dc 1"));
        assert_eq!(config.login, Some(("u:".into(), "p@".into())));
        assert!(config.allow_single_node);
        assert!(!format!("{config:?}").contains("p@"));
        Ok(())
    }

    #[test]
    fn a_wrong_url_says_what_is_wrong() {
        for (url, what) in [
            ("postgres://a/b", "does not begin with"),
            ("cassandra://a", "no keyspace"),
            ("cassandra://a/", "is no keyspace"),
            ("cassandra://a/Chat", "is no keyspace"),
            ("cassandra:///chat", "a host is empty"),
            ("cassandra://a:0/chat", "no good port"),
            ("cassandra://a:b/chat", "no good port"),
            ("cassandra://a/chat?dc=", "`dc` is empty"),
            ("cassandra://a/chat?allow_single_node=yes", "true or false"),
            ("cassandra://a/chat?rf=3", "no such option"),
            ("cassandra://u@a/chat", "no password"),
            ("cassandra://u:%zz@a/chat", "two digits"),
        ] {
            let error = url.parse::<Config>().expect_err(url).to_string();
            assert!(
                error.contains(what) && error.contains(FORM),
                "{url}: {error}"
            );
        }
    }
}
