//! The tree of routes: every name is somebody's, and what is not said in a route is said around it.

use watershed_schemas::Plane;

use super::super::Findings;
use super::quiet::Named;
use super::unknown;
use crate::config::Receiver;
use crate::config::raw;
use crate::router::{Escalation, Label, Matcher, Matchers, Policy, Route, reach};

/// The longest that a first message may wait for others.
const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_secs(60 * 60);
/// The shortest time between two messages that say the same, and before somebody else is told.
const SHORTEST: std::time::Duration = std::time::Duration::from_secs(60);

/// What routes refer to.
struct Known<'a> {
    receivers: &'a [Receiver],
    intervals: &'a [Named],
}

/// How it is told as written: absent is what the route around it says.
struct Written {
    group_by: Option<Vec<String>>,
    group_wait: Option<std::time::Duration>,
    group_interval: Option<std::time::Duration>,
    repeat_interval: Option<std::time::Duration>,
    mute: Option<Vec<String>>,
    escalate: Option<Vec<raw::Escalation>>,
}

/// What surrounds a route.
struct Around<'a> {
    setting: &'a str,
    /// Matchers of the routes around it, which hold for it too.
    matchers: Vec<&'a Matchers>,
    receivers: &'a [usize],
    policy: &'a Policy,
}

/// How what no route takes is told, and the routes.
pub(super) fn read(
    routing: raw::Routing,
    receivers: &[Receiver],
    intervals: &[Named],
    findings: &mut Findings<'_>,
) -> (Policy, Vec<Route>) {
    let known = Known { receivers, intervals };
    let written = Written {
        group_by: Some(routing.group_by),
        group_wait: Some(routing.group_wait),
        group_interval: Some(routing.group_interval),
        repeat_interval: routing.repeat_interval,
        mute: Some(routing.mute),
        escalate: Some(routing.escalate),
    };
    let policy = policy(written, "routing", &Policy::default(), &known, findings);
    let around = Around { setting: "routing", matchers: Vec::new(), receivers: &[], policy: &policy };
    let routes = routes(routing.routes, &around, &known, findings);
    (policy, routes)
}

