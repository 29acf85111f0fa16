//! `watershed replay`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use watershed_connectors::formats::{AUTO, Limits, Registry};
use watershed_connectors::sources::files::FileInput;
use watershed_connectors::sources::recording::RecordingSource;
use watershed_rules::{CompiledRule, ReferenceTables};
use watershed_schemas::{Plane, StateTable, Timestamp};

use super::formats::OwnMappings;
use super::input_file::{InputFile, known};
use super::{Error, Exit, Output, output, settings};
use crate::attribution::{self, Attribution};
use crate::config::{Config, Rules};
use crate::core::{self, Core};
use crate::evaluator::RuleSetup;
use crate::intake::{Intake, PlainInput};
use crate::pipeline::{Parts, Pipeline};
use crate::replay::{Reasons, Results, Standing};
use crate::router::Router;
use crate::setup;
use crate::shelf::{FileShelf, ROW_MEMORY};
use crate::store::{MemoryStore, StateStore};
use crate::verify::{self, History, RuleVerdict, StreamState};

/// How long one look at the input waits.
const POLL: Duration = Duration::from_millis(100);
/// How long receivers may take for what a replay delivers.
const DELIVER_WITHIN: Duration = Duration::from_secs(60);

/// Run recordings or plain files through the production pipeline, offline.
///
/// Nothing is delivered unless --deliver is given. The same input gives the same bytes, whatever the batch size of the
/// source was; with --final also whatever the interleaving was.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  watershed replay recording/ --signals signals.jsonl --incidents incidents.jsonl
  watershed replay --runtime otlp:traces.jsonl --identity okta:system.jsonl.gz --final --signals -
  watershed replay recording/ --rules my-rules/
  watershed replay recording/ --verify                   is what the stream said what the rules mean?")]
pub struct ReplayArgs {
    /// A directory that `watershed record` or `watershed demo --record` wrote.
    #[arg(value_name = "RECORDING", conflicts_with_all = ["runtime", "identity", "format"], required_unless_present_any = ["runtime", "identity"])]
    pub recording: Option<PathBuf>,
    /// Files of runtime telemetry: JSON lines, also .gz and .zst.
    #[arg(long, value_name = "[FORMAT:]FILE", num_args = 1..)]
    pub runtime: Vec<InputFile>,
    /// Files of identity telemetry.
    #[arg(long, value_name = "[FORMAT:]FILE", num_args = 1..)]
    pub identity: Vec<InputFile>,
    /// The format of files that name none; else it is recognised.
    #[arg(long, value_name = "NAME")]
    pub format: Option<String>,
    /// Mappings of one's own.
    #[command(flatten)]
    pub own: OwnMappings,
    /// Rules to run instead of the catalog that is built in.
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
    /// Reference tables: agents, tools and others.
    #[arg(long, value_name = "DIR")]
    pub reference: Option<PathBuf>,
    /// Settings of time, rules, incidents, limits and receivers; its input is not read.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Write signals as JSON lines; `-` is standard output.
    #[arg(long, value_name = "OUT.jsonl")]
    pub signals: Option<PathBuf>,
    /// Write revisions of incidents as JSON lines; `-` is standard output.
    #[arg(long, value_name = "OUT.jsonl")]
    pub incidents: Option<PathBuf>,
    /// Write only last states, sorted and without revision numbers.
    #[arg(long = "final")]
    pub final_states: bool,
    /// Records that one batch takes: more are faster, fewer tell incidents in smaller steps.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub batch_size: usize,
    /// Pace by event time.
    #[arg(long, value_enum, default_value_t = Speed::Max)]
    pub speed: Speed,
    /// Deliver notifications to the receivers of --config.
    #[arg(long, requires = "config")]
    pub deliver: bool,
    /// Treat what came before the first row as unseen, and not as absent: rules warm as after a first start.
    #[arg(long, conflicts_with = "verify")]
    pub cold: bool,
    /// Afterwards execute every rule over the accepted history by plain SQL and compare; a difference ends with 1.
    #[arg(long)]
    pub verify: bool,
    /// Let a rule pass --verify whose keys were cut by a limit, where all that it did say is true.
    #[arg(long, requires = "verify")]
    pub allow_degraded: bool,
    /// Count how far each tool call can be tied to a credential and an account, and what is missing.
    #[arg(long)]
    pub attribution: bool,
    /// Print totals as one JSON object as the last line.
    #[arg(long)]
    pub json: bool,
}

