//! `watershed run`: the pipeline beside a SIEM, until it is asked to stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use watershed_connectors::formats::Registry;
use watershed_schemas::Timestamp;

use crate::backfill::Backfiller;
use crate::cases::Cases;
use crate::config::Config;
use crate::console::{self, Health, Metrics};
use crate::core::Core;
use crate::evaluator::{Reload, RuleChange};
use crate::intake::Intake;
use crate::journal::{self, Journal};
use crate::pipeline::{Error, Parts, Pipeline, Turn};
use crate::reload::{Loaded, Loader, Watcher};
use crate::router::Router;
use crate::setup;
use crate::shelf::StoreShelf;
use crate::store::{SledStore, StateStore};

mod observe;
pub(crate) mod operator;
mod stopwatch;
mod stuck;

use observe::Observer;
use operator::Operator;
use stopwatch::Stopwatch;
use stuck::Stuck;

/// How long one look at the input waits: the most that a stop or a commit is late.
const POLL: Duration = Duration::from_millis(100);
/// The same while rules are given their past, which is taken up once a turn.
const SHORT_POLL: Duration = Duration::from_millis(2);
/// Without a turn for this long the process counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the console may take to let its clients go.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a person may ask of a program that runs.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    /// Whether it is to stop.
    pub stop: &'a dyn Fn() -> bool,
    /// Whether rules and reference tables are to be read again now; asked once a turn.
    pub reload: &'a dyn Fn() -> bool,
}

/// Runs until the input ends or `control` says so, with the rules of the loader, which looks for others while it runs.
pub fn run(config: &Config, loader: Loader, control: &Control<'_>, stop_within: Duration) -> anyhow::Result<()> {
    let setups = loader.running().to_vec();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let metrics = Arc::new(Metrics::new());
    let health = Arc::new(Health::new(PATIENCE));
    let (asker, mut questions) = console::api::questions();
    let served = match config.console.clone() {
        Some(console) => {
            let served = runtime.block_on(console::serve(console, Arc::clone(&metrics), Arc::clone(&health), asker));
            Some(served.context("the console can't listen")?)
        }
        None => None,
    };
    let opened = SledStore::open(&config.store.path, config.store.options)?;
    if let Some(reason) = &opened.rebuilt {
        metrics.store_rebuilt();
        tracing::error!(%reason, "the store was unusable; starting with an empty one");
    }
    let store: Arc<dyn StateStore> = Arc::new(opened.store);
    let (journal, remembered) = open_journal(&config.store.path)?;
    health.store_open(true);
    let delivery = setup::delivery(config, runtime.handle(), Arc::clone(&store))?;
    let formats = config.formats()?;
    let input = config.input.clone();
    let open = move |since, until: &_| setup::past(&input, since, until);
    let parts = Parts {
        router: Some(
            Router::new(config.routes.clone(), &setups).redacting(config.redaction.with_store(store.as_ref())?),
        ),
        delivery: Some(delivery),
        dlq: Some(setup::dead_letters("dlq", &config.dlq)?),
        late: Some(setup::dead_letters("late", &config.late)?),
        store: Some(Arc::clone(&store)),
        journal: Some((journal, remembered)),
        cases: Some(Cases::open(config.cases, Some(Arc::clone(&store)))?),
        backfiller: Some(Backfiller::new(open, formats.clone(), config.core.skew)),
        commit_interval: config.store.commit_interval,
        clock: Some(Box::new(|| Timestamp::from_micros(chrono::Utc::now().timestamp_micros()))),
    };
    let intake = Intake::from_source(setup::source(&config.input, &config.snapshots)?, formats, setup::BATCH_RECORDS);
    let mut core = Core::new(config.core, setups);
    core.except(config.rules.exceptions.clone());
    if config.inventory.enabled {
        core.keep_books(config.inventory.limits);
    }
    core.keep_cold(Box::new(StoreShelf::new(Arc::clone(&store))), config.row_memory);
    let mut pipeline = Pipeline::resume(intake, core, parts)?;
    pipeline.name(loader.aliases());
    pipeline.share(config.shared_principals.clone());
    pipeline.refer_to(loader.reference());
    let stopwatch = Stopwatch::new(config.rule_time);
    pipeline.set_meter(Box::new(stopwatch.clone()));
    health.ask_what_runs({
        let stopwatch = stopwatch.clone();
        move || stopwatch.running().map(|(rule, since)| format!("it has been in rule {rule} for {} s", since.as_secs()))
    });
    let watcher = Watcher::start(loader, config.rules.reload_every)?;
    let stuck = Stuck::watch(&config.store.path, stopwatch.clone(), PATIENCE)?;
    if let Some((rule, reason)) = stuck.left_behind() {
        pipeline.stop_rule(rule, reason);
    }
    tracing::info!("running");

    let now = || Timestamp::from_micros(chrono::Utc::now().timestamp_micros());
    let mut operator = Operator::new(config, store.as_ref(), now());
    let mut observer = Observer::new(&metrics);
    let result = loop {
        if (control.stop)() {
            break Ok(());
        }
        if (control.reload)() {
            watcher.ask();
            reread(&config.formats);
        }
        if let Some(loaded) = watcher.take()
            && let Err(error) = take_up(loaded, &mut pipeline, &metrics)
        {
            break Err(error);
        }
        for (rule, took) in stopwatch.take_overran() {
            let reason = format!(
                "it took {:.1} s for one batch, `limits.rule_time` is {}",
                took.as_secs_f64(),
                humantime::format_duration(config.rule_time)
            );
            pipeline.stop_rule(rule, reason);
        }
        let wait = if pipeline.core().is_giving_pasts() { SHORT_POLL } else { POLL };
        match pipeline.turn(wait) {
            Ok(turn) => {
                health.beat();
                stuck.moved();
                health.source_assigned(pipeline.intake().is_assigned());
                observer.turn(&turn, &pipeline, store.as_ref(), &stopwatch, &health);
                if let Some(report) = operator.turn(now(), &turn, &pipeline)
                    && let Err(error) = pipeline.tell(report.messages, report.remember)
                {
                    break Err(error);
                }
                let standing = operator.standing();
                metrics.operator.stand(&standing);
                health.operator(standing);
                questions.turn(&mut pipeline, &turn);
                log(&turn);
                if turn.ended {
                    break Ok(());
                }
            }
            Err(error) => break Err(error),
        }
    };
    health.stopping();
    let started = Instant::now();
    let closed = result.and_then(|()| pipeline.close(stop_within / 2));
    let delivery = closed.inspect_err(|error| tracing::error!(%error, "stopping on a failure"))?;
    // Whoever still waits for an answer is told that there is none, and listeners that it is over.
    drop(questions);
    if let Some(served) = served {
        let _ = runtime.block_on(async { tokio::time::timeout(FAREWELL, served.stop()).await });
    }
    if let Some(delivery) = delivery {
        let left = runtime.block_on(delivery.stop(stop_within.saturating_sub(started.elapsed())));
        tracing::info!(left, "stopped; what is left is delivered by the next start");
    }
    Ok(())
}

