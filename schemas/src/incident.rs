//! What the signals of one entity in one episode amount to.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plane::Plane;
use crate::signal::{Mark, Severity};
use crate::timestamp::Timestamp;

/// Which planes an incident is evidenced in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The model plane alone.
    ModelAbuse,
    /// The access plane alone.
    AccessCompromise,
    /// Both planes.
    Both,
}

impl Verdict {
    /// The verdict for this set of planes; none where no plane is in.
    pub fn of(model: bool, access: bool) -> Option<Verdict> {
        match (model, access) {
            (true, true) => Some(Verdict::Both),
            (true, false) => Some(Verdict::ModelAbuse),
            (false, true) => Some(Verdict::AccessCompromise),
            (false, false) => None,
        }
    }

    /// The planes that are in the verdict.
    pub fn planes(self) -> &'static [Plane] {
        match self {
            Verdict::ModelAbuse => &[Plane::Model],
            Verdict::AccessCompromise => &[Plane::Access],
            Verdict::Both => &Plane::ALL,
        }
    }

    /// `model_abuse`, `access_compromise` or `both`.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::ModelAbuse => "model_abuse",
            Verdict::AccessCompromise => "access_compromise",
            Verdict::Both => "both",
        }
    }
}

/// Which plane moved first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The model plane.
    Model,
    /// The access plane.
    Access,
    /// Too close to call with clocks that differ.
    Undetermined,
}

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IncidentStatus {
    /// New evidence may still arrive.
    Open,
    /// A person has taken it.
    Acknowledged,
    /// Quiet for the gap.
    Resolved,
    /// Closed by a person.
    Closed,
    /// Became part of an older incident.
    Merged,
    /// Every signal was taken back.
    Withdrawn,
}

/// Whether a plane was heard when the verdict was given. A verdict about one plane while the other is dead is a
/// different statement from one while the other is heard and quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum PlaneCoverage {
    /// Its telemetry reaches the time of the incident.
    Observed,
    /// Its telemetry ended before the incident did.
    Silent {
        /// Event time of the last row heard.
        since: Timestamp,
    },
    /// No row was ever heard.
    NeverSeen,
}

/// The coverage of both planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// Of the model plane.
    pub model: PlaneCoverage,
    /// Of the access plane.
    pub access: PlaneCoverage,
}

/// How much evidence each plane has gathered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlaneScores {
    /// Of the model plane.
    pub model: f64,
    /// Of the access plane.
    pub access: f64,
}

/// One revision of one incident. A line of `--incidents` is this object; the last revision of each id is the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IncidentRevision {
    /// Stable over revisions, restarts and rebuilds.
    pub incident_id: String,
    /// 1 for the first.
    pub revision: u32,
    /// Where it stands.
    pub status: IncidentStatus,
    /// Which planes are in.
    pub verdict: Verdict,
    /// Which plane moved first.
    pub origin: Origin,
    /// Whether both planes were heard.
    pub coverage: Coverage,
    /// The worst severity among its signals.
    pub severity: Severity,
    /// The organisation.
    pub tenant: String,
    /// The identity, where known.
    pub principal: Option<String>,
    /// Every session seen in it, sorted.
    pub sessions: Vec<String>,
    /// Event time of the first signal.
    pub first_event_time: Timestamp,
    /// Event time of the last signal.
    pub last_event_time: Timestamp,
    /// The evidence of each plane.
    pub scores: PlaneScores,
    /// Ids of the rules that found something, sorted.
    pub rules: Vec<String>,
    /// Ids of its signals, sorted.
    pub signals: Vec<String>,
    /// The teams that own the planes in the verdict, sorted.
    pub owners: Vec<String>,
    /// Why this revision was written, such as `opened` or `verdict grew from model_abuse to both`.
    pub reason: String,
    /// The older incident that this one became part of, where `status` is `merged`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
    /// The earlier incident that this one continues, where the earlier reached the maximum duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<String>,
    /// What was not whole behind its standing signals: see [`Mark`]; absent where everything was.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub marks: BTreeSet<Mark>,
}
