//! What is in memory of every case, and how cases are looked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use watershed_schemas::{
    Act, Case, Disposition, IncidentRevision, IncidentStatus, Origin, Severity, Timestamp, Verdict,
};

/// One line of the list of cases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// The incident.
    pub incident_id: String,
    /// Where it stands.
    pub status: IncidentStatus,
    /// Which planes are in.
    pub verdict: Verdict,
    /// The worst severity.
    pub severity: Severity,
    /// Which plane moved first.
    pub origin: Origin,
    /// The organisation.
    pub tenant: String,
    /// The identity, where known.
    pub principal: Option<String>,
    /// Number of the last revision.
    pub revision: u32,
    /// How many signals stand.
    pub signals: usize,
    /// Ids of the rules that found something, sorted.
    pub rules: Vec<String>,
    /// Event time of the first signal.
    pub first_event_time: Timestamp,
    /// Event time of the last signal.
    pub last_event_time: Timestamp,
    /// What a person judged it to be, where one has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disposition: Option<Disposition>,
    /// When what it held of a person was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Timestamp>,
}

impl Entry {
    /// The entry of a case.
    pub fn of(case: &Case) -> Entry {
        Entry::of_revision(&case.incident, case.erased)
    }

    /// The entry of an incident by its last revision.
    pub fn of_revision(incident: &IncidentRevision, erased: Option<Timestamp>) -> Entry {
        let disposition = incident.handled.as_ref().and_then(|handled| match handled.act {
            Act::Close { disposition } => Some(disposition),
            _ => None,
        });
        Entry {
            incident_id: incident.incident_id.clone(),
            status: incident.status,
            verdict: incident.verdict,
            severity: incident.severity,
            origin: incident.origin,
            tenant: incident.tenant.clone(),
            principal: incident.principal.clone(),
            revision: incident.revision,
            signals: incident.signals.len(),
            rules: incident.rules.clone(),
            first_event_time: incident.first_event_time,
            last_event_time: incident.last_event_time,
            disposition,
            erased,
        }
    }

    /// Whether more may still come of it.
    pub fn is_open(&self) -> bool {
        matches!(self.status, IncidentStatus::Open | IncidentStatus::Acknowledged)
    }
}

/// Which cases are wanted; what is absent does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Where they stand.
    pub status: Option<IncidentStatus>,
    /// Which planes are in.
    pub verdict: Option<Verdict>,
    /// Something of them happened at this time or later.
    pub since: Option<Timestamp>,
    /// Of which organisation.
    pub tenant: Option<String>,
    /// Of which identity.
    pub principal: Option<String>,
}

impl Filter {
    /// Whether this one is wanted.
    pub fn takes(&self, entry: &Entry) -> bool {
        self.status.is_none_or(|status| entry.status == status)
            && self.verdict.is_none_or(|verdict| entry.verdict == verdict)
            && self.since.is_none_or(|since| entry.last_event_time >= since)
            && self.tenant.as_ref().is_none_or(|tenant| entry.tenant == *tenant)
            && self.principal.as_ref().is_none_or(|principal| entry.principal.as_ref() == Some(principal))
    }
}

/// An abbreviated id that several cases have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{count} incidents begin with `{prefix}`; write more of the id")]
pub struct Ambiguous {
    /// What was asked for.
    pub prefix: String,
    /// How many begin so.
    pub count: usize,
}
