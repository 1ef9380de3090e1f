//! Metrics, in the text format of Prometheus.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter,
    IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// The metrics of a process. Passed to the parts, which register theirs; no global registry, so that
/// several services can live in one process.
///
/// # Panics
/// Registering a metric panics when its name is taken or malformed: a mistake in the program, seen at
/// its first start.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    resident: IntGauge,
    open_files: IntGauge,
}

impl Metrics {
    /// Metrics with those that every process has: version, start, memory and open files.
    pub fn new(service: &'static str) -> Self {
        let registry = Registry::new();
        let gauge = |name, help| register(&registry, IntGauge::new(name, help));
        let resident = gauge("process_resident_memory_bytes", "Memory in use.");
        let open_files = gauge("process_open_fds", "Open file descriptors.");
        let started = gauge(
            "process_start_time_seconds",
            "When the process started, as seconds since 1970.",
        );
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        started.set(now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(0)));
        let metrics = Self {
            registry,
            resident,
            open_files,
        };
        let build = metrics.gauge_vec("build_info", "What runs here.", &["service", "version"]);
        build
            .with_label_values(&[service, env!("CARGO_PKG_VERSION")])
            .set(1);
        metrics
    }

    /// A number that only grows.
    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        register(&self.registry, IntCounter::new(name, help))
    }

    /// Numbers that only grow, by label.
    pub fn counter_vec(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        register(
            &self.registry,
            IntCounterVec::new(Opts::new(name, help), labels),
        )
    }

    /// A number that goes up and down.
    pub fn gauge(&self, name: &str, help: &str) -> IntGauge {
        register(&self.registry, IntGauge::new(name, help))
    }

    /// Numbers that go up and down, by label.
    pub fn gauge_vec(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        register(
            &self.registry,
            IntGaugeVec::new(Opts::new(name, help), labels),
        )
    }

    /// A fractional number that goes up and down.
    pub fn float_gauge(&self, name: &str, help: &str) -> Gauge {
        register(&self.registry, Gauge::new(name, help))
    }

    /// Fractional numbers that go up and down, by label.
    pub fn float_gauge_vec(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        register(&self.registry, GaugeVec::new(Opts::new(name, help), labels))
    }

    /// How often a value fell into which range.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        register(&self.registry, Histogram::with_opts(options))
    }

    /// How often values fell into which range, by label.
    pub fn histogram_vec(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        register(&self.registry, HistogramVec::new(options, labels))
    }

    /// All metrics as Prometheus reads them.
    ///
    /// # Errors
    /// A metric cannot be written.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        if let Some(bytes) = resident_bytes() {
            self.resident.set(bytes);
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            self.open_files
                .set(i64::try_from(files.count()).unwrap_or(i64::MAX));
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }
}

fn register<M: Collector + Clone + 'static>(
    registry: &Registry,
    metric: Result<M, prometheus::Error>,
) -> M {
    let metric = metric.expect("a metric's name is well formed");
    registry
        .register(Box::new(metric.clone()))
        .expect("a metric's name is used once");
    metric
}

/// Bytes of memory that this process has now.
fn resident_bytes() -> Option<i64> {
    memory_bytes("VmRSS:")
}

/// The most memory that this process has had at once, in bytes, where the system tells (Linux).
pub fn peak_memory_bytes() -> Option<i64> {
    memory_bytes("VmHWM:")
}

/// A line of the system's status of this process, in kibibytes, which unlike `statm` needs no page size.
fn memory_bytes(line: &str) -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let found = status.lines().find_map(|found| found.strip_prefix(line))?;
    let kibibytes: i64 = found.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered() {
        let metrics = Metrics::new("test");
        metrics.counter("things_total", "Things.").inc_by(3);
        let waiting = metrics.gauge_vec("waiting", "Waiting.", &["where"]);
        waiting.with_label_values(&["here"]).set(2);
        let text = metrics.render().unwrap();
        assert!(text.contains("things_total 3"), "{text}");
        assert!(text.contains("waiting{where=\"here\"} 2"), "{text}");
        assert!(
            text.contains("build_info{service=\"test\",version="),
            "{text}"
        );
        let resident = text
            .lines()
            .find_map(|line| line.strip_prefix("process_resident_memory_bytes "))
            .unwrap();
        assert!(resident.parse::<u64>().unwrap() > 1_000_000);
    }
}
