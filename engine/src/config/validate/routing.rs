//! Receivers and routes: everybody is reachable, and every half of an incident finds somebody.

mod quiet;
mod tree;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::Utc;
use watershed_schemas::{Plane, Timestamp};

use super::Findings;
use crate::config::Receiver;
use crate::config::raw;
use crate::messages::Template;
use crate::router::{self, Routes};

/// Who is told of what.
pub(super) struct Routed {
    pub(super) receivers: Vec<Receiver>,
    pub(super) routes: Routes,
    pub(super) fallback: Option<String>,
}

pub(super) fn validate(receivers: Vec<raw::Receiver>, routing: raw::Routing, findings: &mut Findings<'_>) -> Routed {
    let receivers = self::receivers(receivers, findings);
    let position = |name: &str| receivers.iter().position(|receiver| receiver.name == name);
    let fallback = fallback(routing.fallback.clone(), &receivers, findings);
    let intervals = quiet::intervals(&routing.intervals, findings);
    let inhibitions = quiet::inhibitions(&routing.inhibitions, findings);
    let silences = quiet::silences(&routing.silences, Timestamp::from_micros(Utc::now().timestamp_micros()), findings);
    let (policy, tree) = tree::read(routing, &receivers, &intervals, findings);
    let listed = |receiver: &Receiver| router::Receiver {
        name: receiver.name.clone(),
        team: receiver.team.clone(),
        planes: receiver.planes.clone(),
    };
    let routes = Routes {
        receivers: receivers.iter().map(listed).collect(),
        routes: tree,
        fallback: fallback.as_deref().and_then(position),
        policy,
        intervals: intervals.into_iter().filter_map(|(_, interval)| interval).collect(),
        inhibitions,
        silences,
        external_url: None,
    };
    if !findings.document.incomplete("receivers") && !receivers.is_empty() {
        every_plane_is_owned(&receivers, &routes, findings);
    }
    Routed { receivers, routes, fallback }
}

fn receivers(raw: Vec<raw::Receiver>, findings: &mut Findings<'_>) -> Vec<Receiver> {
    if raw.is_empty() && !findings.document.incomplete("receivers") {
        findings
            .error("receivers", "there is none, so that nobody is ever told; add a [[receivers]] table for each team");
    }
    let mut names = BTreeSet::new();
    let mut receivers = Vec::new();
    for (index, receiver) in raw.into_iter().enumerate() {
        let setting = format!("receivers[{index}]");
        if receiver.name.is_empty() || !receiver.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
            let message = format!("`{}` is not a name of letters, digits, `-` and `_`", receiver.name.escape_debug());
            findings.error(&format!("{setting}.name"), message);
        }
        if !names.insert(receiver.name.clone()) {
            findings.error(
                &format!("{setting}.name"),
                format!("`{}` is taken by an earlier receiver; choose another name", receiver.name),
            );
        }
        if receiver.team.0.trim().is_empty() {
            findings.error(&format!("{setting}.team"), "is empty; name the team, such as \"ai-security\" or \"iam\"");
        }
        let owned = receiver.team.owned();
        if receiver.planes.is_none() && owned.is_none() {
            let message = format!(
                "is missing, and team `{}` owns no plane; say what it may show, such as [\"model\", \"access\"]",
                receiver.team.0
            );
            findings.error(&format!("{setting}.planes"), message);
        }
        let mut planes = receiver.planes.or(owned).unwrap_or_default();
        planes.sort();
        planes.dedup();
        for problem in receiver.sink.validate() {
            findings.error(&format!("{setting}.{}", problem.field), problem.message);
        }
        let template = receiver.template.as_deref().and_then(|path| template(path, &setting, findings));
        patience(&receiver.delivery, &setting, findings);
        receivers.push(Receiver {
            name: receiver.name,
            team: receiver.team.0,
            planes,
            sink: receiver.sink,
            template,
            delivery: receiver.delivery,
        });
    }
    receivers
}

/// Reads a template and lets it write one message of every sort: what it can't write is found before it is needed.
fn template(path: &std::path::Path, setting: &str, findings: &mut Findings<'_>) -> Option<Arc<Template>> {
    let loaded = Template::load(path).and_then(|template| template.check().map(|()| template));
    loaded.map(Arc::new).map_err(|error| findings.error(&format!("{setting}.template"), error.to_string())).ok()
}

fn patience(delivery: &crate::deliver::ReceiverSettings, setting: &str, findings: &mut Findings<'_>) {
    if delivery.max_attempts == 0 {
        findings
            .error(&format!("{setting}.delivery.max_attempts"), "is 0, so that nothing would be sent; 1 tries once");
    }
    if delivery.attempt_timeout.is_zero() {
        findings.error(
            &format!("{setting}.delivery.attempt_timeout"),
            "is zero, so that no attempt could succeed; try \"30s\"",
        );
    }
    if delivery.backoff_initial > delivery.backoff_max {
        findings.error(&format!("{setting}.delivery.backoff_initial"), "is longer than `backoff_max`; make it shorter");
    }
}

fn fallback(name: Option<String>, receivers: &[Receiver], findings: &mut Findings<'_>) -> Option<String> {
    let Some(name) = name else {
        let message = "there is none: an incident that nobody owns, and a message whose receiver is gone, reach nobody; \
                       set it to the name of a receiver";
        findings.warn("routing.fallback", message);
        return None;
    };
    if let Some(receiver) = receivers.iter().find(|receiver| receiver.name == name) {
        if raw::Team(receiver.team.clone()).owned().is_some_and(|owned| owned.len() == 1) {
            let message = format!(
                "`{name}` is of team `{}`, which owns one plane: it hears, if barely, of incidents that are not its own; name \
                 one of neither owner",
                receiver.team
            );
            findings.warn("routing.fallback", message);
        }
        return Some(name);
    }
    unknown("routing.fallback", &name, receivers, findings);
    None
}

fn unknown(setting: &str, name: &str, receivers: &[Receiver], findings: &mut Findings<'_>) {
    // A receiver that could not be read has its own problem already.
    if findings.document.names_receiver(name) {
        return;
    }
    let known: Vec<&str> = receivers.iter().map(|receiver| receiver.name.as_str()).collect();
    let known = if known.is_empty() { "there is none".to_owned() } else { format!("there is {}", known.join(", ")) };
    findings.error(setting, format!("`{}` is no receiver; {known}", name.escape_debug()));
}

/// Each plane's half of an incident must reach somebody who may see it.
fn every_plane_is_owned(receivers: &[Receiver], routes: &Routes, findings: &mut Findings<'_>) {
    for plane in Plane::ALL {
        let may_see = |position: &usize| receivers[*position].planes.contains(&plane);
        let by_team = !routes.by_team(plane).is_empty();
        let by_route = routes.each().iter().any(|(_, route)| route.receivers.iter().any(may_see));
        if by_team || by_route {
            continue;
        }
        let owner = match plane {
            Plane::Model => "ai-security",
            Plane::Access => "iam",
        };
        let message = format!(
            "nobody is told of the plane `{plane}`; add a receiver of team \"{owner}\", or a route to one that may show it"
        );
        match routes.fallback {
            Some(_) => findings.warn("receivers", message),
            None => findings.error("receivers", message),
        }
    }
}
