//! What the kernel says that a process has used.

use std::fs;
use std::time::Duration;

use crate::error::Error;

/// Clock ticks a second in `/proc/PID/stat`: `USER_HZ`, which Linux fixes at 100 for programs whatever the kernel's own
/// rate is.
const TICKS_PER_SECOND: u64 = 100;

/// Processor time of all threads of a process so far, in user and kernel mode, to 10 ms.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration, Error> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).map_err(Error::io(&path))?;
    let ticks =
        ticks(&stat).ok_or_else(|| Error::Invalid(format!("{path} has no times: {stat}")))?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// Resident memory of a process in bytes.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64, Error> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).map_err(Error::io(&path))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.parse::<u64>().ok());
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| Error::Invalid(format!("{path} has no VmRSS")))
}

/// `utime` + `stime`: the 14th and 15th field, counted behind the command, which may hold spaces and parentheses.
fn ticks(stat: &str) -> Option<u64> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_command() {
        let stat = "77 (a ) b) S 1 77 77 0 -1 4194560 100 0 0 0 31 11 0 0 20 0 1 0 5 0 0";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("77 (a) S 1"), None);
    }

    #[test]
    fn this_process_has_memory_and_time() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).expect("own status is readable") > 100_000);
        cpu_time(pid).expect("own stat is readable");
    }
}
