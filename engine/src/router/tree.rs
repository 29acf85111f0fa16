//! `route`: the tree of matchers that leads a half of an incident to receivers.

use std::time::Duration;

use watershed_schemas::{Plane, Severity, Verdict};

use super::inhibit::Inhibition;
use super::labels::{Label, Labels};
use super::matcher::Matcher;
use super::mute::Interval;
use super::silence::Silence;

/// Where what no route takes is led by: the teams that own the planes.
const BY_TEAM: &str = "team";
/// Where it goes to the receiver of what nobody else takes.
pub(super) const FALLBACK: &str = "fallback";
/// Where a receiver is told only because somebody else did not act.
pub(super) const ESCALATED: &str = "escalated";

/// Told at once, and no more than that.
static AT_ONCE: Policy = Policy {
    group_by: Vec::new(),
    group_wait: Duration::ZERO,
    group_interval: Duration::ZERO,
    repeat_interval: None,
    mute: Vec::new(),
    escalate: Vec::new(),
};

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

/// What a route asks of a half; an absent matcher matches everything.
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
    /// All of these.
    pub further: Vec<Matcher>,
}

/// How what a route takes is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Incidents that have these in common are told as one; without any each is told alone.
    pub group_by: Vec<Label>,
    /// How long a first message waits for more.
    pub group_wait: Duration,
    /// Shortest time between a message and the next one that tells of growth.
    pub group_interval: Duration,
    /// After how long it is said again that something stands; absent: never.
    pub repeat_interval: Option<Duration>,
    /// Positions of the intervals in which nobody is called.
    pub mute: Vec<usize>,
    /// Who else is told when nobody takes it, in the order of time.
    pub escalate: Vec<Escalation>,
}

/// Who is told when nobody takes an incident in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// How long after the first message.
    pub after: Duration,
    /// Positions of the receivers.
    pub to: Vec<usize>,
}

/// Matchers, where they lead, and how what they take is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// What it asks.
    pub matchers: Matchers,
    /// Positions of the receivers that it leads to. Without any it takes only what one of its own routes takes.
    pub receivers: Vec<usize>,
    /// Whether later routes are tried as well.
    pub and_on: bool,
    /// How it is told.
    pub policy: Policy,
    /// Tried in order for what it matches; what they take it leaves to them.
    pub routes: Vec<Route>,
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
    /// How what no route takes is told to the teams.
    pub policy: Policy,
    /// Times of the week in which routes may be mute.
    pub intervals: Vec<Interval>,
    /// Which incidents keep which others quiet.
    pub inhibitions: Vec<Inhibition>,
    /// Silences that are written in the configuration.
    pub silences: Vec<Silence>,
    /// Where the console is found, for links to incidents.
    pub external_url: Option<String>,
}

/// Somebody who is to be told, and by which route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Position of the receiver.
    pub receiver: usize,
    /// Way of the route through the tree, such as `1.0`; `team` where no route takes it.
    pub route: String,
}

impl Routes {
    /// Who is told of a half of an incident: by the first route that matches, else the team that owns its plane. Nobody
    /// gets a plane that it may not see. Each receiver is there once, by its first route.
    pub fn targets(&self, labels: &Labels, plane: Plane) -> Vec<Target> {
        let mut found = Vec::new();
        let mut matched = false;
        for (at, route) in self.routes.iter().enumerate() {
            if route.find(&at.to_string(), labels, &mut found) {
                matched = true;
                if !route.and_on {
                    break;
                }
            }
        }
        if !matched {
            let by_team = self.by_team(plane).into_iter();
            found.extend(by_team.map(|receiver| Target { receiver, route: BY_TEAM.to_owned() }));
        }
        found.retain(|target| self.may_see(target.receiver, plane));
        // Stable: of several ways to one receiver the first counts.
        found.sort_by_key(|target| target.receiver);
        found.dedup_by_key(|target| target.receiver);
        found
    }

