//! Incidents: lists, case files, timelines.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use watershed_schemas::{Case, IncidentRevision, IncidentStatus, Plane, Severity, TimelineEntry, Timestamp, Verdict};

use super::engine::{Engine, Unrendered};
use super::parameter::{Kind, Parameter, Query};
use super::problem::Problem;
use super::route::{Asked, json};
use crate::cases::Entry;
use crate::cases::view::{Viewer, for_viewer, mark_held};

/// Incidents of one page where the request names no number, and at most.
pub(super) const PAGE: [u64; 2] = [100, 500];

const STATUSES: &[&str] = &["open", "acknowledged", "resolved", "closed", "merged", "withdrawn"];
pub(super) const SEVERITIES: &[&str] = &["info", "low", "medium", "high", "critical"];

/// What incidents are chosen by, in lists and among events.
macro_rules! filters {
    ($($more:expr),* $(,)?) => {
        &[
            Parameter::new("status", "Only those of this status.", Kind::OneOf(STATUSES)),
            Parameter::new("verdict", "Only those of this verdict.", Kind::OneOf(&["model_abuse", "access_compromise", "both"])),
            Parameter::new("severity", "Only those of this severity.", Kind::OneOf(SEVERITIES)),
            Parameter::new("severity_at_least", "Only those of this severity or a worse one.", Kind::OneOf(SEVERITIES)),
            Parameter::new("tenant", "Only those of this organisation.", Kind::Text),
            Parameter::new("principal", "Only those of this principal.", Kind::Text),
            Parameter::new("rule", "Only those in which the rule of this id found something.", Kind::Text),
            $($more,)*
        ]
    };
}

pub(super) const FILTERS: &[Parameter] = filters![];
pub(super) const LISTED: &[Parameter] = filters![
    Parameter::new("since", "Only those that went on until this time or longer.", Kind::Time),
    Parameter::new("until", "Only those that began at this time or before.", Kind::Time),
    Parameter::new("limit", "At most so many.", Kind::Number { least: 1, most: PAGE[1], usual: Some(PAGE[0]) }),
    Parameter::new("cursor", "`next` of the page before, with the same filters.", Kind::Text),
];

/// How one incident is shown.
pub(super) const SHOWN: &[Parameter] = &[Parameter::new(
    "for",
    "As this team may see it: its own plane, of the other only what its findings rest on, without what its receivers are not told.",
    Kind::OneOf(&["ai-security", "iam", "all"]),
)];

/// Which incidents are meant.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    status: Option<IncidentStatus>,
    verdict: Option<Verdict>,
    severity: Option<Severity>,
    severity_at_least: Option<Severity>,
    tenant: Option<String>,
    principal: Option<String>,
    rule: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// Only those of this plane, as the team of a token sees them.
    team: Option<Plane>,
}

impl Filter {
    /// What a query says.
    pub(super) fn of(query: &Query) -> Self {
        Filter {
            status: query.word("status"),
            verdict: query.word("verdict"),
            severity: query.word("severity"),
            severity_at_least: query.word("severity_at_least"),
            tenant: query.text("tenant"),
            principal: query.text("principal"),
            rule: query.text("rule"),
            since: query.time("since"),
            until: query.time("until"),
            team: None,
        }
    }

    /// Whether an incident is meant.
    pub(super) fn passes(&self, incident: &IncidentRevision) -> bool {
        self.takes(&Seen {
            status: incident.status,
            verdict: incident.verdict,
            severity: incident.severity,
            tenant: &incident.tenant,
            principal: incident.principal.as_deref(),
            rules: &incident.rules,
            first: incident.first_event_time,
            last: incident.last_event_time,
        })
    }

    /// Whether a line of the list is meant.
    fn lists(&self, entry: &Entry) -> bool {
        self.takes(&Seen {
            status: entry.status,
            verdict: entry.verdict,
            severity: entry.severity,
            tenant: &entry.tenant,
            principal: entry.principal.as_deref(),
            rules: &entry.rules,
            first: entry.first_event_time,
            last: entry.last_event_time,
        })
    }

    fn takes(&self, seen: &Seen<'_>) -> bool {
        self.team.is_none_or(|own| seen.verdict.planes().contains(&own))
            && self.status.is_none_or(|status| seen.status == status)
            && self.verdict.is_none_or(|verdict| seen.verdict == verdict)
            && self.severity.is_none_or(|severity| seen.severity == severity)
            && self.severity_at_least.is_none_or(|severity| seen.severity >= severity)
            && self.tenant.as_ref().is_none_or(|tenant| seen.tenant == tenant)
            && self.principal.as_deref().is_none_or(|principal| seen.principal == Some(principal))
            && self.rule.as_ref().is_none_or(|rule| seen.rules.contains(rule))
            && self.since.is_none_or(|since| seen.last >= since)
            && self.until.is_none_or(|until| seen.first <= until)
    }
}

/// What incidents are chosen by.
struct Seen<'a> {
    status: IncidentStatus,
    verdict: Verdict,
    severity: Severity,
    tenant: &'a str,
    principal: Option<&'a str>,
    rules: &'a [String],
    first: Timestamp,
    last: Timestamp,
}

/// Where an incident stands in lists: the one of which something happened last first, and among those of one moment by id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place(Reverse<(i64, String)>);

impl Place {
    fn of(entry: &Entry) -> Self {
        Place(Reverse((entry.last_event_time.micros(), entry.incident_id.clone())))
    }