/// How fast a replay goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Speed {
    /// As fast as it can.
    Max,
    /// As fast as it happened.
    #[value(name = "1x")]
    Real,
    /// Ten times as fast as it happened.
    #[value(name = "10x")]
    Ten,
}

impl Speed {
    /// Event time per wall time; absent without a pace.
    pub fn factor(self) -> Option<f64> {
        match self {
            Speed::Max => None,
            Speed::Real => Some(1.0),
            Speed::Ten => Some(10.0),
        }
    }
}

impl ReplayArgs {
    fn inputs(&self) -> Inputs<'_> {
        Inputs {
            recording: self.recording.as_deref(),
            runtime: &self.runtime,
            identity: &self.identity,
            format: self.format.as_deref(),
            own: &self.own,
            batch_size: self.batch_size,
        }
    }

    /// What clap can't see: formats that exist, files that are there, outputs that do not mix.
    ///
    /// # Errors
    /// The first mistake, with the way out.
    pub fn validate(&self) -> Result<(), Error> {
        let registry = self.own.beside(Registry::builtin(Limits::default()))?;
        // Those of a configuration are known once it is read.
        if self.config.is_none() {
            self.inputs().check_formats(&registry)?;
        }
        for (flag, path) in [("RECORDING", &self.recording), ("--rules", &self.rules), ("--reference", &self.reference)]
        {
            if let Some(path) = path
                && !path.exists()
            {
                return Err(Error::Usage(format!("{flag}: `{}` does not exist", path.display())));
            }
        }
        for file in self.runtime.iter().chain(&self.identity) {
            if !file.path.is_file() {
                return Err(Error::Usage(format!("`{}` is not a file; name files of telemetry", file.path.display())));
            }
        }
        if self.signals.is_some() && self.signals == self.incidents {
            return Err(Error::Usage("--signals and --incidents go to the same place; name two".to_owned()));
        }
        Ok(())
    }
}

