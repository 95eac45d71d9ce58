//! Where a store is, as people write it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use crate::settings::Secret;

const SQLITE_FORM: &str = "sqlite:PATH";
const POSTGRES_FORM: &str = "postgres://USER:PASSWORD@HOST/DATABASE";
const CASSANDRA_FORM: &str = "cassandra://HOST[,HOST]/KEYSPACE?dc=DATACENTER";

/// A store, as a setting names it.
///
/// Shown without login and options, which may hold passwords:
/// ```
/// use chat_server::stores::StoreUrl;
///
/// let url: StoreUrl = "postgres://chat:secret@db.example.com:5433/chat?sslmode=verify-full".parse()?;
/// assert_eq!(url.to_string(), "postgres://db.example.com:5433/chat");
/// # Ok::<(), chat_server::stores::StoreUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreUrl {
    /// `sqlite:PATH`: a file on a disk of this machine.
    Sqlite(PathBuf),
    /// `postgres://…`: a database that servers share.
    Postgres(NetworkUrl),
    /// `cassandra://…`: a keyspace that servers share.
    Cassandra(NetworkUrl),
}

/// A store that is reached over the network. Of a sound form, and not yet understood.
#[derive(Clone, PartialEq, Eq)]
pub struct NetworkUrl {
    whole: Secret,
    shown: String,
}

/// Why a text names no store. Never holds the text: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; write {form}")]
pub struct StoreUrlError {
    problem: &'static str,
    form: String,
}

impl StoreUrl {
    /// The store in this file.
    pub(crate) fn file(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        // Two names of one file are one store. Where the system does not tell the folder that we are in, they stay two,
        // and the second one finds the file in use.
        Self::Sqlite(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
    }
}

impl NetworkUrl {
    /// With login and options.
    pub(crate) fn whole(&self) -> &str {
        self.whole.as_str()
    }

    fn parse(url: &str, form: &'static str) -> Result<Self, StoreUrlError> {
        let refuse = |problem| Err(StoreUrlError::new(problem, form));
        let Some((scheme, rest)) = url.split_once("://") else {
            return refuse("has no `//` behind its scheme");
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at(end);
        // What is shown would hold a part of the password.
        if behind.contains('@') || authority.matches('@').count() > 1 {
            return refuse(
                "has a character that must be written as %40 (@), %2F (/), %3F (?) or %23 (#)",
            );
        }
        let hosts = authority
            .rsplit_once('@')
            .map_or(authority, |(_, hosts)| hosts);
        let path = behind.split(['?', '#']).next().unwrap_or_default();
        if path.trim_matches('/').is_empty() {
            return refuse("names nothing behind the host");
        }
        Ok(Self {
            whole: Secret::new(url),
            shown: format!("{scheme}://{hosts}{path}"),
        })
    }
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(url: &str) -> Result<Self, StoreUrlError> {
        let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
        match scheme {
            "sqlite" => {
                let path = url.trim_start_matches("sqlite:");
                let path = path.strip_prefix("//").unwrap_or(path);
                if path.is_empty() || path.ends_with('/') {
                    return Err(StoreUrlError::new("names no file", SQLITE_FORM));
                }
                if path.starts_with(':') {
                    let problem =
                        "names no file on a disk, so that nothing would outlive the server";
                    return Err(StoreUrlError::new(problem, SQLITE_FORM));
                }
                Ok(Self::file(path))
            }
            "postgres" | "postgresql" => NetworkUrl::parse(url, POSTGRES_FORM).map(Self::Postgres),
            "cassandra" => {
                let url = NetworkUrl::parse(url, CASSANDRA_FORM)?;
                if url.shown.starts_with("cassandra:///") {
                    return Err(StoreUrlError::new("names no host", CASSANDRA_FORM));
                }
                Ok(Self::Cassandra(url))
            }
            _ => {
                let form = format!("{SQLITE_FORM}, {POSTGRES_FORM} or {CASSANDRA_FORM}");
                let problem = "is of no known kind of store";
                Err(StoreUrlError { problem, form })
            }
        }
    }
}

impl StoreUrlError {
    fn new(problem: &'static str, form: &str) -> Self {
        Self {
            problem,
            form: form.to_owned(),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) | Self::Cassandra(url) => f.write_str(&url.shown),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for NetworkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl<'de> Deserialize<'de> for StoreUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let url = String::deserialize(deserializer)?;
        url.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> StoreUrl {
        url.parse().expect(url)
    }

    #[test]
    fn every_kind_is_told_by_its_scheme() {
        for url in ["sqlite:/var/lib/chat.db", "sqlite:///var/lib/chat.db"] {
            assert_eq!(parsed(url), StoreUrl::Sqlite("/var/lib/chat.db".into()));
        }
        assert_eq!(parsed("sqlite:chat.db"), parsed("sqlite:./chat.db"));
        for url in [
            "postgres://chat@db/chat",
            "postgresql://db:5433/chat",
            "postgres:///chat?host=/run/postgresql",
        ] {
            assert!(matches!(parsed(url), StoreUrl::Postgres(_)), "{url}");
        }
        let cassandra = parsed("cassandra://10.0.0.1,10.0.0.2:9142/chat?dc=north");
        assert!(matches!(cassandra, StoreUrl::Cassandra(_)));
        assert_eq!(
            cassandra.to_string(),
            "cassandra://10.0.0.1,10.0.0.2:9142/chat"
        );
    }

    #[test]
    fn passwords_are_never_shown() {
        for url in [
            "postgres://chat:hunter2@db/chat",
            "postgres://hunter2@db/chat",
            "postgres://db/chat?password=hunter2",
            "postgres:///chat?host=/run/postgresql&password=hunter2",
            "cassandra://chat:hunter2@a,b/chat?dc=hunter2",
        ] {
            let url = parsed(url);
            let shown = format!("{url} {url:?}");
            assert!(
                shown.contains("/chat") && !shown.contains("hunter2"),
                "{shown}"
            );
        }
    }

    #[test]
    fn what_names_no_store_is_refused_without_being_repeated() {
        for (url, why) in [
            ("", "no known kind"),
            ("hunter2", "no known kind"),
            ("mysql://chat:hunter2@db/chat", "no known kind"),
            ("sqlite:", "no file"),
            ("sqlite://", "no file"),
            ("sqlite:/var/lib/", "no file"),
            ("sqlite::memory:", "no file on a disk"),
            ("postgres:chat:hunter2", "no `//`"),
            ("postgres://chat:hunter2@db", "nothing behind the host"),
            ("postgres://chat:hunter2@db/?a=b", "nothing behind the host"),
            ("postgres://chat:hunter2/x@db/chat", "%2F"),
            ("postgres://chat:hunter2?x@db/chat", "%3F"),
            ("postgres://chat:hunter2@x@db/chat", "%40"),
            ("postgres://db/chat?password=x@hunter2", "%40"),
            ("cassandra:///chat?dc=hunter2", "no host"),
            ("cassandra://a", "nothing behind the host"),
        ] {
            let error = url.parse::<StoreUrl>().expect_err(url).to_string();
            assert!(error.contains(why), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
