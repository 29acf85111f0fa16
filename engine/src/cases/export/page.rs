//! A case in the words in which a person reads it, before it is laid out.

use serde::Serialize;
use watershed_schemas::{Case, FirstMove, Moment, Plane, PlaneScores, TimelineEntry};

use super::words::{self, number, shown, shown_short, some, time};

/// Most sessions, values of the blast radius and the like that are listed.
const LISTED: usize = 12;

/// Everything that is shown of a case. Texts hold nothing that deceives a reader; a layout escapes what its own format means.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page {
    /// The incident.
    pub id: String,
    /// Its verdict.
    pub verdict: String,
    /// Which plane moved first.
    pub origin: String,
    /// Where it stands.
    pub status: String,
    /// The worst severity.
    pub severity: String,
    /// Label and value of what it is about, in the order of reading.
    pub about: Vec<(String, String)>,
    /// What is not as it should be: marks, coverage, erasure.
    pub warnings: Vec<String>,
    /// Both planes.
    pub planes: Vec<PlanePage>,
    /// How scores are reckoned, where there is anything to reckon.
    pub reckoning: Option<String>,
    /// What to do first, both planes, in order.
    pub moves: Vec<MovePage>,
    /// How far it reaches: label and values.
    pub reach: Vec<(String, String)>,
    /// As of when, and whose.
    pub reach_of: Option<String>,
    /// What happened.
    pub moments: Vec<MomentPage>,
    /// How many moments are not shown.
    pub moments_omitted: u32,
    /// Who was told: when, what, whom.
    pub told: Vec<(String, String)>,
    /// Who was not called, and why: when, what.
    pub held_back: Vec<(String, String)>,
    /// What people said of it: when, what.
    pub handled: Vec<(String, String)>,
    /// Revisions: number, reason, changes.
    pub revisions: Vec<RevisionPage>,
    /// How many revisions are not shown.
    pub revisions_omitted: u32,
}

/// One plane's part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanePage {
    /// `model` or `access`.
    pub plane: &'static str,
    /// Its title.
    pub title: &'static str,
    /// The team that owns it.
    pub team: &'static str,
    /// Whether it is in the verdict.
    pub is_in: bool,
    /// Whether it was heard.
    pub coverage: String,
    /// Whether that takes something from the verdict.
    pub is_deaf: bool,
    /// Its score beside its threshold.
    pub score: String,
    /// When it moved first.
    pub first_moved: Option<String>,
    /// What each rule added.
    pub because: Vec<String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MovePage {
    /// Its place.
    pub order: u32,
    /// `model` or `access`.
    pub plane: &'static str,
    /// Whose step it is.
    pub team: &'static str,
    /// What to do.
    pub text: String,
    /// How it is done here.
    pub how: Option<String>,
    /// Which rule says so.
    pub rule: Option<String>,
}

/// One moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MomentPage {
    /// Its day.
    pub day: String,
    /// Its time of day.
    pub clock: String,
    /// `model` or `access`.
    pub plane: &'static str,
    /// Whether findings rest on it.
    pub is_evidence: bool,
    /// What happened, in one line.
    pub what: String,
    /// Who, under which authority, from where, with what result: label and value.
    pub facts: Vec<(&'static str, String)>,
    /// What the model saw or did: label and text.
    pub texts: Vec<(&'static str, String)>,
    /// Rules whose signals rest on it.
    pub rules: Vec<String>,
    /// Rules that brought a plane into the verdict here.
    pub decided: Vec<String>,
    /// Where its record is.
    pub source: Option<String>,
    /// Its id.
    pub event_id: String,
}

/// One revision.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RevisionPage {
    /// Its number.
    pub number: u32,
    /// Why it was written.
    pub reason: String,
    /// What changed.
    pub changes: Vec<String>,
}

fn score_of(scores: PlaneScores, plane: Plane) -> f64 {
    match plane {
        Plane::Model => scores.model,
        Plane::Access => scores.access,
    }
}

