//! The whole program beside parsing alone, on the same bytes, each run in a process of its own.
//!
//! * `walk`: every object walked and every value located, nothing built. A yardstick for `parse`.
//! * `parse`: our parser, typed into all canonical columns.
//! * `replay`: `watershed replay` with the whole catalog, outputs included.

use std::ffi::OsString;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use clap::Parser;
use sonic_rs::JsonValueTrait as _;
use watershed_benches::{process, workload};
use watershed_connectors::formats::{Limits, Registry};
use watershed_connectors::{Partition, RawBatch, RawRecord};
use watershed_schemas::{Plane, Timestamp};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 8_192;

#[derive(Parser)]
struct Args {
    /// Events in all.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Runs of each; the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Seed of the workload.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What a child process does.
    #[arg(long, hide = true)]
    child: Option<String>,
    /// Where the workload is.
    #[arg(long, hide = true)]
    directory: Option<PathBuf>,
}

#[expect(clippy::print_stdout, reason = "the program's purpose")]
fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let (Some(child), Some(directory)) = (&args.child, &args.directory) {
        let started = Instant::now();
        match child.as_str() {
            "walk" => walk(directory)?,
            "parse" => parse(directory)?,
            _ => replay(directory)?,
        }
        let wall = started.elapsed().as_secs_f64();
        let usage = process::usage();
        println!("RESULT {wall} {} {}", usage.cpu.as_secs_f64(), usage.peak_rss);
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let written = workload::write(directory.path(), args.events, args.seed)?;
    let bytes: u64 = ["runtime.jsonl", "identity.jsonl"]
        .iter()
        .map(|name| std::fs::metadata(directory.path().join(name)).map_or(0, |file| file.len()))
        .sum();
    println!(
        "{} runtime and {} identity events, {} bytes each; median of {} runs on one core",
        written.runtime,
        written.identity,
        bytes / args.events.max(1),
        args.runs
    );
    let modes = ["walk", "parse", "replay"];
    let mut results: [Vec<[f64; 3]>; 3] = Default::default();
    for _ in 0..args.runs {
        for (mode, results) in modes.iter().zip(&mut results) {
            results.push(child(mode, directory.path())?);
        }
    }
    let mut rates = [0.0; 3];
    println!("{:8} {:>12} {:>8} {:>8} {:>10}", "", "events/s", "wall s", "cpu s", "peak MiB");
    for (at, mode) in modes.iter().enumerate() {
        let of = |figure: usize| process::median(results[at].iter().map(|result| result[figure]).collect());
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = args.events as f64 / of(0);
        rates[at] = rate;
        println!("{mode:8} {rate:>12.0} {:>8.2} {:>8.2} {:>10.0}", of(0), of(1), of(2) / 1_048_576.0);
    }
    println!("parse / walk   {:.2}  (the next ratio is void below 0.50)", rates[1] / rates[0]);
    println!("replay / parse {:.2}", rates[2] / rates[1]);
    Ok(())
}

fn child(mode: &str, directory: &Path) -> anyhow::Result<[f64; 3]> {
    let own = std::env::current_exe()?;
    let pinned = Command::new("taskset").arg("--version").output().is_ok();
    let mut command = if pinned {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(own);
        command
    } else {
        Command::new(own)
    };
    let output = command.args(["--child", mode, "--directory"]).arg(directory).output()?;
    ensure!(output.status.success(), "{mode} failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("RESULT ")).context("no result")?;
    let figures: Vec<f64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    figures.try_into().map_err(|_| anyhow::anyhow!("three figures"))
}

fn walk(directory: &Path) -> anyhow::Result<()> {
    let mut values = 0_u64;
    for name in ["runtime.jsonl", "identity.jsonl"] {
        for_each_line(&directory.join(name), |line| {
            for member in sonic_rs::to_object_iter(line) {
                let (_, value) = member?;
                values += u64::from(!value.is_null());
            }
            Ok(())
        })?;
    }
    ensure!(values > 0, "nothing walked");
    Ok(())
}

fn parse(directory: &Path) -> anyhow::Result<()> {
    let registry = Registry::builtin(Limits::default());
    let mut rows = 0;
    for (plane, name) in [(Plane::Model, "runtime.jsonl"), (Plane::Access, "identity.jsonl")] {
        let mut batch = RawBatch {
            partition: Partition { plane, topic: name.into(), index: 0 },
            format: "watershed".into(),
            tenant: "default".into(),
            received: Timestamp::MIN,
            records: Vec::new(),
        };
        let mut offset = 0;
        for_each_line(&directory.join(name), |line| {
            let payload = Bytes::copy_from_slice(line);
            batch.records.push(RawRecord { offset, timestamp: None, key: None, headers: Vec::new(), payload });
            offset += 1;
            if batch.records.len() == BATCH {
                rows += registry.decode(&batch).rows.num_rows();
                batch.records.clear();
            }
            Ok(())
        })?;
        rows += registry.decode(&batch).rows.num_rows();
    }
    ensure!(rows > 0, "nothing parsed");
    Ok(())
}

fn replay(directory: &Path) -> anyhow::Result<()> {
    let path = |name: &str| directory.join(name).into_os_string();
    let args: Vec<OsString> = vec![
        "watershed".into(),
        "replay".into(),
        "--format".into(),
        "watershed".into(),
        "--runtime".into(),
        path("runtime.jsonl"),
        "--identity".into(),
        path("identity.jsonl"),
        "--signals".into(),
        path("signals.out"),
        "--incidents".into(),
        path("incidents.out"),
        "--json".into(),
    ];
    let code = watershed_engine::cli::main(args);
    ensure!(code == std::process::ExitCode::SUCCESS, "replay failed");
    Ok(())
}

fn for_each_line(path: &Path, mut each: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut reader = std::io::BufReader::with_capacity(1 << 20, std::fs::File::open(path)?);
    let mut line = Vec::new();
    while {
        line.clear();
        reader.read_until(b'\n', &mut line)? > 0
    } {
        each(line.trim_ascii_end())?;
    }
    Ok(())
}
