//! Logs of conversations, as files hold them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde::Deserialize;

use crate::error::Error;

/// How the names of log files end.
const SUFFIX: &str = ".jsonl.gz";

/// One log.
pub(crate) struct Log {
    /// Its file without the suffix.
    pub(crate) name: String,
    pub(crate) lines: Vec<Line>,
}

/// What happened, in the order in which it happened.
#[derive(Deserialize)]
pub(crate) struct Line {
    /// The minute, where the log has it.
    pub(crate) t: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) from: Option<String>,
    pub(crate) text: String,
    pub(crate) line: usize,
    #[serde(default)]
    pub(crate) replies_to: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Message,
    Action,
    Join,
    Part,
    Quit,
    Nick,
    System,
}

/// The log files of a folder by name, at most `files_max` of them spread evenly; empty where there are none.
pub(crate) fn files(folder: &Path, files_max: Option<usize>) -> Result<Vec<PathBuf>, Error> {
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(absent) if absent.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(Error::Io {
                what: folder.display().to_string(),
                source,
            });
        }
    };
    let mut files = Vec::new();
    for file in listed {
        let path = file
            .map_err(Error::io(folder.display().to_string()))?
            .path();
        if path.to_string_lossy().ends_with(SUFFIX) {
            files.push(path);
        }
    }
    files.sort();
    let count = files_max.unwrap_or(files.len()).min(files.len());
    let spread = (0..count).map(|at| files[at * files.len() / count].clone());
    Ok(spread.collect())
}

/// Reads one log.
pub(crate) fn read(path: &Path) -> Result<Log, Error> {
    let shown = path.display().to_string();
    let file = File::open(path).map_err(Error::io(&shown))?;
    let mut lines = Vec::new();
    for text in BufReader::new(GzDecoder::new(file)).lines() {
        let text = text.map_err(Error::io(&shown))?;
        let line = serde_json::from_str(&text)
            .map_err(|error| Error::Invalid(format!("{shown}, line {}: {error}", lines.len())))?;
        lines.push(line);
    }
    let name = path
        .file_name()
        .map_or_else(|| shown.clone(), |name| name.to_string_lossy().into_owned());
    let name = name.strip_suffix(SUFFIX).unwrap_or(&name).to_owned();
    Ok(Log { name, lines })
}