    /// How the route at this place tells; the teams' way where it is gone.
    pub fn policy(&self, route: &str) -> &Policy {
        if route == ESCALATED {
            return &AT_ONCE;
        }
        let mut routes = &self.routes;
        let mut policy = &self.policy;
        for step in route.split('.').map_while(|step| step.parse::<usize>().ok()) {
            let Some(route) = routes.get(step) else { return &self.policy };
            (routes, policy) = (&route.routes, &route.policy);
        }
        policy
    }

    /// Whether a receiver may be told of a plane.
    pub fn may_see(&self, receiver: usize, plane: Plane) -> bool {
        self.receivers.get(receiver).is_some_and(|receiver| receiver.planes.contains(&plane))
    }

    /// Who gets a plane that no route takes: the receivers of the team that owns it. Where that team has none, those of teams that
    /// own no plane; the operators and the fallback are not among them.
    pub fn by_team(&self, plane: Plane) -> Vec<usize> {
        let of = |wanted: &dyn Fn(usize, &str) -> bool| -> Vec<usize> {
            let all = self.receivers.iter().enumerate();
            let wanted = all.filter(|(at, receiver)| receiver.planes.contains(&plane) && wanted(*at, &receiver.team));
            wanted.map(|(at, _)| at).collect()
        };
        let owners = of(&|_, team| team == plane.team());
        if !owners.is_empty() {
            return owners;
        }
        let owns_none = |team: &str| team != "operator" && Plane::ALL.into_iter().all(|plane| plane.team() != team);
        of(&|at, team| Some(at) != self.fallback && owns_none(team))
    }

    /// The receiver of what no route takes.
    pub fn fallback(&self) -> Option<usize> {
        self.fallback
    }

    /// Every route of the tree with its place, parents first.
    pub fn each(&self) -> Vec<(String, &Route)> {
        fn walk<'a>(before: &str, routes: &'a [Route], found: &mut Vec<(String, &'a Route)>) {
            for (at, route) in routes.iter().enumerate() {
                let place = if before.is_empty() { at.to_string() } else { format!("{before}.{at}") };
                found.push((place.clone(), route));
                walk(&place, &route.routes, found);
            }
        }
        let mut found = Vec::new();
        walk("", &self.routes, &mut found);
        found
    }
}

impl Route {
    /// Whether it takes a half, and where to.
    fn find(&self, place: &str, labels: &Labels, found: &mut Vec<Target>) -> bool {
        if !self.matchers.matches(labels) {
            return false;
        }
        let mut taken = false;
        for (at, route) in self.routes.iter().enumerate() {
            if route.find(&format!("{place}.{at}"), labels, found) {
                taken = true;
                if !route.and_on {
                    break;
                }
            }
        }
        if !taken {
            found.extend(self.receivers.iter().map(|at| Target { receiver: *at, route: place.to_owned() }));
        }
        taken || !self.receivers.is_empty()
    }
}

impl Matchers {
    /// Whether all of them hold.
    pub fn matches(&self, labels: &Labels) -> bool {
        let is = |label: Label, wanted: &str| labels.values(label).any(|value| value == wanted);
        let any = |label: Label, wanted: &[String]| wanted.is_empty() || wanted.iter().any(|one| is(label, one));
        (self.verdicts.is_empty() || self.verdicts.iter().any(|verdict| is(Label::Verdict, verdict.name())))
            && self.plane.is_none_or(|plane| is(Label::Plane, plane.name()))
            && self.severity_at_least.is_none_or(|severity| at_least(severity, labels))
            && any(Label::Tenant, &self.tenants)
            && any(Label::Rule, &self.rules)
            && any(Label::Tag, &self.tags)
            && self.further.iter().all(|matcher| matcher.matches(labels))
    }

    /// Whether they ask nothing.
    pub fn is_empty(&self) -> bool {
        let asking = Matchers { further: Vec::new(), ..self.clone() };
        asking == Matchers::default() && self.further.iter().all(Matcher::asks_nothing)
    }
}

fn at_least(least: Severity, labels: &Labels) -> bool {
    let rank = |name: &str| Label::Severity.values()?.iter().position(|known| *known == name);
    labels.values(Label::Severity).any(|value| rank(value) >= rank(least.name()))
}
