//! Runs a measurement in a process of its own, on one core or two, and reads what it cost.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// What one run cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Seconds on the clock.
    pub wall: f64,
    /// Seconds of CPU.
    pub cpu: f64,
    /// Largest resident size in bytes.
    pub peak: f64,
}

/// The middle of some runs, figure by figure.
pub fn middle(costs: &[Cost]) -> Cost {
    let of = |figure: fn(&Cost) -> f64| median(costs.iter().map(figure).collect());
    Cost { wall: of(|cost| cost.wall), cpu: of(|cost| cost.cpu), peak: of(|cost| cost.peak) }
}

/// Runs this program once more as a child with these arguments, on so many cores where that can be had.
///
/// # Errors
/// When it fails or says no result.
pub fn child(args: &[&str], directory: &Path, cores: usize) -> anyhow::Result<Cost> {
    let own = std::env::current_exe()?;
    let mut command = on(cores, own.as_os_str());
    let output = command.args(args).arg("--directory").arg(directory).output()?;
    ensure!(output.status.success(), "{args:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("RESULT ")).context("no result")?;
    let figures: Vec<f64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [wall, cpu, peak] = figures.try_into().map_err(|_| anyhow::anyhow!("three figures"))?;
    Ok(Cost { wall, cpu, peak })
}

/// A command that stays on the first cores.
pub fn on(cores: usize, program: &std::ffi::OsStr) -> Command {
    if Command::new("taskset").arg("--version").output().is_ok() {
        let mut command = Command::new("taskset");
        command.args(["-c", &format!("0-{}", cores.max(1) - 1)]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// The child's side: does the work and says what it cost.
///
/// # Errors
/// When the work fails.
#[expect(clippy::print_stdout, reason = "how a child answers")]
pub fn measure(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let started = Instant::now();
    work()?;
    let wall = started.elapsed().as_secs_f64();
    let usage = usage();
    println!("RESULT {wall} {} {}", usage.cpu.as_secs_f64(), usage.peak_rss);
    Ok(())
}

/// Clock ticks per second of `/proc/self/stat` on Linux.
const TICKS: f64 = 100.0;

/// What this process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// CPU time of all threads.
    pub cpu: Duration,
    /// Largest resident size in bytes.
    pub peak_rss: u64,
}

/// Reads `/proc/self`; zeros where there is none.
pub fn usage() -> Usage {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the name in parentheses and may hold anything.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    Usage { cpu: Duration::from_secs_f64((ticks(11) + ticks(12)) / TICKS), peak_rss: memory("VmHWM:") }
}

/// Bytes of this process that are in memory now.
pub fn resident() -> u64 {
    memory("VmRSS:")
}

fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1_024
}

/// The middle of some measurements.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
