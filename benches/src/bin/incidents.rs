//! The correlator alone, on one core: findings that open and revise incidents, storms about one principal, and what a
//! step costs, in time and memory, while very many incidents are open. Writing the commit to a disk is not in it.

use std::time::{Duration, Instant};

use clap::Parser;
use watershed_benches::findings::{Findings, Wanted, partition};
use watershed_benches::process::{median, resident};
use watershed_engine::correlator::{Correlator, Settings};
use watershed_engine::principals::InForce;
use watershed_engine::store::Commit;
use watershed_engine::watermark::{PlaneTime, Watermarks};
use watershed_schemas::{Plane, Timestamp};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const START: Timestamp = Timestamp::from_secs(1_772_438_400);

#[derive(Parser)]
struct Args {
    /// Incidents that are open at once.
    #[arg(long, default_value_t = 1_000_000)]
    open: usize,
    /// Runs of each; the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Only these tables: open, mixed, storm.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let wanted = |table: &str| args.only.is_empty() || args.only.iter().any(|only| only == table);
    if wanted("open") {
        open(args.open)?;
    }
    if wanted("mixed") {
        mixed(args.runs)?;
    }
    if wanted("storm") {
        storm(args.runs)?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the program's purpose")]
fn say(line: &str) {
    println!("{line}");
}

/// A correlator with its clock.
struct Bench {
    findings: Findings,
    correlator: Correlator,
    watermarks: Watermarks,
    revisions: usize,
    tellings: usize,
}

impl Bench {
    fn new() -> anyhow::Result<Bench> {
        let findings = Findings::new()?;
        let mut correlator = Correlator::new(Settings::default(), InForce::default());
        correlator.learn_rules(&findings.setups);
        let time = PlaneTime { out_of_orderness: Duration::ZERO, allowed_lateness: Duration::from_secs(600) };
        Ok(Bench { findings, correlator, watermarks: Watermarks::new([time; 2], [true; 2]), revisions: 0, tellings: 0 })
    }

    /// Takes these findings in as one step; how long that took, without making them.
    fn step(&mut self, wanted: &[Wanted]) -> anyhow::Result<Duration> {
        let (found, batches) = self.findings.make(wanted)?;
        let newest = wanted.iter().map(|wanted| wanted.time).max().unwrap_or(START);
        let started = Instant::now();
        let mut commit = Commit::default();
        for batch in &batches {
            self.correlator.learn(batch, None, &mut commit);
        }
        self.correlator.add(&found, &self.findings.setups, &mut commit);
        Ok(started.elapsed() + self.hear(newest, commit))
    }

    /// Both planes are heard up to this time.
    fn hear(&mut self, newest: Timestamp, mut commit: Commit) -> Duration {
        let started = Instant::now();
        Plane::ALL.iter().for_each(|plane| self.watermarks.hear(&partition(*plane), newest));
        let correlated = self.correlator.correlate(&self.watermarks, &mut commit);
        let took = started.elapsed();
        self.revisions += correlated.revisions.len();
        self.tellings += correlated.tellings.len();
        took
    }
}

/// Very many incidents open at once: their memory, what one more signal costs meanwhile, and their end.
fn open(count: usize) -> anyhow::Result<()> {
    let mut bench = Bench::new()?;
    let before = resident();
    // All within the gap, so that none is quiet before the last is there.
    let spread = Duration::from_secs(20 * 60).as_micros() as usize;
    let at = |person: usize| START.plus_micros((person * spread / count.max(1)) as i64);
    let mut opening = Duration::ZERO;
    for first in (0..count).step_by(1_000) {
        let people = first..(first + 1_000).min(count);
        let wanted: Vec<Wanted> = people.map(|person| Wanted { time: at(person), person, rule: person % 4 }).collect();
        opening += bench.step(&wanted)?;
    }
    let open = bench.correlator.open();
    let bytes = resident().saturating_sub(before);
    let rate = count as f64 / opening.as_secs_f64();
    say(&format!(
        "{open} incidents open with a signal each: {} MiB, {} bytes each",
        bytes >> 20,
        bytes / open.max(1) as u64
    ));
    say(&format!("  opened at               {rate:>10.0} signals/s, in steps of 1,000"));
    let mut steps = Vec::new();
    for number in 0..2_000 {
        let person = number * 7_919 % count;
        let took = bench.step(&[Wanted { time: at(count), person, rule: (person + 1) % 4 }])?;
        steps.push(took.as_secs_f64() * 1e6);
    }
    say(&format!("  a step of one signal    {}", spread_of(steps)));
    // They fall quiet one after the other, as they came.
    let quiet = START.plus(Settings::default().gap);
    let mut ends = Vec::new();
    for second in (0..25 * 60).step_by(1) {
        ends.push(bench.hear(quiet.plus(Duration::from_secs(second)), Commit::default()).as_secs_f64() * 1e6);
    }
    say(&format!("  a second of going quiet {}", spread_of(ends)));
    say(&format!("  open at the end         {}", bench.correlator.open()));
    Ok(())
}

/// Median, 99th percentile and maximum of microseconds.
fn spread_of(mut micros: Vec<f64>) -> String {
    micros.sort_by(f64::total_cmp);
    let at = |part: f64| micros.get(((micros.len() as f64 - 1.0) * part).round() as usize).copied().unwrap_or(f64::NAN);
    format!("median {:>8.0} µs, p99 {:>8.0} µs, most {:>8.0} µs", at(0.5), at(0.99), at(1.0))
}

/// Twenty thousand principals with ten signals each, interleaved.
fn mixed(runs: usize) -> anyhow::Result<()> {
    const PEOPLE: usize = 20_000;
    const EACH: usize = 10;
    let mut seconds = Vec::new();
    let mut made = (0, 0);
    for _ in 0..runs {
        let mut bench = Bench::new()?;
        let mut took = Duration::ZERO;
        let all: Vec<Wanted> = (0..PEOPLE * EACH)
            .map(|number| Wanted {
                time: START.plus_micros(number as i64 * 50_000),
                // A principal has its ten signals within a quarter of an hour.
                person: number / (100 * EACH) * 100 + number % 100,
                rule: number / 100 % Findings::RULES,
            })
            .collect();
        for wanted in all.chunks(500) {
            took += bench.step(wanted)?;
        }
        made = (bench.revisions, bench.tellings);
        seconds.push(took.as_secs_f64());
    }
    let rate = (PEOPLE * EACH) as f64 / median(seconds);
    say(&format!("{} signals of {PEOPLE} principals: {rate:.0} signals/s, in steps of 500", PEOPLE * EACH));
    say(&format!("  {} revisions, {} tellings", made.0, made.1));
    Ok(())
}

/// Signals of one principal, each as a step of its own: in order, and each up to five minutes late.
fn storm(runs: usize) -> anyhow::Result<()> {
    const SIGNALS: usize = 20_000;
    let scattered = |number: usize| number * 7_919 % SIGNALS;
    for (what, order) in [("in order", None), ("out of order", Some(&scattered))] {
        let mut seconds = Vec::new();
        let mut made = (0, 0);
        for _ in 0..runs {
            let mut bench = Bench::new()?;
            let mut took = Duration::ZERO;
            for number in 0..SIGNALS {
                let at = order.map_or(number, |order| order(number));
                let time = START.plus_micros(at as i64 * 15_000);
                took += bench.step(&[Wanted { time, person: 0, rule: at % Findings::RULES }])?;
            }
            made = (bench.revisions, bench.tellings);
            seconds.push(took.as_secs_f64());
        }
        let rate = SIGNALS as f64 / median(seconds);
        say(&format!("{SIGNALS} signals of one principal, one a step, {what}: {rate:.0} signals/s"));
        say(&format!("  {} revisions, {} tellings", made.0, made.1));
    }
    Ok(())
}