fn routes(raw: Vec<raw::Route>, around: &Around<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Vec<Route> {
    let mut routes = Vec::new();
    for (index, route) in raw.into_iter().enumerate() {
        let setting = format!("{}.routes[{index}]", around.setting);
        routes.push(self::route(route, &setting, around, known, findings));
    }
    for (index, message) in reach::unreachable(&around.matchers, &routes) {
        findings.error(&format!("{}.routes[{index}]", around.setting), message);
    }
    routes
}

fn route(raw: raw::Route, setting: &str, around: &Around<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Route {
    let matchers = Matchers {
        further: self::matchers(&raw.matchers, &format!("{setting}.matchers"), findings),
        verdicts: raw.verdict,
        plane: raw.plane,
        severity_at_least: raw.severity_at_least,
        tenants: raw.tenant,
        rules: raw.rule,
        tags: raw.tag,
    };
    let receivers_setting = format!("{setting}.receivers");
    let receivers = match &raw.receivers {
        Some(names) => {
            if names.is_empty() {
                let message = "is empty, so that what matches reaches nobody; name a receiver";
                findings.error(&receivers_setting, message);
            }
            positions(names, &receivers_setting, known, findings)
        }
        None if around.receivers.is_empty() && raw.routes.is_empty() => {
            findings.error(setting, "has neither `receivers` nor `routes`, so that what matches reaches nobody");
            Vec::new()
        }
        None => around.receivers.to_vec(),
    };
    let all: Vec<&Matchers> = around.matchers.iter().copied().chain([&matchers]).collect();
    let planes = match reach::contradiction(&all) {
        Some(message) => {
            findings.error(setting, format!("can never match: {message}"));
            Plane::ALL.to_vec()
        }
        None => reach::planes(&all),
    };
    if raw.receivers.is_some() && !receivers.is_empty() {
        visible(&receivers, &planes, &receivers_setting, known, findings);
    }
    let written = Written {
        group_by: raw.group_by,
        group_wait: raw.group_wait,
        group_interval: raw.group_interval,
        repeat_interval: raw.repeat_interval,
        mute: raw.mute,
        escalate: raw.escalate,
    };
    let policy = policy(written, setting, around.policy, known, findings);
    for (at, step) in policy.escalate.iter().enumerate() {
        if !step.to.is_empty() {
            visible(&step.to, &planes, &format!("{setting}.escalate[{at}].to"), known, findings);
        }
    }
    let within = Around { setting, matchers: all, receivers: &receivers, policy: &policy };
    let routes = self::routes(raw.routes, &within, known, findings);
    Route { matchers, receivers, and_on: raw.and_on, policy, routes }
}

/// Somebody among them must be able to see what the route matches.
fn visible(receivers: &[usize], planes: &[Plane], setting: &str, known: &Known<'_>, findings: &mut Findings<'_>) {
    let sees = |plane: &Plane| receivers.iter().any(|at| known.receivers[*at].planes.contains(plane));
    if let [plane] = planes
        && !sees(plane)
    {
        let message = format!("none of its receivers may show the plane `{plane}` that it matches; see their `planes`");
        findings.error(setting, message);
    }
}

fn positions(names: &[String], setting: &str, known: &Known<'_>, findings: &mut Findings<'_>) -> Vec<usize> {
    let mut positions = Vec::new();
    for (at, name) in names.iter().enumerate() {
        match known.receivers.iter().position(|receiver| receiver.name == *name) {
            Some(position) => positions.push(position),
            None => unknown(&format!("{setting}[{at}]"), name, known.receivers, findings),
        }
    }
    positions
}

/// Matchers as written; those that can't be read are reported and left out.
pub(super) fn matchers(texts: &[String], setting: &str, findings: &mut Findings<'_>) -> Vec<Matcher> {
    let mut matchers = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        match text.parse::<Matcher>() {
            Ok(matcher) => {
                if let Some(message) = reach::never(&matcher) {
                    findings.error(&format!("{setting}[{at}]"), message);
                }
                matchers.push(matcher);
            }
            Err(reason) => findings.error(&format!("{setting}[{at}]"), reason),
        }
    }
    matchers
}

/// Labels as written.
pub(super) fn labels(names: &[String], setting: &str, findings: &mut Findings<'_>) -> Vec<Label> {
    let mut labels = Vec::new();
    for (at, name) in names.iter().enumerate() {
        match Label::parse(name) {
            Ok(label) if labels.contains(&label) => {
                findings.error(&format!("{setting}[{at}]"), format!("`{name}` is there twice; take one out"));
            }
            Ok(label) => labels.push(label),
            Err(reason) => findings.error(&format!("{setting}[{at}]"), reason),
        }
    }
    labels
}

fn policy(written: Written, setting: &str, around: &Policy, known: &Known<'_>, findings: &mut Findings<'_>) -> Policy {
    let mut policy = around.clone();
    if let Some(names) = written.group_by {
        policy.group_by = labels(&names, &format!("{setting}.group_by"), findings);
    }
    for (name, wait, to) in [
        ("group_wait", written.group_wait, &mut policy.group_wait),
        ("group_interval", written.group_interval, &mut policy.group_interval),
    ] {
        if let Some(wait) = wait {
            if wait > LONGEST_WAIT {
                findings.error(&format!("{setting}.{name}"), "is longer than 1h; nobody would hear of it, choose less");
            }
            *to = wait;
        }
    }
    if let Some(interval) = written.repeat_interval {
        if !interval.is_zero() && interval < SHORTEST {
            findings
                .error(&format!("{setting}.repeat_interval"), "is shorter than 1m; \"4h\" is usual, \"0s\" is never");
        }
        policy.repeat_interval = (!interval.is_zero()).then_some(interval);
    }
    if let Some(names) = written.mute {
        policy.mute = Vec::new();
        for (at, name) in names.iter().enumerate() {
            match known.intervals.iter().filter(|named| named.1.is_some()).position(|named| named.0 == *name) {
                Some(position) => policy.mute.push(position),
                None if known.intervals.iter().any(|named| named.0 == *name) => {}
                None => {
                    let name = name.chars().take(64).collect::<String>();
                    let message = format!("`{}` is no interval; add it to routing.intervals", name.escape_debug());
                    findings.error(&format!("{setting}.mute[{at}]"), message);
                }
            }
        }
    }
    if let Some(steps) = written.escalate {
        policy.escalate = escalations(steps, setting, known, findings);
    }
    policy
}

fn escalations(
    raw: Vec<raw::Escalation>,
    setting: &str,
    known: &Known<'_>,
    findings: &mut Findings<'_>,
) -> Vec<Escalation> {
    let mut steps: Vec<Escalation> = Vec::new();
    for (at, step) in raw.into_iter().enumerate() {
        let setting = format!("{setting}.escalate[{at}]");
        if step.after < SHORTEST {
            findings.error(&format!("{setting}.after"), "is shorter than 1m; nobody could act before, try \"15m\"");
        }
        if steps.last().is_some_and(|before| before.after >= step.after) {
            findings.error(&format!("{setting}.after"), "is not later than the step before; order them by time");
        }
        if step.to.is_empty() {
            findings.error(&format!("{setting}.to"), "is empty, so that nobody is told; name a receiver");
        }
        let to = positions(&step.to, &format!("{setting}.to"), known, findings);
        steps.push(Escalation { after: step.after, to });
    }
    steps
}