pub(super) fn replay(args: &ReplayArgs, output: &mut Output) -> Result<Exit, Error> {
    args.validate()?;
    let loaded = args.config.as_deref().map(settings::load).transpose()?;
    let config = loaded.as_ref().map(|loaded| &loaded.config);
    let reference = reference(args.reference.as_deref(), config)?;
    let mut setups = rules(args, config, &reference)?;
    let mut core_settings = config.map(|config| config.core).unwrap_or_default();
    // Whether a rule reads them or not: incidents say what their identity could reach.
    core_settings.all_state = true;
    core_settings.cold = args.cold;
    let intake = intake(&args.inputs(), config, &mut core_settings)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(Error::failure)?;
    let reasons = Reasons::default();
    let mut parts =
        Parts { dlq: Some(Box::new(reasons.clone())), late: Some(Box::new(reasons.clone())), ..Parts::default() };
    if let Some(config) = config.filter(|_| args.deliver) {
        let store: Arc<dyn StateStore> = Arc::new(MemoryStore::new());
        parts.router = Some(Router::new(config.routes.clone(), &setups).redacting(config.redaction.for_replay()));
        parts.delivery = Some(setup::delivery(config, runtime.handle(), Arc::clone(&store)).map_err(Error::failure)?);
        parts.store = Some(store);
    }
    let rules: Vec<Arc<CompiledRule>> = setups.iter().map(|setup| Arc::clone(&setup.rule)).collect();
    if args.attribution {
        setups.push(attribution::setup(&reference).map_err(|findings| {
            Error::Failure(format!("the attribution of tool calls can't be planned: {}", findings[0].message))
        })?);
    }
    let mut core = Core::new(core_settings, setups);
    if let Some(config) = config {
        core.except(config.rules.exceptions.clone());
    }
    // Without a place for them, rows stay in memory.
    let spill = tempfile::Builder::new().prefix("watershed-replay-").tempdir().ok();
    if let Some(spill) = &spill {
        let row_memory = config.map_or(ROW_MEMORY, |config| config.row_memory);
        core.keep_cold(Box::new(FileShelf::new(spill.path())), row_memory);
    }
    let history = args.verify.then(|| History::create(&rules)).transpose().map_err(Error::failure)?;
    if let Some(history) = &history {
        core.show_history_to(Box::new(history.clone()));
    }
    let mut pipeline = Pipeline::resume(intake, core, parts).map_err(Error::failure)?;
    pipeline.name(reference.aliases());
    pipeline.share(config.map(|config| config.shared_principals.clone()).unwrap_or_default());
    pipeline.refer_to(reference);
    let mut results = Results::new(open(args.signals.as_deref())?, open(args.incidents.as_deref())?, args.final_states);
    let totals = play(args, &mut pipeline, &mut results)?;
    let stopped: Vec<String> =
        pipeline.core().quarantined().map(|(rule, reason)| format!("rule {rule} was stopped: {reason}")).collect();
    let verdicts = history.map(|history| verdicts(&rules, &history, &results, pipeline.core())).transpose()?;
    let delivery = pipeline.close(DELIVER_WITHIN).map_err(Error::failure)?;
    if let Some(delivery) = delivery {
        let left = runtime.block_on(delivery.stop(DELIVER_WITHIN));
        if left > 0 {
            return Err(Error::Failure(format!(
                "{left} notifications were not delivered within {} s",
                DELIVER_WITHIN.as_secs()
            )));
        }
    }
    let standing = results.finish().map_err(Error::failure)?;
    report(args, output, &totals, &standing, rules.len(), verdicts.as_deref())?;
    output.flush()?;
    for line in reasons.lines() {
        output::complain(&line);
    }
    match (stopped.first(), verdicts) {
        (Some(reason), _) => Err(Error::Failure(reason.clone())),
        (None, Some(verdicts)) if !verify::is_clean(&verdicts, args.allow_degraded) => Ok(Exit::Findings),
        (None, _) => Ok(Exit::Fine),
    }
}

/// Holds what stands at the end against the rules' own SQL.
fn verdicts(
    rules: &[Arc<CompiledRule>],
    history: &History,
    results: &Results,
    core: &Core,
) -> Result<Vec<RuleVerdict>, Error> {
    let degraded: HashMap<&str, u64> = core.degraded().collect();
    let stopped: HashMap<&str, &str> = core.quarantined().collect();
    let state_of = |rule: &str| StreamState {
        degraded_keys: degraded.get(rule).copied().unwrap_or_default(),
        stopped: stopped.get(rule).copied(),
    };
    history.read_by(core.principals().names().read().clone(), core.late_names().clone());
    let counts = core.state_counts();
    let dropped = |table: StateTable| counts.get(&table).map_or(0, |counts| counts.dropped);
    verify::verify(rules, history, results.standing(), state_of, dropped).map_err(Error::failure)
}

/// The rules of `--rules`, else of the configuration, else the catalog.
fn rules(args: &ReplayArgs, config: Option<&Config>, reference: &ReferenceTables) -> Result<Vec<RuleSetup>, Error> {
    let rules = match &args.rules {
        Some(path) => Rules { catalog: false, paths: vec![path.clone()], ..Rules::default() },
        None => config.map_or_else(|| Rules { catalog: true, ..Rules::default() }, |config| config.rules.clone()),
    };
    settings::rules(&rules, reference)
}

