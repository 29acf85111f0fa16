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
    /// Its telemetry still comes, but what was read of it does not reach the time of the incident yet.
    Lagging {
        /// By how many seconds.
        by: i64,
    },
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
    /// Agents that its evidence names, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
    /// Credentials that its evidence names, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<String>,
    /// Tags of its rules, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Entries of public frameworks that its rules name, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frameworks: Vec<String>,
    /// What verdict, severity and origin were reckoned from.
    #[serde(default, skip_serializing_if = "Because::is_empty")]
    pub because: Because,
    /// What this revision says otherwise than the one before, by field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Incidents of other entities that share something with this one; they are never merged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<RelatedIncident>,
    /// What a person last said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled: Option<Handled>,
}

impl IncidentRevision {
    /// A first revision that says no more than this: open, of unknown origin, both planes observed.
    pub fn opened(incident_id: &str, tenant: &str, verdict: Verdict, at: Timestamp) -> Self {
        let mut owners: Vec<String> = verdict.planes().iter().map(|plane| plane.team().to_owned()).collect();
        owners.sort_unstable();
        IncidentRevision {
            incident_id: incident_id.to_owned(),
            revision: 1,
            status: IncidentStatus::Open,
            verdict,
            origin: Origin::Undetermined,
            coverage: Coverage { model: PlaneCoverage::Observed, access: PlaneCoverage::Observed },
            severity: Severity::Info,
            tenant: tenant.to_owned(),
            principal: None,
            sessions: Vec::new(),
            first_event_time: at,
            last_event_time: at,
            scores: PlaneScores::default(),
            rules: Vec::new(),
            signals: Vec::new(),
            owners,
            reason: "opened".to_owned(),
            merged_into: None,
            continues: None,
            marks: BTreeSet::new(),
            agents: Vec::new(),
            credentials: Vec::new(),
            tags: Vec::new(),
            frameworks: Vec::new(),
            because: Because::default(),
            changes: Vec::new(),
            related: Vec::new(),
            handled: None,
        }
    }
}

/// Everything that a reader needs to reckon a verdict by hand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Because {
    /// The score at which a plane is in the verdict.
    pub thresholds: PlaneScores,
    /// What each rule added, by rule id.
    pub rules: Vec<Contribution>,
    /// When each plane moved first, by its own evidence; absent where it did not.
    pub first_moved: FirstMoved,
    /// Moves that are nearer to each other than this, in seconds, say nothing about who was first.
    pub clock_skew: f64,
}

impl Because {
    /// Whether no rule says anything: everything was withdrawn.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// What one rule adds to the scores of an incident: `weight × factor`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Contribution {
    /// Id of the rule.
    pub rule: String,
    /// How bad its signals are at worst.
    pub severity: Severity,
    /// Its standing signals.
    pub count: u32,
    /// What one of its signals counts.
    pub weight: PlaneScores,
    /// What repeats make of it: 1 for one signal, and ever less for each more.
    pub factor: f64,
    /// What it adds.
    pub score: PlaneScores,
}

/// When each plane moved first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FirstMoved {
    /// The model plane.
    pub model: Option<Timestamp>,
    /// The access plane.
    pub access: Option<Timestamp>,
}

/// One field that a revision says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Name of the field of the revision, such as `severity`.
    pub field: String,
    /// What it said; of a list, what is gone.
    pub before: serde_json::Value,
    /// What it says; of a list, what is new.
    pub after: serde_json::Value,
}

/// What two incidents of different entities share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Shared {
    /// A credential.
    Credential,
    /// A session.
    Session,
    /// An agent.
    Agent,
}

/// An incident of another entity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct RelatedIncident {
    /// Its id.
    pub incident_id: String,
    /// What the two share.
    pub shares: Shared,
    /// Id of what they share.
    pub value: String,
}

/// What became of an incident in the end, as a person judged it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// It was what the verdict says.
    TruePositive,
    /// It happened, and was allowed.
    Benign,
    /// It did not happen.
    FalsePositive,
}

/// What a person may say of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "act")]
pub enum Act {
    /// Has taken it.
    Acknowledge,
    /// Is done with it.
    Close {
        /// What it was.
        disposition: Disposition,
    },
    /// Takes it up again.
    Reopen,
    /// Has something to add.
    Comment,
}

/// What a person said of an incident, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Handled {
    /// What was said.
    #[serde(flatten)]
    pub act: Act,
    /// Who said it.
    pub by: String,
    /// When, by the clock of the engine.
    pub at: Timestamp,
    /// In their own words; obligatory for comments and false positives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
