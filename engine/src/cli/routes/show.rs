//! The tree of routes as text.

use std::fmt::Write as _;
use std::time::Duration;

use watershed_schemas::Plane;

use crate::router::{Matchers, Policy, Route, Routes};

/// The tree, a line for each route and each way of telling.
pub(super) fn tree(routes: &Routes) -> String {
    let mut text = String::new();
    for (at, route) in routes.routes.iter().enumerate() {
        branch(&mut text, routes, route, &at.to_string(), &routes.policy);
    }
    let rest = if routes.routes.is_empty() { "everything" } else { "the rest" };
    for plane in Plane::ALL {
        let labels = crate::router::Labels::default();
        let by_team = Routes { routes: Vec::new(), ..routes.clone() };
        let told: Vec<usize> = by_team.targets(&labels, plane).iter().map(|target| target.receiver).collect();
        line(&mut text, "", &format!("{rest}, plane {plane} → {}", names(routes, &told)));
    }
    how(&mut text, routes, &routes.policy, "  ");
    let fallback = routes.fallback.map_or("nobody", |at| routes.receivers[at].name.as_str());
    line(&mut text, "", &format!("what nobody takes → {fallback}"));
    for inhibition in &routes.inhibitions {
        let equal: Vec<&str> = inhibition.equal.iter().map(|label| label.name()).collect();
        let (source, target) = (all(&inhibition.source), all(&inhibition.target));
        line(&mut text, "", &format!("while {source} lasts, {target} of the same {} is held back", equal.join(", ")));
    }
    for silence in &routes.silences {
        let (matchers, author) = (all(&silence.matchers), &silence.author);
        line(&mut text, "", &format!("silence of {matchers} until {}, by {author}: {}", silence.ends, silence.reason));
    }
    text
}

/// A line; what people wrote into the file stays on it.
fn line(text: &mut String, indent: &str, content: &str) {
    let content: String =
        content.chars().map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter }).collect();
    // A String can't fail.
    let _ = writeln!(text, "{indent}{content}");
}

fn branch(text: &mut String, routes: &Routes, route: &Route, place: &str, around: &Policy) {
    let indent = "  ".repeat(place.matches('.').count());
    let to = names(routes, &route.receivers);
    let on = if route.and_on { ", and on" } else { "" };
    let otherwise = if route.routes.is_empty() || route.receivers.is_empty() { "" } else { "what none below takes " };
    line(text, &indent, &format!("[{place}] {} {otherwise}→ {to}{on}", asked(&route.matchers)));
    if route.policy != *around {
        how(text, routes, &route.policy, &format!("{indent}    "));
    }
    for (at, inner) in route.routes.iter().enumerate() {
        branch(text, routes, inner, &format!("{place}.{at}"), &route.policy);
    }
}

fn names(routes: &Routes, receivers: &[usize]) -> String {
    let names: Vec<&str> = receivers.iter().filter_map(|at| Some(routes.receivers.get(*at)?.name.as_str())).collect();
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}

fn all(matchers: &[crate::router::Matcher]) -> String {
    let texts: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    if texts.is_empty() { "everything".to_owned() } else { texts.join(" ") }
}

/// What a route asks, as matchers.
pub(super) fn asked(matchers: &Matchers) -> String {
    let mut texts: Vec<String> = Vec::new();
    let any = |label: &str, values: Vec<&str>| match values.as_slice() {
        [] => None,
        [value] => Some(format!("{label}=\"{value}\"")),
        values => Some(format!("{label} in {}", values.join("|"))),
    };
    texts.extend(any("verdict", matchers.verdicts.iter().map(|verdict| verdict.name()).collect()));
    texts.extend(any("plane", matchers.plane.iter().map(|plane| plane.name()).collect()));
    texts.extend(matchers.severity_at_least.map(|severity| format!("severity>=\"{}\"", severity.name())));
    texts.extend(any("tenant", matchers.tenants.iter().map(String::as_str).collect()));
    texts.extend(any("rule", matchers.rules.iter().map(String::as_str).collect()));
    texts.extend(any("tag", matchers.tags.iter().map(String::as_str).collect()));
    texts.extend(matchers.further.iter().map(ToString::to_string));
    if texts.is_empty() { "everything".to_owned() } else { texts.join(" ") }
}

/// How it is told, where that is not at once and alone.
fn how(text: &mut String, routes: &Routes, policy: &Policy, indent: &str) {
    let span = |duration: Duration| humantime::format_duration(duration).to_string();
    let mut ways: Vec<String> = Vec::new();
    if !policy.group_by.is_empty() {
        let labels: Vec<&str> = policy.group_by.iter().map(|label| label.name()).collect();
        ways.push(format!("grouped by {}", labels.join(", ")));
    }
    if !policy.group_wait.is_zero() {
        ways.push(format!("waits {}", span(policy.group_wait)));
    }
    if !policy.group_interval.is_zero() {
        ways.push(format!("growth every {}", span(policy.group_interval)));
    }
    ways.extend(policy.repeat_interval.map(|interval| format!("again every {}", span(interval))));
    ways.extend(policy.mute.iter().filter_map(|at| Some(format!("mute in {}", routes.intervals.get(*at)?))));
    for step in &policy.escalate {
        ways.push(format!("after {} to {}", span(step.after), names(routes, &step.to)));
    }
    if !ways.is_empty() {
        line(text, indent, &ways.join("; "));
    }
}
