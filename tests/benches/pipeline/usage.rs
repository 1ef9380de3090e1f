//! What a process costs, from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// The machine, the time and its load, so that figures can be judged.
pub(crate) fn print_machine() {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{cores} cores of {model}; {}", jiff::Timestamp::now());
    println!("load before: {}", load());
    match std::env::var("DEV_KAFKA_JVM") {
        Ok(options) => println!("broker's JVM: {options}"),
        Err(_) => println!("broker's JVM: quick to start, slow to run; set DEV_KAFKA_JVM"),
    }
}

/// The average number of threads that ran or wanted to, over 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.splitn(4, ' ').take(3).collect::<Vec<_>>().join(" ")
}

/// CPU time of a process, threads that have ended included.
pub(crate) fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // Behind the name, which may hold anything, `utime` and `stime` are the 12th and 13th field
    // (proc_pid_stat(5)), in ticks of 10 ms.
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().expect("a number of ticks"))
        .sum();
    Duration::from_millis(ticks * 10)
}

/// CPU time of the living threads of a process, by kind of thread.
pub(crate) fn cpu_by_thread(pid: u32) -> BTreeMap<String, Duration> {
    let mut threads = BTreeMap::new();
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    for task in tasks.flatten() {
        // A thread may end while we look.
        let Ok(name) = fs::read_to_string(task.path().join("comm")) else {
            continue;
        };
        let spent = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let nanos = spent.split(' ').next().and_then(|field| field.parse().ok());
        let kind = name.trim().trim_end_matches(|c: char| c.is_ascii_digit());
        *threads.entry(kind.to_owned()).or_default() +=
            Duration::from_nanos(nanos.unwrap_or_default());
    }
    threads
}

/// What the threads of a process have used since they had used as much as `before`, by kind of thread.
pub(crate) fn since(before: BTreeMap<String, Duration>, pid: u32) -> BTreeMap<String, Duration> {
    let mut now = cpu_by_thread(pid);
    for (kind, spent) in before {
        if let Some(now) = now.get_mut(&kind) {
            *now = now.saturating_sub(spent);
        }
    }
    now
}

/// Bytes as MiB.
#[expect(clippy::cast_precision_loss, reason = "a figure")]
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