impl Page {
    /// What is shown of a case.
    pub fn of(case: &Case) -> Page {
        let incident = &case.incident;
        let planes = incident.verdict.planes();
        let mut warnings = Vec::new();
        if let Some(at) = case.erased {
            warnings.push(format!("what this file held of a person was erased at {}", time(at)));
        }
        if !case.withheld.is_empty() {
            let each = case.withheld.iter().map(|withheld| format!("{} × {}", withheld.class, withheld.count));
            warnings.push(format!("withheld from this reader: {}", each.collect::<Vec<_>>().join(", ")));
        }
        if !incident.marks.is_empty() {
            let marks: Vec<&str> = incident.marks.iter().map(|mark| mark.name()).collect();
            warnings.push(format!("its evidence is {}", marks.join(" and ")));
        }
        for plane in Plane::ALL {
            let (words, deaf) = words::coverage(coverage_of(case, plane));
            if deaf && !planes.contains(&plane) {
                let team = plane.name();
                warnings.push(format!("the verdict says nothing of the {team} plane, which is {words}"));
            }
        }
        if let Some(older) = &incident.merged_into {
            warnings.push(format!("became part of {}", shown_short(older)));
        }
        let revisions = case.revisions.iter().chain([incident]);
        Page {
            id: shown_short(&incident.incident_id),
            verdict: words::verdict(incident.verdict).to_owned(),
            origin: words::origin(incident.origin, planes.len() > 1),
            status: words::status(incident.status).to_owned(),
            severity: words::severity(incident.severity).to_owned(),
            about: about(case),
            warnings,
            planes: Plane::ALL.into_iter().map(|plane| PlanePage::of(case, plane)).collect(),
            reckoning: (!incident.because.is_empty()).then(|| {
                format!(
                    "A plane is in the verdict when its score reaches its threshold; a rule adds weight × factor, and the factor grows \
                     ever less with repeats. Planes that moved within {} s of each other moved at once.",
                    number(incident.because.clock_skew)
                )
            }),
            moves: case.first_moves.iter().map(MovePage::of).collect(),
            reach: reach(case),
            reach_of: case
                .blast_radius
                .as_ref()
                .map(|radius| format!("{} as of {}", shown_short(&radius.principal), time(radius.at))),
            moments: case.timeline.iter().map(MomentPage::of).collect(),
            moments_omitted: case.timeline_omitted,
            told: case
                .told
                .iter()
                .map(|told| {
                    let what = format!(
                        "{} (revision {}) to {} of {}",
                        told.reason.name().replace('_', " "),
                        told.revision,
                        shown_short(&told.receiver),
                        shown_short(&told.team)
                    );
                    (time(told.at), what)
                })
                .collect(),
            held_back: case.held_back.iter().map(|held| (time(held.at), words::held_back(held))).collect(),
            handled: case.handled.iter().map(|handled| (time(handled.at), words::handled(handled))).collect(),
            revisions: revisions.map(RevisionPage::of).collect(),
            revisions_omitted: case.revisions_omitted,
        }
    }
}

fn coverage_of(case: &Case, plane: Plane) -> watershed_schemas::PlaneCoverage {
    match plane {
        Plane::Model => case.incident.coverage.model,
        Plane::Access => case.incident.coverage.access,
    }
}

fn about(case: &Case) -> Vec<(String, String)> {
    let incident = &case.incident;
    let mut about: Vec<(String, String)> = Vec::new();
    let mut add = |label: &str, value: String| {
        if !value.is_empty() {
            about.push((label.to_owned(), value));
        }
    };
    add("principal", incident.principal.as_deref().map_or("not known".to_owned(), shown_short));
    add("tenant", shown_short(&incident.tenant));
    add("first signal", time(incident.first_event_time));
    add("last signal", time(incident.last_event_time));
    add("agents", some(&incident.agents, LISTED));
    add("sessions", some(&incident.sessions, LISTED));
    add("credentials", some(&incident.credentials, LISTED));
    add("rules", some(&incident.rules, LISTED));
    add("signals", incident.signals.len().to_string());
    add("owners", some(&incident.owners, LISTED));
    add("tags", some(&incident.tags, LISTED));
    add("frameworks", some(&incident.frameworks, LISTED));
    add("continues", incident.continues.as_deref().map(shown_short).unwrap_or_default());
    let related: Vec<String> = incident
        .related
        .iter()
        .take(LISTED)
        .map(|other| {
            let shares = words::shared(other.shares);
            format!("{} shares {shares} {}", shown_short(&other.incident_id), shown_short(&other.value))
        })
        .collect();
    add("related", related.join("; "));
    about
}

impl PlanePage {
    fn of(case: &Case, plane: Plane) -> PlanePage {
        let incident = &case.incident;
        let (coverage, is_deaf) = words::coverage(coverage_of(case, plane));
        let because = &incident.because;
        let threshold = score_of(because.thresholds, plane);
        let score = number(score_of(incident.scores, plane));
        let rules = because.rules.iter().filter(|rule| score_of(rule.weight, plane) != 0.0);
        let first_moved = match plane {
            Plane::Model => because.first_moved.model,
            Plane::Access => because.first_moved.access,
        };
        PlanePage {
            plane: plane.name(),
            title: words::plane(plane),
            team: plane.team(),
            is_in: incident.verdict.planes().contains(&plane),
            coverage,
            is_deaf,
            score: if because.is_empty() { score } else { format!("{score} of {}", number(threshold)) },
            first_moved: first_moved.map(time),
            because: rules
                .map(|rule| {
                    format!(
                        "{}: {}, {} signal{}, weight {} × factor {} = {}",
                        shown_short(&rule.rule),
                        words::severity(rule.severity),
                        rule.count,
                        if rule.count == 1 { "" } else { "s" },
                        number(score_of(rule.weight, plane)),
                        number(rule.factor),
                        number(score_of(rule.score, plane))
                    )
                })
                .collect(),
        }
    }
}

impl MovePage {
    fn of(step: &FirstMove) -> MovePage {
        let text = if step.text.is_empty() {
            let object = step.object.as_deref().map(shown_short).unwrap_or_default();
            format!("{} {object}", words::action(step.action))
        } else {
            shown(&step.text)
        };
        MovePage {
            order: step.order,
            plane: step.plane.name(),
            team: step.plane.team(),
            text,
            how: step.how.as_deref().map(shown),
            rule: step.rule.as_deref().map(shown_short),
        }
    }
}

