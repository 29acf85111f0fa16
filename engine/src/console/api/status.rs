//! How rules, sources and receivers stand.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use watershed_schemas::{Plane, PlaneCoverage, RulePlane, Severity, Timestamp};

use super::problem::Problem;
use super::route::{Asked, json};
use crate::core::Core;
use crate::evaluator::{RuleSetup, RuleStatus};

/// All rules that are loaded.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Rules {
    /// The rules, by id.
    rules: Vec<Rule>,
}

/// How a rule is doing, in one word: the first that is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RuleState {
    /// It failed or took too much, and no longer runs.
    Stopped,
    /// The log is read again for it.
    Backfilling,
    /// It has not yet seen all that it looks back to.
    Warming,
    /// Rows are missing for some of its keys.
    Degraded,
    /// Nothing is wrong.
    Running,
}

/// One rule.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Rule {
    /// Its id.
    rule: String,
    /// What it finds.
    title: String,
    /// Whose findings they are.
    plane: RulePlane,
    /// How bad they are here.
    severity: Severity,
    /// Whether it gives signals only, and no incident.
    shadow: bool,
    /// How it is doing.
    state: RuleState,
    /// Hash of its SQL and key columns.
    version: String,
    /// Why it was stopped; absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<String>,
    /// Event time from which on it says everything; absent where it does already, or nobody knows yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    warming_until: Option<Timestamp>,
    /// How much of the log was read again for it, of a hundred; absent where none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    backfilled_percent: Option<u8>,
    /// Keys for which rows are missing.
    degraded_keys: usize,
    /// Keys that it remembers.
    keys: usize,
    /// Rows that it remembers.
    rows: usize,
    /// Bytes that it holds; what it shares is counted in each.
    bytes: usize,
    /// Times that its plan was run.
    evaluations: u64,
    /// Findings that it did not say because of what it lacked.
    unsaid: u64,
}

impl Rule {
    fn of(setup: &RuleSetup, status: RuleStatus) -> Self {
        let state = match &status {
            RuleStatus { stopped: Some(_), .. } => RuleState::Stopped,
            RuleStatus { backfilling: Some(_), .. } => RuleState::Backfilling,
            RuleStatus { warming_until: Some(_), .. } => RuleState::Warming,
            RuleStatus { degraded_keys: 1.., .. } => RuleState::Degraded,
            _ => RuleState::Running,
        };
        Rule {
            title: setup.rule.meta.title.clone(),
            plane: setup.rule.meta.plane,
            severity: setup.severity,
            shadow: setup.shadow,
            state,
            rule: status.rule,
            version: status.version,
            stopped: status.stopped,
            warming_until: status.warming_until.filter(|until| *until != Timestamp::MAX),
            backfilled_percent: status.backfilling.map(|backfilling| backfilling.percent),
            degraded_keys: status.degraded_keys,
            keys: status.keys,
            rows: status.rows,
            bytes: status.bytes,
            evaluations: status.tally.evaluations,
            unsaid: status.tally.suppressed + status.tally.held_back,
        }
    }
}

pub(super) async fn rules(asked: Asked) -> Result<Response, Problem> {
    let rules = asked.console.asker().look(|engine| {
        let core = engine.core();
        let mut statuses: Vec<RuleStatus> = core.statuses().collect();
        statuses.sort_by(|a, b| a.rule.cmp(&b.rule));
        let setup_of = |id: &str| core.setups().iter().find(|setup| setup.rule.meta.id == id);
        statuses.into_iter().filter_map(|status| Some(Rule::of(setup_of(&status.rule)?, status))).collect::<Vec<Rule>>()
    });
    Ok(json(&Rules { rules: rules.await? }))
}

/// What is read, and how far.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Sources {
    /// Both planes.
    planes: Vec<PlaneState>,
    /// Every partition or file that was read.
    partitions: Vec<Partition>,
    /// Whether the source has its partitions.
    assigned: bool,
    /// Records that the source holds and that were not read yet; absent where it does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_records: Option<u64>,
}

/// How far one plane is.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct PlaneState {
    /// Which.
    plane: Plane,
    /// Event time of its newest row; absent where none was heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<Timestamp>,
    /// Event time up to which it is complete; absent where nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    watermark: Option<Timestamp>,
    /// Whether it is heard, against the newest row of both planes.
    coverage: PlaneCoverage,
}