/// The reference tables of `--reference`, else of the configuration.
pub(super) fn reference(dir: Option<&Path>, config: Option<&Config>) -> Result<ReferenceTables, Error> {
    match dir.or(config.and_then(|config| config.reference.as_deref())) {
        Some(dir) => ReferenceTables::load_dir(dir).map_err(Error::usage),
        None => Ok(ReferenceTables::default()),
    }
}

/// What is read: a recording, or plain files.
pub(super) struct Inputs<'a> {
    pub(super) recording: Option<&'a Path>,
    pub(super) runtime: &'a [InputFile],
    pub(super) identity: &'a [InputFile],
    /// The format of files that name none.
    pub(super) format: Option<&'a str>,
    pub(super) own: &'a OwnMappings,
    pub(super) batch_size: usize,
}

impl Inputs<'_> {
    /// Whether the formats that were named are known.
    fn check_formats(&self, registry: &Registry) -> Result<(), Error> {
        if let Some(format) = self.format {
            known(format, registry)?;
        }
        self.runtime.iter().chain(self.identity).try_for_each(|file| file.check(registry))
    }
}

/// Opens what is read; planes without any of it have no history to wait for.
pub(super) fn intake(args: &Inputs<'_>, config: Option<&Config>, core: &mut core::Settings) -> Result<Intake, Error> {
    let registry = config.map_or_else(|| Registry::builtin(Limits::default()), |config| config.formats.clone());
    let registry = args.own.beside(registry)?;
    args.check_formats(&registry)?;
    if let Some(dir) = args.recording {
        let source = RecordingSource::open(dir, args.batch_size).map_err(Error::usage)?;
        for warning in source.warnings() {
            output::complain(warning);
        }
        // A plane that was not recorded has no history to wait for.
        let topics = &source.manifest().topics;
        core.present = Plane::ALL.map(|plane| topics.iter().any(|topic| topic.plane == plane));
        return Ok(Intake::from_source(Box::new(source), registry, args.batch_size));
    }
    core.present = [!args.runtime.is_empty(), !args.identity.is_empty()];
    let default = args.format.unwrap_or(AUTO);
    let of = |plane: Plane, files: &[InputFile]| -> Vec<FileInput> {
        let input = |file: &InputFile| FileInput {
            plane,
            path: file.path.clone(),
            format: file.format.as_deref().unwrap_or(default).into(),
        };
        files.iter().map(input).collect()
    };
    let files = [of(Plane::Model, args.runtime), of(Plane::Access, args.identity)].concat();
    Intake::from_plain(PlainInput { files, registry, tenant: "default".into() }, args.batch_size).map_err(Error::usage)
}

/// What went through.
#[derive(Default)]
struct Totals {
    events: u64,
    matched: u64,
    rejected: u64,
    late: u64,
    duplicates: u64,
    took: Duration,
    attribution: Attribution,
}

fn play(args: &ReplayArgs, pipeline: &mut Pipeline, results: &mut Results) -> Result<Totals, Error> {
    let mut totals = Totals::default();
    let started = Instant::now();
    let bar = bar(args, pipeline);
    let mut first_heard = None;
    loop {
        let mut turn = pipeline.turn(POLL).map_err(Error::failure)?;
        totals.attribution.take(&mut turn.signals);
        results.take(&turn).map_err(Error::failure)?;
        totals.events += turn.counts.events.iter().sum::<u64>();
        totals.matched += turn.counts.matched.iter().sum::<u64>();
        totals.rejected += turn.counts.rejected.iter().sum::<u64>();
        totals.late += turn.counts.late.iter().chain(&turn.counts.quarantined).sum::<u64>();
        totals.duplicates += turn.counts.duplicates;
        if let Some((done, _)) = pipeline.intake().progress() {
            bar.set_position(done);
        }
        bar.set_message(format!("{} events", totals.events));
        if turn.ended {
            break;
        }
        if let Some(factor) = args.speed.factor() {
            keep_pace(pipeline, started, &mut first_heard, factor);
        }
    }
    bar.finish_and_clear();
    totals.took = started.elapsed();
    Ok(totals)
}

