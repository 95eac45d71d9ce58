//! The disk fails or is full, as far as the system calls tell: errors, never a false acknowledgement, and a store that
//! says so.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::appender::{Appender, Said, acknowledgements, lost};
use chat_testkit::Skip;

/// Syncs of the writing thread before the one that fails: enough for the store to be made and some appends.
const SYNCS_BEFORE: u32 = 60;
/// Writes of the writing thread before the one that finds the disk full.
const WRITES_BEFORE: u32 = 400;

#[test]
fn after_a_failed_sync_nothing_is_acknowledged() {
    // One failure only: a second sync of the same file would succeed, and prove nothing about what the first one lost.
    let inject = format!("inject=fsync,fdatasync:error=EIO:when={SYNCS_BEFORE}");
    let Some((said, lost)) = with_faults("trace=fsync,fdatasync", &inject) else {
        return;
    };
    let unknown = |said: &Said| {
        matches!(
            said,
            Said::Failed {
                storage: true,
                safe: false
            }
        )
    };
    assert!(
        said.iter().any(unknown),
        "the commit whose sync failed is unknown: {said:?}"
    );
    let refused = |said: &Said| {
        matches!(
            said,
            Said::Failed {
                storage: true,
                safe: true
            }
        )
    };
    assert!(said.iter().any(refused), "later writes are refused");
    assert!(
        said.iter().any(|said| matches!(said, Said::Refusing)),
        "the store says so"
    );
    assert!(
        !said.iter().any(|said| matches!(said, Said::Recovered)),
        "and does not come back"
    );
    assert_eq!(lost, 0);
}

#[test]
fn a_full_disk_fails_writes_until_there_is_space() {
    let (first, last) = (WRITES_BEFORE, WRITES_BEFORE + 1);
    let inject = format!("inject=pwrite64:error=ENOSPC:when={first}..{last}");
    let Some((said, lost)) = with_faults("trace=pwrite64", &inject) else {
        return;
    };
    let failed = said.iter().filter_map(|said| match said {
        Said::Failed { storage, safe } => Some((*storage, *safe)),
        Said::Acknowledged(_) | Said::Refusing | Said::Recovered => None,
    });
    let failed: BTreeSet<(bool, bool)> = failed.collect();
    assert_eq!(
        failed,
        BTreeSet::from([(true, true)]),
        "surely not applied: the disk is full"
    );
    assert!(
        said.iter().any(|said| matches!(said, Said::Refusing)),
        "the store says so"
    );
    assert!(
        said.iter().any(|said| matches!(said, Said::Recovered)),
        "and goes on by itself"
    );
    assert_eq!(lost, 0);
}

/// What a process says whose system calls fail, and how much of what it acknowledged is gone; nothing where that cannot
/// be tried here.
fn with_faults(trace: &str, inject: &str) -> Option<(Vec<Said>, usize)> {
    let mut probe = Command::new("strace");
    probe
        .args(["-f", "-qq", "-o", "/dev/null", "true"])
        .stdin(Stdio::null());
    if !probe
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        Skip("strace").announce();
        return None;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let wrapper = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        trace,
        "-e",
        inject,
    ];
    let said = Appender::start(folder.path(), &wrapper, true).finished();
    let acknowledged: BTreeSet<_> = acknowledgements(&said).collect();
    assert!(
        !acknowledged.is_empty(),
        "some appends succeed before the fault"
    );
    Some((said, lost(folder.path(), &acknowledged)))
}
