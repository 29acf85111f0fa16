//! A file of incidents, and of who should be told of them.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use watershed_schemas::{Origin, Plane, Severity, Verdict};

use crate::router::{Label, Labels, Routes};

/// An incident, as far as routes ask about it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Incident {
    pub(super) verdict: Verdict,
    #[serde(default = "medium")]
    pub(super) severity: Severity,
    #[serde(default = "undetermined")]
    pub(super) origin: Origin,
    #[serde(default = "default_tenant")]
    pub(super) tenant: String,
    #[serde(default)]
    pub(super) principal: Option<String>,
    #[serde(default)]
    pub(super) agents: Vec<String>,
    #[serde(default)]
    pub(super) owners: Vec<String>,
    #[serde(default)]
    pub(super) rules: Vec<String>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    #[serde(default)]
    pub(super) frameworks: Vec<String>,
}

pub(super) fn medium() -> Severity {
    Severity::Medium
}

fn undetermined() -> Origin {
    Origin::Undetermined
}

fn default_tenant() -> String {
    "default".to_owned()
}

/// Names of the receivers of each half; a half without an entry reaches nobody.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    #[serde(default)]
    model: Option<BTreeSet<String>>,
    #[serde(default)]
    access: Option<BTreeSet<String>>,
}

/// One incident and who should be told of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    incident: Incident,
    expect: Expected,
}

/// What a file of cases came to.
pub(super) struct Outcome {
    pub(super) cases: usize,
    /// A line for each half that reaches others than it should.
    pub(super) failures: Vec<String>,
}

impl Incident {
    /// What it is called on one plane.
    pub(super) fn labels(&self, plane: Plane) -> Labels {
        let origin = match self.origin {
            Origin::Model => "model",
            Origin::Access => "access",
            Origin::Undetermined => "undetermined",
        };
        let mut labels = Labels::default()
            .with(Label::Verdict, self.verdict.name())
            .with(Label::Plane, plane.name())
            .with(Label::Severity, self.severity.name())
            .with(Label::Origin, origin)
            .with(Label::Tenant, self.tenant.as_str())
            .with(Label::Owner, plane.team());
        let lists = [
            (Label::Agent, &self.agents),
            (Label::Owner, &self.owners),
            (Label::Rule, &self.rules),
            (Label::Tag, &self.tags),
            (Label::Framework, &self.frameworks),
        ];
        for (label, value) in lists.iter().flat_map(|(label, values)| values.iter().map(move |value| (*label, value))) {
            labels = labels.with(label, value.as_str());
        }
        match &self.principal {
            Some(principal) => labels.with(Label::Principal, principal.as_str()),
            None => labels,
        }
    }
}

/// Who is told of a half, each by which route, in the order of the routes; the fallback where nobody takes it.
pub(super) fn told(routes: &Routes, incident: &Incident, plane: Plane) -> Vec<(String, String)> {
    let targets = routes.targets(&incident.labels(plane), plane);
    let name = |at: usize| routes.receivers[at].name.clone();
    if let ([], Some(fallback)) = (targets.as_slice(), routes.fallback) {
        return vec![(name(fallback), "fallback".to_owned())];
    }
    let mut told: Vec<(String, String)> =
        targets.iter().map(|target| (name(target.receiver), target.route.clone())).collect();
    // In the order of the routes; stable, so that of one route it is that of the receivers.
    told.sort_by_key(|(_, route)| route.split('.').map(|step| step.parse().unwrap_or(usize::MAX)).collect::<Vec<_>>());
    told
}

/// Reads a file and tries its cases.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn try_all(path: &Path, routes: &Routes) -> Result<Outcome, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: can't be read: {error}"))?;
    let cases: Vec<Case> = serde_saphyr::from_str(&text).map_err(|error| format!("{shown}: {error}"))?;
    if cases.is_empty() {
        return Err(format!("{shown}: has no case, so that nothing is tested; add one"));
    }
    let mut names = BTreeSet::new();
    let mut failures = Vec::new();
    for case in &cases {
        if !names.insert(case.name.as_str()) {
            return Err(format!("{shown}: two cases are named `{}`; rename one", case.name.escape_debug()));
        }
        for (plane, expected) in [(Plane::Model, &case.expect.model), (Plane::Access, &case.expect.access)] {
            let inside = case.incident.verdict.planes().contains(&plane);
            let Some(expected) = expected else {
                if inside {
                    let verdict = case.incident.verdict.name();
                    return Err(format!(
                        "{shown}: case `{}` does not say who is told of the plane {plane}, which is in {verdict}; \
                         write [] for nobody",
                        case.name.escape_debug()
                    ));
                }
                continue;
            };
            if !inside && expected.is_empty() {
                continue;
            }
            if !inside {
                return Err(format!(
                    "{shown}: case `{}` expects something of the plane {plane}, which is not in its verdict; take it out",
                    case.name.escape_debug()
                ));
            }
            if let Some(unknown) =
                expected.iter().find(|name| !routes.receivers.iter().any(|receiver| receiver.name == **name))
            {
                return Err(format!(
                    "{shown}: case `{}` expects `{}`, which is no receiver",
                    case.name.escape_debug(),
                    unknown.escape_debug()
                ));
            }
            let told = told(routes, &case.incident, plane);
            let names: BTreeSet<String> = told.iter().map(|(name, _)| name.clone()).collect();
            if names != *expected {
                let list = |names: &BTreeSet<String>| match names.is_empty() {
                    true => "nobody".to_owned(),
                    false => names.iter().cloned().collect::<Vec<_>>().join(", "),
                };
                let by: BTreeSet<&str> = told.iter().map(|(_, route)| route.as_str()).collect();
                let by: Vec<&str> = by.into_iter().collect();
                failures.push(format!(
                    "{shown}: {}, plane {plane}: expected {}, but told is {} (by {})",
                    case.name.escape_debug(),
                    list(expected),
                    list(&names),
                    by.join(", ")
                ));
            }
        }
    }
    Ok(Outcome { cases: cases.len(), failures })
}