    /// The place as text that says nothing to its reader.
    fn cursor(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn read(cursor: &str) -> Result<Self, Problem> {
        let wrong = || Problem::bad("`cursor` is none of ours; take `next` of the page before as it is");
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
        serde_json::from_slice(&bytes).map_err(|_| wrong())
    }
}

/// One page of a list.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Page {
    /// What each last said, the one of which something happened last first.
    incidents: Vec<Entry>,
    /// What to give as `cursor` for the next page; absent where this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What happened, in the order of event time.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Timeline {
    /// Id of the incident.
    incident_id: String,
    /// What happened on both planes.
    timeline: Vec<TimelineEntry>,
    /// How many moments were left out.
    timeline_omitted: u32,
}

pub(super) async fn list(asked: Asked) -> Result<Response, Problem> {
    let team = asked.caller.team;
    let filter = Filter { team, ..Filter::of(&asked.query) };
    let limit = asked.query.number("limit").unwrap_or(100);
    let behind = asked.query.text("cursor").map(|cursor| Place::read(&cursor)).transpose()?;
    let found = asked.console.asker().look(move |engine| {
        let every = crate::cases::Filter::default();
        let all = engine.cases().into_iter().flat_map(|cases| cases.list(&every));
        let listed = all.filter(|entry| filter.lists(entry));
        let listed = listed.filter(|entry| behind.as_ref().is_none_or(|behind| Place::of(entry) > *behind));
        let mut listed: Vec<Entry> = listed.take(limit.saturating_add(1)).cloned().collect();
        if let Some(own) = team {
            let setups = engine.core().setups().iter().map(|setup| &setup.rule.meta);
            let theirs: BTreeSet<&str> =
                setups.filter(|meta| !meta.plane.planes().contains(&own)).map(|meta| meta.id.as_str()).collect();
            listed.iter_mut().for_each(|entry| entry.rules.retain(|rule| !theirs.contains(rule.as_str())));
        }
        listed
    });
    let mut incidents = found.await?;
    let more = incidents.len() > limit;
    incidents.truncate(limit);
    let next = incidents.last().filter(|_| more).map(|last| Place::of(last).cursor());
    Ok(json(&Page { incidents, next }))
}

/// The case as the caller wants to see it.
pub(super) async fn case(asked: &Asked) -> Result<Case, Problem> {
    let (id, viewer) = (asked.path("id"), viewer(asked)?);
    let found = asked.console.asker().look(move |engine: &mut dyn Engine| {
        let mut case = match engine.cases() {
            Some(cases) => cases.get(&id).map_err(|error| error.to_string()),
            None => Ok(None),
        };
        if let Ok(Some(case)) = &mut case {
            mark_held(case, &engine.held_back(&id));
        }
        (case, engine.redaction())
    });
    match found.await? {
        (Ok(case), redaction) => {
            let team = asked.caller.team;
            // An incident that is none of its plane does not exist for a team.
            let concerns = |case: &Case| team.is_none_or(|own| case.incident.verdict.planes().contains(&own));
            Ok(for_viewer(case.filter(concerns).ok_or_else(unknown)?, viewer, &redaction))
        }
        (Err(reason), _) => Err(Problem::busy(format!("the case can't be read: {reason}"))),
    }
}

/// As whom a caller sees it: as its team, where its token is of one, else as it asks.
pub(super) fn viewer(asked: &Asked) -> Result<Viewer, Problem> {
    let wanted: Option<Viewer> = asked.query.text("for").and_then(|team| team.parse().ok());
    let Some(team) = asked.caller.team else { return Ok(wanted.unwrap_or_default()) };
    let own = Viewer::Owner(team);
    if wanted.is_some_and(|wanted| wanted != own) {
        let detail = format!("the token is of team {}, and shows what that team may see; leave `for` out", team.team());
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    Ok(own)
}

pub(super) async fn show(asked: Asked) -> Result<Response, Problem> {
    case(&asked).await.map(|case| json(&case))
}

pub(super) async fn timeline(asked: Asked) -> Result<Response, Problem> {
    let case = case(&asked).await?;
    Ok(json(&Timeline {
        incident_id: case.incident.incident_id,
        timeline: case.timeline,
        timeline_omitted: case.timeline_omitted,
    }))
}

/// What a receiver would be sent of an incident if it were told now.
pub(super) async fn render(asked: Asked) -> Result<Response, Problem> {
    let (id, receiver) = (asked.path("id"), asked.path("receiver"));
    let rendered = asked.console.asker().look(move |engine: &mut dyn Engine| {
        let case = engine.cases().map(|cases| cases.get(&id)).transpose().map_err(|error| error.to_string())?.flatten();
        Ok::<_, String>(case.map(|case| engine.render(&case.incident, &receiver)))
    });
    match rendered.await? {
        Ok(Some(Ok(rendered))) => Ok(json(&rendered)),
        Ok(Some(Err(Unrendered::NoReceiver(names)))) => {
            Err(Problem::unknown(format!("there is no receiver of this name; there is {}", names.join(", "))))
        }
        Ok(Some(Err(Unrendered::Nothing(reason)))) => Err(Problem::new(StatusCode::CONFLICT, reason)),
        Ok(None) => Err(unknown()),
        Err(reason) => Err(Problem::busy(format!("the case can't be read: {reason}"))),
    }
}

pub(super) fn unknown() -> Problem {
    Problem::unknown("there is no incident of this id; ids are given whole, as /api/v1/incidents lists them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_lead_back_to_their_place_and_nothing_else_does() {
        let place = Place(Reverse((-5, "inc-\"ü".to_owned())));
        assert_eq!(Place::read(&place.cursor()).expect("it is ours"), place);
        assert!(Place(Reverse((1, String::new()))) < place, "the newer comes first");
        for wrong in ["", "x", "!!!", "bnVsbA", "WzFd", "W10", &"A".repeat(1_000)] {
            assert!(Place::read(wrong).is_err(), "{wrong}");
        }
    }
}