/// Opens the journal beside the store.
fn open_journal(store: &Path) -> anyhow::Result<(Journal, journal::Said)> {
    let mut name = store.as_os_str().to_owned();
    name.push(".journal");
    let path = PathBuf::from(name);
    let (journal, said) =
        Journal::open(&path).with_context(|| format!("the journal {} can't be opened", path.display()))?;
    if said.damaged > 0 {
        tracing::warn!(path = %path.display(), lines = said.damaged, "the journal has lines that can't be read");
    }
    Ok((journal, said))
}

/// Runs what was loaded, and says what was not.
fn take_up(loaded: Loaded, pipeline: &mut Pipeline, metrics: &Metrics) -> Result<(), Error> {
    for problem in &loaded.problems {
        tracing::error!(%problem, "not taken up; what runs goes on as it is");
    }
    metrics.rules_loaded(loaded.problems.is_empty());
    if let Some(aliases) = loaded.aliases {
        tracing::info!(rows = aliases.rows().len(), "alias file taken up");
        pipeline.name(aliases);
    }
    if let Some(reference) = loaded.reference {
        pipeline.refer_to(reference);
    }
    if let Some(formats) = loaded.formats {
        tracing::info!("formats of one's own have changed; what comes from here on is read with them");
        pipeline.set_formats(formats);
    }
    match loaded.setups {
        Some(setups) => pipeline.reload(Reload { setups, revive: loaded.asked }),
        None => Ok(()),
    }
}

/// Has the formats read again what they depend on, such as keys; the same formats are in use everywhere.
fn reread(formats: &Registry) {
    for (format, told) in formats.reread() {
        match told {
            Ok(told) => tracing::info!(format, "read again: {told}"),
            Err(error) => tracing::error!(format, %error, "not read again; what was read before stays in force"),
        }
    }
}

/// What became of the rules, each in a line of its own.
fn log_rules(turn: &Turn) {
    for news in &turn.rules {
        let (rule, version) = (&news.rule, &news.version);
        let warming_until = match news.warming_until {
            None => "no time: it is warm".to_owned(),
            Some(Timestamp::MAX) => "its planes are heard".to_owned(),
            Some(until) => until.to_string(),
        };
        match &news.change {
            RuleChange::Stopped { reason } => {
                tracing::error!(%rule, %version, %reason, "rule stopped; the others go on")
            }
            RuleChange::Added => tracing::info!(%rule, %version, %warming_until, "rule added"),
            RuleChange::Edited => tracing::info!(%rule, %version, %warming_until, "rule edited"),
            RuleChange::Revived => tracing::info!(%rule, %version, %warming_until, "rule started anew"),
            RuleChange::Backfilled { failed: None } => {
                tracing::info!(%rule, %version, %warming_until, "rule has its past")
            }
            RuleChange::Backfilled { failed: Some(reason) } => {
                tracing::error!(%rule, %version, %warming_until, %reason, "rule has not got all of its past")
            }
            RuleChange::Removed => tracing::info!(%rule, %version, "rule removed"),
            RuleChange::ReferenceChanged { after } => {
                tracing::info!(%rule, %version, %after, "rule reads new reference data for what happens from here on");
            }
        }
    }
}

fn log(turn: &Turn) {
    log_rules(turn);
    for incident in &turn.incidents {
        tracing::info!(
            incident_id = %incident.incident_id, revision = incident.revision, verdict = incident.verdict.name(),
            severity = incident.severity.name(), signals = incident.signals.len(), "incident revised"
        );
    }
    for (incident_id, held) in &turn.held_back {
        let (receiver, plane) = (&held.receiver, held.plane.name());
        tracing::info!(%incident_id, %receiver, plane, hold = ?held.hold, "nobody is called about it now");
    }
    for notification in &turn.notifications {
        tracing::info!(
            notification_id = %notification.notification_id, incident_id = %notification.incident_id,
            receiver = %notification.receiver, "notification queued"
        );
    }
}
