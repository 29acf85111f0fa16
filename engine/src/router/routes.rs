//! The tree of matchers that leads an incident to receivers.

use watershed_schemas::{Plane, Severity, Verdict};

use crate::correlator::Telling;

/// Somebody who can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Its name in the configuration.
    pub name: String,
    /// The team behind it: `ai-security` owns the model plane, `iam` the access plane; others own what `planes` says.
    pub team: String,
    /// The planes whose evidence it may see.
    pub planes: Vec<Plane>,
}

/// What a route asks of a telling; an absent matcher matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matchers {
    /// Any of these verdicts.
    pub verdicts: Vec<Verdict>,
    /// This plane's half.
    pub plane: Option<Plane>,
    /// At least this severe.
    pub severity_at_least: Option<Severity>,
    /// Any of these tenants.
    pub tenants: Vec<String>,
    /// Any of these rules among the incident's.
    pub rules: Vec<String>,
    /// Any of these tags among its rules'.
    pub tags: Vec<String>,
}

/// Matchers and where they lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// What it asks.
    pub matchers: Matchers,
    /// Positions of the receivers that it leads to.
    pub receivers: Vec<usize>,
    /// Whether later routes are tried as well.
    pub and_on: bool,
}

/// All receivers and routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// Everybody who can be told.
    pub receivers: Vec<Receiver>,
    /// Tried in order; the first that matches decides, unless it says to go on.
    pub routes: Vec<Route>,
    /// Position of the receiver of what no route takes.
    pub fallback: Option<usize>,
}

impl Routes {
    /// The receivers of a telling: by the first route that matches, else those of the team that owns its plane.
    /// Nobody gets a plane that it may not see.
    pub fn receivers_of(&self, telling: &Telling, tags: &[&str]) -> Vec<usize> {
        let may_see =
            |at: &usize| self.receivers.get(*at).is_some_and(|receiver| receiver.planes.contains(&telling.plane));
        let mut routed: Vec<usize> = Vec::new();
        let mut matched = false;
        for route in &self.routes {
            if route.matchers.matches(telling, tags) {
                matched = true;
                routed.extend(route.receivers.iter().copied().filter(may_see));
                if !route.and_on {
                    break;
                }
            }
        }
        if !matched {
            routed = (0..self.receivers.len()).filter(may_see).filter(|at| self.owns(*at, telling.plane)).collect();
        }
        routed.sort_unstable();
        routed.dedup();
        routed
    }

    /// A receiver of a team other than the two owners gets by default whatever planes it may see.
    fn owns(&self, receiver: usize, plane: Plane) -> bool {
        match self.receivers[receiver].team.as_str() {
            "ai-security" => plane == Plane::Model,
            "iam" => plane == Plane::Access,
            _ => Some(receiver) != self.fallback && self.receivers[receiver].team != "operator",
        }
    }

    /// The receiver of what no route takes.
    pub fn fallback(&self) -> Option<usize> {
        self.fallback
    }

    /// The teams that are told of a plane by default, in receiver order, without repeats.
    pub fn teams_of(&self, plane: Plane) -> Vec<String> {
        let mut teams: Vec<String> = Vec::new();
        for (at, receiver) in self.receivers.iter().enumerate() {
            if receiver.planes == [plane] && self.owns(at, plane) && !teams.contains(&receiver.team) {
                teams.push(receiver.team.clone());
            }
        }
        teams
    }
}

impl Matchers {
    fn matches(&self, telling: &Telling, tags: &[&str]) -> bool {
        let incident = &telling.incident;
        let any =
            |wanted: &[String], has: &dyn Fn(&str) -> bool| wanted.is_empty() || wanted.iter().any(|one| has(one));
        (self.verdicts.is_empty() || self.verdicts.contains(&incident.verdict))
            && self.plane.is_none_or(|plane| plane == telling.plane)
            && self.severity_at_least.is_none_or(|severity| incident.severity >= severity)
            && any(&self.tenants, &|tenant| incident.tenant == tenant)
            && any(&self.rules, &|rule| incident.rules.iter().any(|has| has == rule))
            && any(&self.tags, &|tag| tags.contains(&tag))
    }
}
