//! Everything that is kept of one incident for the person who opens it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::incident::{Handled, IncidentRevision};
use crate::notification::{NotifyReason, Withheld};
use crate::plane::Plane;
use crate::timestamp::Timestamp;

/// An incident with its past, its evidence, its reach and what was said about it. It is what `/api/v1/incidents/ID` and
/// `incident show ID --format json` give. Texts of events in it are hostile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Case {
    /// The last revision.
    pub incident: IncidentRevision,
    /// All revisions before it, oldest first, bounded: what is left out is the middle.
    pub revisions: Vec<IncidentRevision>,
    /// How many revisions were left out.
    #[serde(default)]
    pub revisions_omitted: u32,
    /// What happened on both planes, in event time, bounded.
    pub timeline: Vec<TimelineEntry>,
    /// How many moments were left out.
    #[serde(default)]
    pub timeline_omitted: u32,
    /// How far it reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blast_radius: Option<BlastRadius>,
    /// What to do first, on each plane, in the order that its origin demands.
    #[serde(default)]
    pub first_moves: Vec<FirstMove>,
    /// What people said of it, oldest first.
    #[serde(default)]
    pub handled: Vec<Handled>,
    /// Messages that were put in the outbox, oldest first; whether a receiver took one is not known here.
    #[serde(default)]
    pub told: Vec<Told>,
    /// Who was not called though a route led there, and why, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_back: Vec<HeldBack>,
    /// Whether what it held of a person was erased, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Timestamp>,
    /// What of it is kept from whom it is shown to, by class of fields; empty where it is shown whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Withheld>,
}

/// Where a record came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct SourceRecord {
    /// Topic, or file.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset, or number of the record in its file.
    pub offset: i64,
}

/// Why a moment is in a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    /// A finding rests on it.
    Evidence,
    /// It happened around the findings, to the same identity or in the same session.
    Context,
}

/// One event of either plane, as an incident keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineEntry {
    /// When it happened.
    pub event_time: Timestamp,
    /// Whose event it is.
    pub plane: Plane,
    /// Its id.
    pub event_id: String,
    /// Its kind.
    pub kind: String,
    /// Why it is here.
    pub moment: Moment,
    /// What was copied of it, by column, bounded: who (`principal`, `actor`, `agent_id`, `on_behalf_of`), what (`tool`, `target`,
    /// `outcome`), under which authority (`credential_id`, `session_id`, `client_id`), what the model saw and did (`content`,
    /// `arguments`). Secrets are masked when they are copied.
    pub columns: BTreeMap<String, String>,
    /// Signals that rest on it, with their rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<(String, String)>,
    /// Ids of the rules whose finding here brought a plane into the verdict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decided: Vec<String>,
    /// Where it came from; absent where the source does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceRecord>,
}

/// A message to somebody was put in the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    /// Id of the message.
    pub notification_id: String,
    /// Of which revision.
    pub revision: u32,
    /// Which receiver.
    pub receiver: String,
    /// Which team.
    pub team: String,
    /// Why.
    pub reason: NotifyReason,
    /// When it was put in the outbox.
    pub at: Timestamp,
}

/// What keeps somebody from being called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HeldBy {
    /// Somebody asked for silence.
    Silence,
    /// The route is mute at this time.
    Mute,
    /// A graver incident lasts.
    Inhibition,
}

/// Somebody was not called about a half of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldBack {
    /// Which receiver.
    pub receiver: String,
    /// Whose half.
    pub plane: Plane,
    /// Of which revision.
    pub revision: u32,
    /// Why.
    pub by: HeldBy,
    /// Which: id of the silence, name of the mute interval, id of the graver incident.
    pub cause: String,
    /// Since when.
    pub at: Timestamp,
    /// Whether it is so now. What is not held back any more was told, if it was not over by then.
    #[serde(default)]
    pub lasts: bool,
}

/// How far an incident reaches, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlastRadius {
    /// Whose.
    pub principal: String,
    /// As of when.
    pub at: Timestamp,
    /// What the identity could reach.
    pub could: Reach,
    /// What it did reach, in the time of the incident.
    pub did: Vec<Reached>,
    /// What is not known, such as `the access plane was never heard`.
    pub unknown: Vec<String>,
}

/// What an identity could reach. Lists are sorted and bounded; `omitted` counts what is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reach {
    /// Credentials that were valid.
    pub credentials: Vec<String>,
    /// Sessions that were open.
    pub sessions: Vec<String>,
    /// Scopes that its credentials and consents carry.
    pub scopes: Vec<String>,
    /// Roles and groups that it held.
    pub roles: Vec<String>,
    /// Organisations that it or its agents are known in.
    pub tenants: Vec<String>,
    /// Agents and services that act on its behalf.
    pub delegates: Vec<String>,
    /// Other principals and agents that share a credential with it.
    pub shared_with: Vec<String>,
    /// How many entries the bounds left out.
    #[serde(default)]
    pub omitted: u32,
}

/// Something that was reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Reached {
    /// `tool`, `target` (what a tool acted on), `resource` (what access was allowed to), `model` or `data` (a category that a
    /// detector named).
    pub what: String,
    /// Its name.
    pub name: String,
    /// How often.
    pub times: u32,
    /// First.
    pub first: Timestamp,
    /// Last.
    pub last: Timestamp,
}

/// What can be done first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Move {
    /// Stop an agent.
    PauseAgent,
    /// Take a tool from agents.
    DisableTool,
    /// Keep a session, or a memory, from being used further.
    QuarantineSession,
    /// Revoke a credential.
    RevokeCredential,
    /// End a session at the identity provider.
    EndSession,
    /// Disable an account.
    DisableAccount,
    /// What a rule says in its own words.
    AsTheRuleSays,
}

/// One step of a playbook, concrete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FirstMove {
    /// Whose step it is.
    pub plane: Plane,
    /// 1 for the first of all, both planes together, in the order that the origin demands.
    pub order: u32,
    /// What to do.
    #[serde(rename = "move")]
    pub action: Move,
    /// To what: id of the agent, tool, session, credential or account. Hostile text.
    pub object: Option<String>,
    /// The same in one line for a person. May hold hostile text.
    pub text: String,
    /// How it is done here, from the reference data; absent where nobody wrote it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
    /// Id of the rule that says so; absent where it follows from the evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}
