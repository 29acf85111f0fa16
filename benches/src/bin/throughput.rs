//! The whole program beside parsing alone and beside a lazy scan, on the same bytes; how it grows with rules, state and
//! keys; and, where Python has DuckDB, the same ten queries there. Every run is a process of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Parser;
use watershed_benches::process::{self, Cost, child, middle};
use watershed_benches::workload::Workload;
use watershed_benches::{modes, rule_mix};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Args {
    /// Events in all, one in six of them of identity.
    #[arg(long, default_value_t = 2_400_000)]
    events: u64,
    /// Runs of each; the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Seed of the workload.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only these tables: ratio, rules, state, keys, hot, memory, duckdb.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// What a child process does.
    #[arg(long, hide = true)]
    child: Option<String>,
    /// Where the workload is.
    #[arg(long, hide = true)]
    directory: Option<PathBuf>,
    /// The rules that a child replays with; the catalog without it.
    #[arg(long, hide = true)]
    rules: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let (Some(mode), Some(directory)) = (&args.child, &args.directory) {
        return process::measure(|| match mode.as_str() {
            "walk" => modes::walk(directory),
            "parse" => modes::parse(directory),
            _ => modes::replay(directory, args.rules.as_ref()),
        });
    }
    let wanted = |table: &str| args.only.is_empty() || args.only.iter().any(|only| only == table);
    let even = tempfile::tempdir()?;
    let written = Workload { events: args.events, seed: args.seed, hot: false }.write(even.path())?;
    say(&format!(
        "{} runtime and {} identity events, {} bytes each; one core, medians of {} runs",
        written.runtime,
        written.identity,
        written.bytes / args.events.max(1),
        args.runs
    ));
    if wanted("ratio") {
        ratio(&args, even.path())?;
    }
    if wanted("duckdb") {
        duckdb(&args, even.path())?;
    }
    if wanted("rules") {
        rules(&args, even.path())?;
    }
    if wanted("state") {
        state(&args, even.path())?;
    }
    if wanted("hot") {
        hot(&args, even.path())?;
    }
    if wanted("memory") {
        memory(&args, even.path())?;
    }
    if wanted("keys") {
        keys(&args, even.path())?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the program's purpose")]
fn say(line: &str) {
    println!("{line}");
}

fn row(what: &str, events: u64, cost: Cost) {
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = events as f64 / cost.wall;
    say(&format!(
        "{what:24} {rate:>12.0} events/s {:>8.2} s {:>8.2} s cpu {:>8.0} MiB",
        cost.wall,
        cost.cpu,
        cost.peak / 1_048_576.0
    ));
}

/// Medians of several measurements whose runs alternate, so that a slow moment of the machine meets all of them.
fn paired(
    runs: usize,
    mut measure: impl FnMut(usize) -> anyhow::Result<Cost>,
    count: usize,
) -> anyhow::Result<Vec<Cost>> {
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); count];
    for _ in 0..runs {
        for (which, costs) in costs.iter_mut().enumerate() {
            costs.push(measure(which)?);
        }
    }
    Ok(costs.iter().map(|costs| middle(costs)).collect())
}

fn replay(directory: &Path, rules: &Path) -> anyhow::Result<Cost> {
    replay_on(1, directory, rules)
}

fn replay_on(cores: usize, directory: &Path, rules: &Path) -> anyhow::Result<Cost> {
    let rules = rules.to_str().context("a path in UTF-8")?;
    child(&["--child", "replay", "--rules", rules], directory, cores)
}

fn ratio(args: &Args, directory: &Path) -> anyhow::Result<()> {
    let costs = paired(
        args.runs,
        |which| match which {
            0 => child(&["--child", "walk"], directory, 1),
            1 => child(&["--child", "parse"], directory, 1),
            2 => replay(directory, &rule_mix::ten()),
            _ => child(&["--child", "replay"], directory, 1),
        },
        4,
    )?;
    for (what, cost) in ["walk", "parse", "replay, ten rules", "replay, the catalog"].iter().zip(&costs) {
        row(what, args.events, *cost);
    }
    let [walk, parse, ten, catalog] = costs.as_slice() else { return Ok(()) };
    say(&format!("  parse / walk           {:.2}  (the ratios to parse are void below 0.50)", walk.wall / parse.wall));
    say(&format!("  ten rules / parse      {:.2}", parse.wall / ten.wall));
    say(&format!("  ten rules / walk       {:.2}", walk.wall / ten.wall));
    say(&format!("  the catalog / parse    {:.2}", parse.wall / catalog.wall));
    Ok(())
}

fn rules(args: &Args, directory: &Path) -> anyhow::Result<()> {
    let sets: Vec<(usize, tempfile::TempDir)> = [10, 100, 1_000]
        .into_iter()
        .map(|count| {
            let set = tempfile::tempdir()?;
            rule_mix::write(set.path(), count, args.seed)?;
            Ok((count, set))
        })
        .collect::<anyhow::Result<_>>()?;
    let costs = paired(args.runs, |which| replay(directory, sets[which].1.path()), sets.len())?;
    for ((count, _), cost) in sets.iter().zip(&costs) {
        row(&format!("{count} rules"), args.events, *cost);
        say(&format!("  of ten rules' time     {:.2}", cost.wall / costs[0].wall));
    }
    Ok(())
}