fn reach(case: &Case) -> Vec<(String, String)> {
    let Some(radius) = &case.blast_radius else { return Vec::new() };
    let mut reach = Vec::new();
    let could = &radius.could;
    let lists = [
        ("valid credentials", &could.credentials),
        ("open sessions", &could.sessions),
        ("scopes", &could.scopes),
        ("roles and groups", &could.roles),
        ("tenants", &could.tenants),
        ("delegates", &could.delegates),
        ("shares a credential with", &could.shared_with),
    ];
    for (label, values) in lists {
        if !values.is_empty() {
            reach.push((format!("could: {label}"), some(values, LISTED)));
        }
    }
    if could.omitted > 0 {
        reach.push(("could: left out".to_owned(), could.omitted.to_string()));
    }
    for what in ["tool", "target", "model", "data"] {
        let of: Vec<String> = radius
            .did
            .iter()
            .filter(|reached| reached.what == what)
            .map(|reached| format!("{} × {}", reached.name, reached.times))
            .collect();
        if !of.is_empty() {
            reach.push((format!("did reach: {what}"), some(&of, LISTED)));
        }
    }
    reach.extend(radius.unknown.iter().take(LISTED).map(|unknown| ("not known".to_owned(), shown(unknown))));
    reach
}

/// Columns with what a reader calls them, in the order of reading.
const FACTS: [(&str, &str); 27] = [
    ("principal", "who"),
    ("principal_type", "kind of principal"),
    ("actor", "acting"),
    ("agent_id", "agent"),
    ("agent_name", "agent name"),
    ("on_behalf_of", "on behalf of"),
    ("credential_id", "credential"),
    ("credential_type", "credential type"),
    ("grant_type", "grant"),
    ("session_id", "session"),
    ("client_id", "client"),
    ("tool", "tool"),
    ("target", "target"),
    ("resource", "resource"),
    ("model", "model"),
    ("provider", "provider"),
    ("outcome", "outcome"),
    ("verdict", "guardrail"),
    ("category", "category"),
    ("detector", "detector"),
    ("policy", "policy"),
    ("reason", "reason"),
    ("risk", "risk"),
    ("auth_method", "authenticated by"),
    ("ip", "address"),
    ("country", "country"),
    ("device_id", "device"),
];
/// Columns that hold what the model saw and did.
const TEXTS: [(&str, &str); 2] = [("content", "text"), ("arguments", "arguments")];

impl MomentPage {
    fn of(moment: &TimelineEntry) -> MomentPage {
        let at = moment.event_time.to_string();
        let (day, clock) = at.split_once('T').unwrap_or(("", &at));
        let column = |name: &str| moment.columns.get(name);
        let mut what = shown_short(&moment.kind.replace('_', " "));
        let names = ["tool", "category", "target", "resource", "model", "auth_method", "credential_type", "grant_type"];
        let named: Vec<String> =
            names.iter().filter_map(|name| column(name)).take(2).map(|name| shown_short(name)).collect();
        if !named.is_empty() {
            what = format!("{what}: {}", named.join(" → "));
        }
        if let Some(outcome) = column("verdict").or(column("outcome")) {
            what = format!("{what} ({})", shown_short(outcome));
        }
        let mut texts: Vec<(&'static str, String)> =
            TEXTS.iter().filter_map(|(name, label)| Some((*label, shown(column(name)?)))).collect();
        for (name, label) in
            [("content_fingerprint", "text fingerprint"), ("arguments_fingerprint", "arguments fingerprint")]
        {
            if let Some(fingerprint) = column(name) {
                texts.push((label, shown_short(fingerprint)));
            }
        }
        let mut rules: Vec<String> = moment.signals.iter().map(|(_, rule)| shown_short(rule)).collect();
        rules.sort();
        rules.dedup();
        MomentPage {
            day: day.to_owned(),
            clock: clock.trim_end_matches('Z').to_owned(),
            plane: moment.plane.name(),
            is_evidence: moment.moment == Moment::Evidence,
            what,
            facts: FACTS.iter().filter_map(|(name, label)| Some((*label, shown_short(column(name)?)))).collect(),
            texts,
            rules,
            decided: moment.decided.iter().map(|rule| shown_short(rule)).collect(),
            source: moment
                .source
                .as_ref()
                .map(|source| format!("{}/{} @ {}", shown_short(&source.topic), source.partition, source.offset)),
            event_id: shown_short(&moment.event_id),
        }
    }
}

impl RevisionPage {
    fn of(revision: &watershed_schemas::IncidentRevision) -> RevisionPage {
        let value = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => shown_short(text),
            other => shown_short(&other.to_string()),
        };
        let change = |change: &watershed_schemas::Change| {
            format!("{}: {} → {}", shown_short(&change.field), value(&change.before), value(&change.after))
        };
        RevisionPage {
            number: revision.revision,
            reason: shown(&revision.reason),
            changes: revision.changes.iter().take(LISTED).map(change).collect(),
        }
    }
}
