//! What a receiver is told about one revision of one incident.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::incident::{Coverage, IncidentStatus, Origin, Verdict};
use crate::plane::Plane;
use crate::signal::Severity;
use crate::timestamp::Timestamp;

/// Why somebody is told. Nothing else notifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotifyReason {
    /// A new incident.
    Opened,
    /// A plane joined the verdict.
    VerdictGrew,
    /// The worst severity rose.
    SeverityRose,
    /// Signals were taken back and the verdict with them.
    Withdrawn,
    /// Quiet for the gap, or closed, or merged into an older incident.
    Resolved,
}

/// One piece of evidence, already redacted for the receiver's plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceItem {
    /// When it happened.
    pub event_time: Timestamp,
    /// Which plane's event it is.
    pub plane: Plane,
    /// Id of the event.
    pub event_id: String,
    /// Kind of the event.
    pub kind: String,
    /// One line for a person: tool, verdict, address and the like. May hold hostile text: sinks escape it.
    pub summary: String,
}

/// The half of a `both` incident that another team holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Related {
    /// The team that was told the other half.
    pub team: String,
    /// The incident both halves belong to.
    pub incident_id: String,
}

/// One message to one receiver about one revision of one incident. It holds only what the receiver's team may see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Notification {
    /// Constant over delivery attempts, of `[A-Za-z0-9_-]`: receivers drop repeats by it.
    pub notification_id: String,
    /// Name of the receiver in the configuration.
    pub receiver: String,
    /// The team that it is written for, such as `ai-security` or `iam`.
    pub team: String,
    /// The planes whose evidence it may show.
    pub planes: Vec<Plane>,
    /// Why it is sent.
    pub reason: NotifyReason,
    /// The incident.
    pub incident_id: String,
    /// Its revision.
    pub revision: u32,
    /// Where it stands.
    pub status: IncidentStatus,
    /// Which planes are in.
    pub verdict: Verdict,
    /// Which plane moved first.
    pub origin: Origin,
    /// Whether both planes were heard.
    pub coverage: Coverage,
    /// The worst severity among the signals that it shows.
    pub severity: Severity,
    /// The organisation.
    pub tenant: String,
    /// The identity, else absent.
    pub principal: Option<String>,
    /// The sessions.
    pub sessions: Vec<String>,
    /// One line: what happened and to whom. May hold hostile text: sinks escape it.
    pub title: String,
    /// What to do first, for this team.
    pub first_move: String,
    /// Titles of the rules that fired on the team's plane, sorted by rule id.
    pub rules: Vec<RuleMention>,
    /// Event time of the first signal.
    pub first_event_time: Timestamp,
    /// Event time of the last signal.
    pub last_event_time: Timestamp,
    /// What shows it, oldest first, bounded.
    pub evidence: Vec<EvidenceItem>,
    /// How many pieces of evidence were left out.
    pub evidence_omitted: usize,
    /// The halves that other teams hold.
    pub related: Vec<Related>,
}

/// A rule as a message mentions it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleMention {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Where to read what to do.
    pub runbook: Option<String>,
}
