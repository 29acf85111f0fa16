//! The sections of the file as written. Doc comments here are the text of `docs/config.md`.

mod input;
mod per_plane;
mod routing;
mod running;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use watershed_connectors::formats::avro::SchemaRegistrySettings;
use watershed_connectors::sources::snapshot::Snapshot;

pub use per_plane::PerPlane;

pub(super) use input::{DeadLetters, Formats, Input, PlaneTimes, Time};
pub(super) use routing::{
    Delivery, Escalation, Inhibition, Interval, Receiver, Redacting, Route, Routing, Silence, Team,
};
#[cfg(test)]
pub(super) use running::RuleOverride;
pub(super) use running::{
    Console, Incidents, Inventory, Limits, Log, Mode, Operator, Reference, RuleException, Rules, Store,
};

/// The whole file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    /// Where telemetry comes from.
    pub(super) input: Input,
    /// Where the schemas of records in the format `avro` are. Needed where a topic of Kafka has that format.
    #[serde(skip_serializing)]
    pub(super) schema_registry: Option<SchemaRegistrySettings>,
    /// What was already so when the logs begin: exports of users and accounts, read once.
    #[serde(skip_serializing)]
    pub(super) snapshots: Vec<Snapshot>,
    /// Formats of one's own.
    pub(super) formats: Formats,
    /// How event time is treated.
    pub(super) time: Time,
    /// Which rules run, and how this installation has tuned them.
    pub(super) rules: Rules,
    /// Reference tables.
    pub(super) reference: Reference,
    /// What falls out of the streams beside incidents.
    pub(super) inventory: Inventory,
    /// How signals become incidents.
    pub(super) incidents: Incidents,
    /// The embedded store.
    pub(super) store: Store,
    /// Everybody who can be told.
    #[serde(skip_serializing)]
    pub(super) receivers: Vec<Receiver>,
    /// Who is told of what.
    pub(super) routing: Routing,
    /// What stands in messages for what a receiver is not shown.
    pub(super) redaction: Redacting,
    /// What all deliveries share.
    pub(super) delivery: Delivery,
    /// What the team `operator` is told of the engine itself: a plane that is silent, dead letters that grow, a rule that was
    /// stopped or lacks rows, a receiver that takes nothing, an outbox that is full.
    pub(super) operator: Operator,
    /// Where records go that no row could be made of.
    #[serde(skip_serializing)]
    pub(super) dlq: DeadLetters,
    /// Where rows go that came too late, or from too far in the future.
    #[serde(skip_serializing)]
    pub(super) late: DeadLetters,
    /// Bounds. Reaching one is counted and visible; none is reached silently.
    pub(super) limits: Limits,
    /// The HTTP server: `/metrics`, `/healthz`, `/readyz`, and `/api/v1`.
    pub(super) console: Console,
    /// Log output, on standard error.
    pub(super) log: Log,
}

impl Raw {
    /// A file beside the store, where the section that it belongs to names none.
    pub(super) fn beside_store(&self, name: &str) -> PathBuf {
        self.store.path.join(name)
    }
}
