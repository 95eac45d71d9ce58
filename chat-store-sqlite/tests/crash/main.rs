//! The store in processes that die, on disks that fail: what was acknowledged is found again.
//!
//! | module | what happens |
//! |---|---|
//! | `kill` | the process is killed, at any moment |
//! | `power_loss` | the file system stops with what is on the disk |
//! | `faults` | a sync fails, the disk is full |
//! | `appender` | the process that appends, and the check of what it leaves |

mod appender;
mod faults;
mod kill;
mod power_loss;

/// The process that the tests start; nothing in a usual run.
#[test]
fn append_if_started_to() {
    appender::append_if_child();
}
