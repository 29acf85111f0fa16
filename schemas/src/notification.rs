//! What a receiver is told about one revision of one incident.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::case::{BlastRadius, FirstMove};
use crate::incident::{
    Because, Coverage, Handled, IncidentRevision, IncidentStatus, Origin, PlaneScores, RelatedIncident, Verdict,
};
use crate::notice::Notice;
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
    /// Somebody has taken it: the message that stands is brought up to date, nobody is called.
    Acknowledged,
    /// It still stands after the repeat interval.
    Repeated,
    /// Nobody took it in time: the next receiver of the chain is told.
    Escalated,
}

impl NotifyReason {
    /// The name in snake case.
    pub fn name(self) -> &'static str {
        match self {
            NotifyReason::Opened => "opened",
            NotifyReason::VerdictGrew => "verdict_grew",
            NotifyReason::SeverityRose => "severity_rose",
            NotifyReason::Withdrawn => "withdrawn",
            NotifyReason::Resolved => "resolved",
            NotifyReason::Acknowledged => "acknowledged",
            NotifyReason::Repeated => "repeated",
            NotifyReason::Escalated => "escalated",
        }
    }
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

/// The half of a `both` incident that nobody has been told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Untold {
    /// Whose half.
    pub plane: Plane,
    /// Why nobody was told, where that is known: a silence, a mute time, a graver incident, a group that waits, no receiver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
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
    /// The halves that other teams hold: those that were told of them, or are told in the same step.
    pub related: Vec<Related>,
    /// The half that nobody has been told of, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untold: Option<Untold>,
    /// Whether this receiver was told of the incident before, and that it was over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reopened: bool,
    /// What receivers fold repeats by: `incident:plane:n`, or `group:plane:n` where incidents are grouped. It changes where a verdict
    /// or severity has grown beyond what an open page says.
    #[serde(default)]
    pub dedup_key: String,
    /// The key before, where this message takes the place of one with another key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// Steps for this team, most urgent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first_moves: Vec<FirstMove>,
    /// What the other team was told to do first, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub their_first_move: Option<String>,
    /// The evidence of each plane.
    #[serde(default)]
    pub scores: PlaneScores,
    /// What verdict, severity and origin were reckoned from; rules that count for planes alone that it does not show are left out,
    /// and `withheld` says how many.
    #[serde(default, skip_serializing_if = "Because::is_empty")]
    pub because: Because,
    /// How far it reaches, as far as this team may see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blast_radius: Option<BlastRadius>,
    /// Agents that its evidence names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
    /// Tags of its rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Entries of public frameworks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frameworks: Vec<String>,
    /// Other incidents that share a credential, a session or an agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<RelatedIncident>,
    /// What a person last said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled: Option<Handled>,
    /// Where to read more: the page of the incident, where `console.external_url` is set. The other half is there too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The incidents that it speaks of, where a route groups them; this message is about the gravest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// What was kept from this receiver, and how often.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Withheld>,
    /// What it says of the engine itself: then it is about no incident, and `verdict` has no meaning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<Notice>,
    /// What the receiver's template made of it, in lines; absent where it has none. The title is the template's then too. May
    /// hold hostile text on each line: sinks escape it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Notification {
    /// First characters of the id of what is no incident, but shows that a receiver can be reached.
    pub const TEST: &str = "test-";

    /// Whether it only shows that a receiver can be reached.
    pub fn is_test(&self) -> bool {
        self.incident_id.starts_with(Notification::TEST)
    }

    /// A message about a revision with nothing but what the revision itself says.
    pub fn about(
        incident: &IncidentRevision,
        receiver: &str,
        team: &str,
        planes: &[Plane],
        reason: NotifyReason,
    ) -> Self {
        let planes = planes.to_vec();
        let plane = match planes.as_slice() {
            [plane] => plane.name(),
            _ => "both",
        };
        Notification {
            notification_id: format!("{}-{}-{receiver}", incident.incident_id, incident.revision),
            receiver: receiver.to_owned(),
            team: team.to_owned(),
            dedup_key: format!("{}:{plane}:1", incident.incident_id),
            planes,
            reason,
            incident_id: incident.incident_id.clone(),
            revision: incident.revision,
            status: incident.status,
            verdict: incident.verdict,
            origin: incident.origin,
            coverage: incident.coverage,
            severity: incident.severity,
            tenant: incident.tenant.clone(),
            principal: incident.principal.clone(),
            sessions: incident.sessions.clone(),
            title: String::new(),
            first_move: String::new(),
            rules: Vec::new(),
            first_event_time: incident.first_event_time,
            last_event_time: incident.last_event_time,
            evidence: Vec::new(),
            evidence_omitted: 0,
            related: Vec::new(),
            untold: None,
            reopened: false,
            replaces: None,
            first_moves: Vec::new(),
            their_first_move: None,
            scores: incident.scores,
            because: Because::default(),
            blast_radius: None,
            agents: Vec::new(),
            tags: Vec::new(),
            frameworks: Vec::new(),
            shares: Vec::new(),
            handled: incident.handled.clone(),
            link: None,
            group: None,
            withheld: Vec::new(),
            notice: None,
            text: None,
        }
    }
}

/// Incidents in one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// Constant while the group lives.
    pub key: String,
    /// What they have in common, by label.
    pub labels: std::collections::BTreeMap<String, String>,
    /// Ids of the incidents, the gravest first, bounded.
    pub incidents: Vec<String>,
    /// How many are left out.
    #[serde(default)]
    pub omitted: u32,
}

/// A class of fields that a receiver is not shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Withheld {
    /// `prompt`, `arguments`, `result`, `address`, `device`, `personal` or `secret`; `rules` that count for another plane alone; and
    /// `evidence` and `reach` where nothing of them is shown.
    pub class: String,
    /// In how many places.
    pub count: u32,
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
