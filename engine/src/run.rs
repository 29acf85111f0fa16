//! `watershed run`: the pipeline beside a SIEM, until it is asked to stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::config::Config;
use crate::console::{self, Health, Metrics};
use crate::core::Core;
use crate::evaluator::RuleSetup;
use crate::intake::Intake;
use crate::pipeline::{Parts, Pipeline, Turn};
use crate::router::Router;
use crate::setup;
use crate::store::{SledStore, StateStore};

mod observe;

use observe::Observer;

/// How long one look at the input waits: the most that a stop or a commit is late.
const POLL: Duration = Duration::from_millis(100);
/// Without a turn for this long the process counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs until the input ends or `stop` says so.
pub fn run(
    config: &Config,
    setups: Vec<RuleSetup>,
    stop: &dyn Fn() -> bool,
    stop_within: Duration,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let metrics = Arc::new(Metrics::new());
    let health = Arc::new(Health::new(PATIENCE));
    let _served = match config.console {
        Some(address) => {
            let served = runtime.block_on(console::serve(address, Arc::clone(&metrics), Arc::clone(&health)));
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
    health.store_open(true);
    let delivery = setup::delivery(config, runtime.handle(), Arc::clone(&store))?;
    let parts = Parts {
        router: Some(Router::new(config.routes.clone(), &setups)),
        delivery: Some(delivery),
        dlq: Some(setup::dead_letters("dlq", &config.dlq)?),
        late: Some(setup::dead_letters("late", &config.late)?),
        store: Some(Arc::clone(&store)),
        commit_interval: config.store.commit_interval,
    };
    let intake = Intake::from_source(setup::source(&config.input)?, config.formats()?, setup::BATCH_RECORDS);
    let mut pipeline = Pipeline::resume(intake, Core::new(config.core, setups), parts)?;
    tracing::info!("running");

    let mut observer = Observer::new(&metrics);
    let result = loop {
        if stop() {
            break Ok(());
        }
        match pipeline.turn(POLL) {
            Ok(turn) => {
                health.beat();
                health.source_assigned(pipeline.intake().is_assigned());
                observer.turn(&turn, &pipeline, store.as_ref());
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
    if let Some(delivery) = delivery {
        let left = runtime.block_on(delivery.stop(stop_within.saturating_sub(started.elapsed())));
        tracing::info!(left, "stopped; what is left is delivered by the next start");
    }
    Ok(())
}

fn log(turn: &Turn) {
    for incident in &turn.incidents {
        tracing::info!(
            incident_id = %incident.incident_id, revision = incident.revision, verdict = incident.verdict.name(),
            severity = incident.severity.name(), signals = incident.signals.len(), "incident revised"
        );
    }
    for notification in &turn.notifications {
        tracing::info!(
            notification_id = %notification.notification_id, incident_id = %notification.incident_id,
            receiver = %notification.receiver, "notification queued"
        );
    }
}
