//! A part of a core for a process, by the kernel's own means.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

const GROUPS: &str = "/sys/fs/cgroup";

/// In microseconds: short, so that nothing waits for long.
const PERIOD: u32 = 20_000;

/// A control group whose processes have so much processor time and no more. Goes when it is dropped, if its processes have
/// ended by then.
pub(crate) struct Quota(PathBuf);

impl Quota {
    /// A group with that many hundredths of a core. Of version 2 where that rules processor time, or else of version 1.
    ///
    /// # Errors
    /// Nobody may make groups here: it takes root, and a file system of groups that can be written.
    pub(crate) fn percent(percent: u32) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bench-{}-{number}", std::process::id());
        let quota = PERIOD * percent / 100;
        let rules = fs::read_to_string(Path::new(GROUPS).join("cgroup.subtree_control"));
        if rules.is_ok_and(|rules| rules.split_whitespace().any(|it| it == "cpu")) {
            let group = Self(Path::new(GROUPS).join(name));
            fs::create_dir(&group.0)?;
            fs::write(group.0.join("cpu.max"), format!("{quota} {PERIOD}"))?;
            return Ok(group);
        }
        let group = Self(Path::new(GROUPS).join("cpu").join(name));
        fs::create_dir(&group.0)?;
        fs::write(group.0.join("cpu.cfs_period_us"), PERIOD.to_string())?;
        fs::write(group.0.join("cpu.cfs_quota_us"), quota.to_string())?;
        Ok(group)
    }

    /// Takes a process in, with all its threads.
    pub(crate) fn hold(&self, pid: u32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).expect("a process can be held");
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // It stays, empty and harmless, when a process has not ended.
        let _ = fs::remove_dir(&self.0);
    }
}
