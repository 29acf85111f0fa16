//! Whether matchers can ever match: what they ask of labels whose values are few is tried out, all of it.

use watershed_schemas::{Plane, Verdict};

use super::{Label, Labels, Matcher, Matchers};

/// Labels that have one value each, of which there may be any number.
const SINGLE: [Label; 2] = [Label::Tenant, Label::Principal];

/// Every half that there can be, as far as labels tell whose values are few.
fn halves() -> Vec<Labels> {
    let all = |label: Label| label.values().unwrap_or_default();
    let mut halves = Vec::new();
    for verdict in [Verdict::ModelAbuse, Verdict::AccessCompromise, Verdict::Both] {
        for plane in verdict.planes() {
            // What has one plane began there.
            let own = [plane.name()];
            let origins = if verdict.planes().len() == 1 { &own[..] } else { all(Label::Origin) };
            for (severity, origin) in
                all(Label::Severity).iter().flat_map(|one| origins.iter().map(move |two| (*one, *two)))
            {
                let half = Labels::default().with(Label::Verdict, verdict.name()).with(Label::Plane, plane.name());
                halves.push(half.with(Label::Severity, severity).with(Label::Origin, origin));
            }
        }
    }
    halves
}

/// What matchers ask of labels whose values are few.
fn closed(matchers: &Matchers) -> Matchers {
    let further = matchers.further.iter().filter(|matcher| matcher.label().values().is_some()).cloned().collect();
    Matchers { tenants: Vec::new(), rules: Vec::new(), tags: Vec::new(), further, ..matchers.clone() }
}

fn taken(matchers: &[&Matchers]) -> Vec<Labels> {
    let closed: Vec<Matchers> = matchers.iter().map(|matchers| closed(matchers)).collect();
    let takes = |half: &Labels| closed.iter().all(|matchers| matchers.matches(half));
    halves().into_iter().filter(takes).collect()
}

/// Why a matcher alone matches nothing.
pub(crate) fn never(matcher: &Matcher) -> Option<String> {
    let values = matcher.label().values()?;
    let none = !values.iter().any(|value| matcher.takes(value));
    none.then(|| format!("{matcher} can never match: {} is one of {}", matcher.label().name(), values.join(", ")))
}

/// Why matchers as a silence has them, all of which must hold, match nothing.
pub(crate) fn excluded(further: &[Matcher]) -> Option<String> {
    contradiction(&[&Matchers { further: further.to_vec(), ..Matchers::default() }])
}

/// Why these matchers, all of which must hold, match nothing.
pub(crate) fn contradiction(all: &[&Matchers]) -> Option<String> {
    let alone = all.iter().flat_map(|matchers| &matchers.further).any(|matcher| never(matcher).is_some());
    if !alone && taken(all).is_empty() {
        return Some("no half of an incident has such a verdict, plane, severity and origin at once".to_owned());
    }
    SINGLE.into_iter().find_map(|label| {
        let lists =
            all.iter().map(|matchers| &matchers.tenants).filter(|list| label == Label::Tenant && !list.is_empty());
        let lists: Vec<&Vec<String>> = lists.collect();
        let asked = || all.iter().flat_map(|matchers| &matchers.further).filter(|matcher| matcher.label() == label);
        let only = asked().filter_map(Matcher::only_value);
        let candidates: Vec<&str> = lists.iter().copied().flatten().map(String::as_str).chain(only).collect();
        let fits = |value: &&str| {
            asked().all(|matcher| matcher.takes(value)) && lists.iter().all(|list| list.iter().any(|one| one == value))
        };
        let none = !candidates.is_empty() && !candidates.iter().any(fits);
        none.then(|| format!("what it asks of `{}` excludes itself", label.name()))
    })
}

/// The planes whose halves they take.
pub(crate) fn planes(all: &[&Matchers]) -> Vec<Plane> {
    let taken = taken(all);
    let has = |plane: &Plane| taken.iter().any(|half| half.values(Label::Plane).any(|value| value == plane.name()));
    Plane::ALL.into_iter().filter(has).collect()
}

/// Routes that never take anything, because earlier ones take all of it; with the reason.
pub(crate) fn unreachable(around: &[&Matchers], routes: &[super::Route]) -> Vec<(usize, String)> {
    let mut unreachable = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        let chain: Vec<&Matchers> = around.iter().copied().chain([&route.matchers]).collect();
        let mut left = taken(&chain);
        // What can never match has its own problem.
        if left.is_empty() {
            continue;
        }
        let mut by = Vec::new();
        for (at, earlier) in routes[..index].iter().enumerate() {
            if earlier.and_on || earlier.receivers.is_empty() || !implies(&route.matchers, &earlier.matchers) {
                continue;
            }
            let before = left.len();
            let closed = closed(&earlier.matchers);
            left.retain(|half| !closed.matches(half));
            if left.len() < before {
                by.push((at, earlier));
            }
        }
        if !left.is_empty() {
            continue;
        }
        let reason = match by.as_slice() {
            [(at, earlier)] if earlier.matchers.is_empty() => {
                format!("routes[{at}] matches everything; move that to the end, or add `continue = true`")
            }
            by => {
                let by: Vec<String> = by.iter().map(|(at, _)| format!("routes[{at}]")).collect();
                format!("{} takes all that it matches; move it up, or add `continue = true` there", by.join(" with "))
            }
        };
        unreachable.push((index, format!("is never reached: {reason}")));
    }
    unreachable
}

/// Whether all that passes `one` passes what `other` asks of labels with any number of values, as far as their texts tell.
fn implies(one: &Matchers, other: &Matchers) -> bool {
    let within = |narrow: &[String], wide: &[String]| {
        wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|value| wide.contains(value)))
    };
    let open = |matcher: &&Matcher| matcher.label().values().is_none();
    within(&one.tenants, &other.tenants)
        && within(&one.rules, &other.rules)
        && within(&one.tags, &other.tags)
        && other.further.iter().filter(open).all(|matcher| matcher.asks_nothing() || one.further.contains(matcher))
}
