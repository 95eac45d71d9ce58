//! The power goes: a real file system on a loop device is shut down with nothing flushed. What was acknowledged is there,
//! and the same test finds losses when the store does not wait for the disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::appender::{Acknowledged, Appender, lost};
use chat_testkit::Skip;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

const ROUNDS: u32 = 20;
/// Rounds within which a store that does not wait for the disk must have lost something.
const UNSAFE_ROUNDS: u32 = 5;
/// Draws the moments of the losses.
const SEED: u64 = 11;
const DISK_BYTES: u64 = 64 * 1024 * 1024;

/// `ioctl(FS_IOC_SHUTDOWN, FS_SHUTDOWN_FLAGS_NOLOGFLUSH)` on the folder: the file system stops with what is on the disk.
const SHUT_DOWN: &str = "import fcntl,os,struct,sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

#[test]
fn acknowledged_survives_power_loss() {
    let Some(disk) = Disk::new() else { return };
    let mut moments = StdRng::seed_from_u64(SEED);
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        let lost = lose_power(&disk, &mut moments, true, &mut acknowledged);
        assert_eq!(
            lost,
            0,
            "round {round} of seed {SEED}, of {} acknowledged",
            acknowledged.len()
        );
    }
}

#[test]
fn without_waiting_for_the_disk_acknowledged_is_lost() {
    let Some(disk) = Disk::new() else { return };
    let mut moments = StdRng::seed_from_u64(SEED);
    let mut acknowledged = BTreeSet::new();
    let lost = (0..UNSAFE_ROUNDS)
        .map(|_| lose_power(&disk, &mut moments, false, &mut acknowledged))
        .find(|lost| *lost > 0);
    assert!(
        lost.is_some(),
        "this test must notice a store that does not sync"
    );
}

/// One process and one loss; how much of what was ever acknowledged is gone.
fn lose_power(
    disk: &Disk,
    moments: &mut StdRng,
    synced: bool,
    acknowledged: &mut BTreeSet<Acknowledged>,
) -> usize {
    let child = Appender::start(&disk.mounted, &[], synced);
    acknowledged.extend(child.acknowledged(moments.random_range(1..200)));
    // Up to here the power was there. What a process hears of a file system that is shutting down proves nothing: a
    // sync under way may be told that all is well when the journal has given up already.
    disk.shut_down();
    child.kill();
    disk.mount_again();
    lost(&disk.mounted, acknowledged)
}

/// A file system of its own in a file. Unmounted when dropped, whatever happened.
struct Disk {
    folder: TempDir,
    mounted: PathBuf,
}

impl Disk {
    /// A fresh one, or a loud skip where the machine does not let us.
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mounted = folder.path().join("mounted");
        std::fs::create_dir(&mounted).expect("a folder to mount on");
        let disk = Self { folder, mounted };
        let image = std::fs::File::create(disk.image()).expect("a file for the disk");
        image.set_len(DISK_BYTES).expect("a sparse file");
        let made = run(
            "mkfs.ext4",
            &["-q".as_ref(), "-F".as_ref(), disk.image().as_ref()],
        );
        if made && disk.mount() {
            return Some(disk);
        }
        Skip("power-loss").announce();
        None
    }

    fn mount(&self) -> bool {
        run(
            "mount",
            &[
                "-o".as_ref(),
                "loop".as_ref(),
                self.image().as_ref(),
                self.mounted.as_ref(),
            ],
        )
    }

    fn shut_down(&self) {
        let shut_down = run(
            "python3",
            &["-c".as_ref(), SHUT_DOWN.as_ref(), self.mounted.as_ref()],
        );
        assert!(shut_down, "the file system shuts down");
    }

    fn mount_again(&self) {
        assert!(
            run("umount", &[&self.mounted]),
            "nobody uses the disk any more"
        );
        assert!(self.mount(), "the journal replays");
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("disk.ext4")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Also where a failed test left it in use; there is nothing to do about it where it is not mounted.
        run("umount", &["--lazy".as_ref(), self.mounted.as_ref()]);
    }
}

fn run(program: &str, arguments: &[&Path]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