/// Waits until as much time has gone by as did between the first event and the newest, divided by the factor.
fn keep_pace(pipeline: &Pipeline, started: Instant, first: &mut Option<Timestamp>, factor: f64) {
    let watermarks = pipeline.core().watermarks();
    let newest = Plane::ALL.map(|plane| watermarks.heard(plane)).into_iter().max().unwrap_or(Timestamp::MIN);
    if newest == Timestamp::MIN {
        return;
    }
    let first = *first.get_or_insert(newest);
    let happened = u64::try_from(newest.micros().saturating_sub(first.micros())).unwrap_or(0);
    let due = started + Duration::from_micros(happened).div_f64(factor);
    while let Some(wait) = due.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(wait);
    }
}

fn bar(args: &ReplayArgs, pipeline: &Pipeline) -> ProgressBar {
    let total = pipeline.intake().progress().map(|(_, total)| total);
    let target = if args.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(total, target);
    let style = match total {
        Some(_) => "{bar:30} {bytes}/{total_bytes} {msg} {elapsed}",
        None => "{spinner} {msg} {elapsed}",
    };
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}

fn open(path: Option<&Path>) -> Result<Option<Box<dyn Write>>, Error> {
    match path {
        None => Ok(None),
        Some(path) if path == Path::new("-") => Ok(Some(Box::new(std::io::stdout()))),
        Some(path) => match File::create(path) {
            Ok(file) => Ok(Some(Box::new(BufWriter::with_capacity(1 << 16, file)))),
            Err(error) => Err(Error::Usage(format!("`{}` can't be written: {error}", path.display()))),
        },
    }
}

fn report(
    args: &ReplayArgs,
    output: &mut Output,
    totals: &Totals,
    standing: &Standing,
    rules: usize,
    verdicts: Option<&[RuleVerdict]>,
) -> Result<(), Error> {
    let seconds = totals.took.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = totals.events as f64 / seconds.max(1e-9);
    let [model, access, both] = standing.incidents;
    if args.json {
        let mut object = serde_json::json!({
            "events": totals.events,
            "matched": totals.matched,
            "signals": standing.signals,
            "incidents": {"model_abuse": model, "access_compromise": access, "both": both},
            "rejected": totals.rejected,
            "late": totals.late,
            "duplicates": totals.duplicates,
            "rules": rules,
            "seconds": seconds,
            "events_per_second": rate.round(),
        });
        if args.attribution {
            object["attribution"] = totals.attribution.json();
        }
        if let Some(verdicts) = verdicts {
            object["verify"] = verify::json(verdicts);
        }
        return output.line(object.to_string());
    }
    let mut lines = vec![
        format!(
            "{} events in {seconds:.2} s ({rate:.0} events/s), {} of them of use to {rules} rules",
            totals.events, totals.matched
        ),
        format!(
            "{} signals; incidents: {model} model abuse, {access} access compromise, {both} both",
            standing.signals
        ),
    ];
    if totals.rejected + totals.late + totals.duplicates > 0 {
        lines.push(format!(
            "not history: {} records rejected, {} rows too late or from the future, {} repeats",
            totals.rejected, totals.late, totals.duplicates
        ));
    }
    if args.attribution {
        lines.extend(totals.attribution.lines());
    }
    if let Some(verdicts) = verdicts {
        lines.push("each rule's stream beside its SQL over the accepted history:".to_owned());
        lines.extend(verify::lines(verdicts));
    }
    // Signals on standard output are not mixed with words about them.
    let to_stdout = [&args.signals, &args.incidents].into_iter().flatten().any(|path| path == Path::new("-"));
    for line in lines {
        if to_stdout {
            output::complain(&line);
        } else {
            output.line(line)?;
        }
    }
    Ok(())
}