/// One partition.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Partition {
    /// Of which plane.
    plane: Plane,
    /// Topic, or file.
    topic: String,
    /// Number.
    partition: i32,
    /// The next record, or how many were read.
    next: i64,
}

/// A time that stands for one.
fn real(time: Timestamp) -> Option<Timestamp> {
    (time != Timestamp::MIN && time != Timestamp::MAX).then_some(time)
}

/// Whether a plane is heard, as an incident of the newest row's time would say it.
fn coverage(core: &Core, plane: Plane) -> PlaneCoverage {
    let watermarks = core.watermarks();
    let newest = Plane::ALL.map(|plane| watermarks.heard(plane)).into_iter().max().unwrap_or(Timestamp::MIN);
    match watermarks.heard(plane) {
        Timestamp::MIN => PlaneCoverage::NeverSeen,
        heard if heard.plus(core.settings().incidents.silence_after) < newest => PlaneCoverage::Silent { since: heard },
        heard if heard.plus(watermarks.out_of_orderness(plane)) < newest => {
            PlaneCoverage::Lagging { by: newest.micros().saturating_sub(heard.micros()) / 1_000_000 }
        }
        _ => PlaneCoverage::Observed,
    }
}

pub(super) async fn sources(asked: Asked) -> Result<Response, Problem> {
    let sources = asked.console.asker().look(|engine| {
        let core = engine.core();
        let plane_state = |plane: Plane| PlaneState {
            plane,
            newest: real(core.watermarks().heard(plane)),
            watermark: real(core.watermarks().of(plane)),
            coverage: coverage(core, plane),
        };
        let planes = Plane::ALL.map(plane_state).into();
        let intake = engine.intake();
        let positions = intake.map(|intake| intake.positions()).unwrap_or_default();
        let partition = |(partition, next): (&watershed_connectors::Partition, &i64)| Partition {
            plane: partition.plane,
            topic: partition.topic.to_string(),
            partition: partition.index,
            next: *next,
        };
        Sources {
            planes,
            partitions: positions.iter().map(partition).collect(),
            assigned: intake.is_some_and(|intake| intake.is_assigned()),
            lag_records: intake.and_then(|intake| intake.lag()),
        }
    });
    Ok(json(&sources.await?))
}

/// Everybody who can be told.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Receivers {
    /// The receivers, in the order of the configuration. Counts are since the start of the process.
    receivers: Vec<Receiver>,
}

/// One receiver.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Receiver {
    /// Its name.
    name: String,
    /// Its kind.
    kind: String,
    /// `up`; `down`, where it failed so often that it is only probed; `gone`, where it said so.
    state: String,
    /// Messages that wait for it.
    pending: usize,
    /// How long the oldest of them has waited, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_pending_seconds: Option<f64>,
    /// Messages that it accepted.
    sent: u64,
    /// Attempts that failed and are made again.
    retried: u64,
    /// Messages that it refused for good.
    refused: u64,
    /// Messages that went out inside a newer one about the same incident.
    coalesced: u64,
    /// Messages that moved to the fallback.
    rerouted: u64,
    /// Messages that nobody took and that went to the dead letters.
    dead_lettered: u64,
    /// Why the last attempt that failed did.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

pub(super) async fn receivers(asked: Asked) -> Result<Response, Problem> {
    let receivers = asked.console.asker().look(|engine| engine.receivers()).await?;
    let receivers = receivers.into_iter().map(|receiver| Receiver {
        name: receiver.name,
        kind: receiver.kind.to_owned(),
        state: receiver.state.name().to_owned(),
        pending: receiver.pending,
        oldest_pending_seconds: receiver.oldest_pending.map(|oldest| oldest.as_secs_f64()),
        sent: receiver.sent,
        retried: receiver.retried,
        refused: receiver.refused,
        coalesced: receiver.coalesced,
        rerouted: receiver.rerouted,
        dead_lettered: receiver.dead_lettered,
        last_error: receiver.last_error,
    });
    Ok(json(&Receivers { receivers: receivers.collect() }))
}