/// One rule that remembers every tool call for so long.
fn remembering(directory: &Path, hours: u32) -> anyhow::Result<()> {
    let sql = format!(
        "/*---\nid: remembering\ntitle: remembering\nplane: model\nseverity: low\nkey: [tool_event_id]\n---*/\n\
         SELECT r.event_time, r.tenant, r.principal, r.session_id, r.event_id AS tool_event_id\n\
         FROM runtime r\nJOIN runtime p\n  ON  p.tenant = r.tenant AND p.session_id = r.session_id\n  \
         AND p.event_time < r.event_time AND p.event_time >= r.event_time - INTERVAL '{hours} hours'\n\
         WHERE r.kind = 'tool_call' AND r.tool = 'send_email' AND p.kind = 'tool_call'\n"
    );
    Ok(std::fs::write(directory.join("remembering.sql"), sql)?)
}

fn state(args: &Args, directory: &Path) -> anyhow::Result<()> {
    let (short, long) = (tempfile::tempdir()?, tempfile::tempdir()?);
    remembering(short.path(), 1)?;
    remembering(long.path(), 10)?;
    let sets = [short.path(), long.path()];
    let costs = paired(args.runs, |which| replay(directory, sets[which]), 2)?;
    row("state of 1 hour", args.events, costs[0]);
    row("state of 10 hours", args.events, costs[1]);
    say(&format!("  10 hours / 1 hour      {:.2}", costs[1].wall / costs[0].wall));
    Ok(())
}

fn hot(args: &Args, even: &Path) -> anyhow::Result<()> {
    let hot = tempfile::tempdir()?;
    Workload { events: args.events, seed: args.seed, hot: true }.write(hot.path())?;
    let ten = rule_mix::ten();
    let costs = paired(args.runs, |which| replay([even, hot.path()][which], &ten), 2)?;
    row("even spread", args.events, costs[0]);
    row("one principal has half", args.events, costs[1]);
    say(&format!("  hot / even             {:.2}", costs[1].wall / costs[0].wall));
    Ok(())
}

fn memory(args: &Args, long: &Path) -> anyhow::Result<()> {
    let short = tempfile::tempdir()?;
    Workload { events: args.events / 10, seed: args.seed, hot: false }.write(short.path())?;
    let rules = tempfile::tempdir()?;
    // What the others remember for hours is still growing after a tenth of the time.
    for rule in ["flag-then-send", "three-steps", "flag-without-decision", "failure-burst", "many-tools"] {
        let name = format!("{rule}.sql");
        std::fs::copy(rule_mix::ten().join(&name), rules.path().join(&name))?;
    }
    let costs = paired(args.runs, |which| replay([short.path(), long][which], rules.path()), 2)?;
    row("a tenth of the time", args.events / 10, costs[0]);
    row("the whole time", args.events, costs[1]);
    say(&format!("  peak, ten times longer {:.2}", costs[1].peak / costs[0].peak));
    Ok(())
}

fn keys(args: &Args, directory: &Path) -> anyhow::Result<()> {
    let rules = tempfile::tempdir()?;
    let sql = "/*---\nid: open-keys\ntitle: open keys\nplane: model\nseverity: low\nkey: [hit_event_id]\n---*/\n\
        SELECT r.event_time, r.tenant, r.principal, r.session_id, r.event_id AS hit_event_id\n\
        FROM runtime r\nJOIN runtime p\n  ON  p.tenant = r.tenant AND p.request_id = r.request_id\n  \
        AND p.event_time < r.event_time AND p.event_time >= r.event_time - INTERVAL '48 hours'\n\
        WHERE r.kind = 'guardrail' AND p.kind IN ('prompt', 'completion', 'retrieval')\n";
    std::fs::write(rules.path().join("open-keys.sql"), sql)?;
    let cost = paired(args.runs, |_| replay(directory, rules.path()), 1)?;
    row("one key an event", args.events, cost[0]);
    say("  prompts, completions and retrievals each open a key of its own for 48 hours");
    Ok(())
}

fn duckdb(args: &Args, directory: &Path) -> anyhow::Result<()> {
    let Some(python) = std::env::var_os("WATERSHED_PYTHON") else {
        say("duckdb: left out, because WATERSHED_PYTHON names no Python that has it");
        return Ok(());
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/duckdb_batch.py");
    for threads in [1, 2] {
        let (mut peer, mut own) = (Vec::new(), Vec::new());
        for _ in 0..args.runs {
            let output = process::on(threads, &python)
                .arg(&script)
                .args(["--threads", &threads.to_string(), "--rules"])
                .arg(rule_mix::ten())
                .arg(directory)
                .output()?;
            ensure!(output.status.success(), "DuckDB failed: {}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8_lossy(&output.stdout);
            let wall = text.lines().find_map(|line| line.strip_prefix("RESULT ")).context("no result")?;
            peer.push(wall.trim().parse::<f64>()?);
            own.push(replay_on(threads, directory, &rule_mix::ten())?.wall);
        }
        let (peer, own) = (process::median(peer), process::median(own));
        say(&format!(
            "duckdb, {threads} thread(s)      {peer:>8.2} s; replay on as many cores {own:.2} s; replay / duckdb {:.2}",
            own / peer
        ));
    }
    Ok(())
}
