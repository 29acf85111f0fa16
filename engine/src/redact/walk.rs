//! Every receiver × plane × field class, through the real router and the real bodies of every kind of sink.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::json;
use watershed_schemas::{
    BlastRadius, Case, IncidentRevision, Moment, Notification, NotifyReason, Plane, Reach, Reached, Severity,
    Timestamp, Verdict,
};

use super::{Class, Overrides, Redaction};
use crate::cases;
use crate::cases::view::{Viewer, for_viewer};
use crate::correlator::{Evidence, SignalRecord, Telling};
use crate::messages::tests::golden::expect;
use crate::messages::tests::sinks::sinks;
use crate::router::{Receiver, Route, Router, Routes};

const TEAMS: [(&str, &[Plane]); 5] = [
    ("ai-security", &[Plane::Model]),
    ("iam", &[Plane::Access]),
    ("soc", &Plane::ALL),
    ("open-iam", &[Plane::Access]),
    ("operator", &[]),
];

fn at() -> Timestamp {
    Timestamp::from_secs(1_780_000_000)
}

fn evidence(plane: Plane, kind: &str, column: &str, value: &str) -> Evidence {
    let event = json!({
        "plane": plane, "event_id": format!("{}-event", plane.name()), "event_time": at(), "kind": kind,
        "columns": { column: value },
    });
    serde_json::from_value(event).expect("evidence")
}

/// A finding of one plane that rests on these events.
fn signal(plane: Plane, evidence: &[Evidence]) -> SignalRecord {
    let signal = json!({
        "signal_id": format!("sig-{}", plane.name()), "rule": format!("rule-{}", plane.name()), "plane": plane,
        "severity": "high", "tenant": "acme", "principal": "svc@acme.example", "session_id": null, "event_time": at(),
        "weights": { "model": 1.0, "access": 1.0 }, "withdrawn": false, "evidence": evidence, "moved": [at(), at()],
        "incident": null,
    });
    serde_json::from_value(signal).expect("a signal")
}

/// What every team is told of an incident of both planes whose findings all rest on the same events.
fn told(evidence: &[Evidence], elsewhere: &str) -> BTreeMap<String, Notification> {
    let incident = IncidentRevision {
        severity: Severity::High,
        principal: Some("svc@acme.example".to_owned()),
        sessions: vec![elsewhere.to_owned()],
        ..IncidentRevision::opened("inc_walk", "acme", Verdict::Both, at())
    };
    let reached = ["resource", "target"].map(|what| Reached {
        what: what.to_owned(),
        name: elsewhere.to_owned(),
        times: 1,
        first: at(),
        last: at(),
    });
    let telling = |plane| Telling {
        incident: incident.clone(),
        plane,
        reason: NotifyReason::Opened,
        signals: Plane::ALL.map(|plane| signal(plane, evidence)).into(),
        blast_radius: Some(BlastRadius {
            principal: "svc@acme.example".to_owned(),
            at: at(),
            could: Reach { credentials: vec![elsewhere.to_owned()], ..Reach::default() },
            did: reached.to_vec(),
            unknown: Vec::new(),
        }),
        first_moves: Vec::new(),
    };
    let receiver = |(name, planes): (&str, &[Plane])| Receiver {
        name: name.to_owned(),
        team: name.to_owned(),
        planes: planes.to_vec(),
    };
    let receivers: Vec<Receiver> = TEAMS.into_iter().map(receiver).collect();
    let overrides = Overrides { show: vec![Class::Prompt], hide: vec![Class::Device] };
    let redaction =
        || Redaction { receivers: [("open-iam".to_owned(), overrides.clone())].into(), ..Redaction::default() };
    let everybody = Route { receivers: vec![0, 1, 2, 3], ..Route::default() };
    let routes = Routes { receivers, routes: vec![everybody], ..Routes::default() };
    // Nobody else is there: the operator hears of it as the fallback.
    let alone = Routes { receivers: vec![receiver(TEAMS[4])], fallback: Some(0), ..Routes::default() };
    let tellings = Plane::ALL.map(telling);
    let messages = [routes, alone].into_iter().flat_map(|routes| {
        let mut router = Router::new(routes, &[]).redacting(redaction());
        let mut routed = router.take(&tellings, at());
        routed.extend(router.finish());
        routed.notifications
    });
    messages.map(|message| (message.receiver.clone(), message)).collect()
}

/// Columns of a plane, with the two that stand for texts.
fn columns(plane: Plane) -> Vec<String> {
    let own = plane.columns().iter().map(|column| column.name.to_owned());
    let fingerprints = ["content_fingerprint", "arguments_fingerprint"].map(str::to_owned);
    own.chain(fingerprints.into_iter().filter(|_| plane == Plane::Model)).collect()
}

#[test]
fn what_each_receiver_sees_of_each_column_is_what_the_table_says() {
    let sinks = sinks();
    let mut table = format!("{:<44}", "plane kind column");
    for (team, _) in TEAMS {
        table.push_str(&format!("{team:<13}"));
    }
    table.push('\n');
    let mut withheld_classes: BTreeSet<Class> = BTreeSet::new();
    for (plane, kinds) in [(Plane::Model, &["prompt", "tool_result"][..]), (Plane::Access, &["authentication"])] {
        for (kind, column) in kinds.iter().flat_map(|kind| columns(plane).into_iter().map(move |column| (kind, column)))
        {
            let canary = format!("canary.{}.{column}", plane.name());
            let class = Class::of(plane, kind, &column);
            if *kind == "tool_result" && class != Some(Class::Result) {
                continue;
            }
            let messages = told(&[evidence(plane, kind, &column, &canary)], "nothing");
            let class_name = class.map_or("", Class::name);
            let _ = write!(table, "{:<44}", format!("{} {kind} {column} {class_name}", plane.name()).trim_end());
            for (team, _) in TEAMS {
                let message = &messages[team];
                let text = json!(message).to_string();
                let said = word(&text, &canary, &column, class, "=");
                let (shown, stands) = (said == "shown", class.filter(|_| said == "withheld"));
                let _ = write!(table, "{said:<13}");
                if let Some(class) = stands {
                    withheld_classes.insert(class);
                    let counted = message.withheld.iter().find(|withheld| withheld.class == class.name());
                    assert!(counted.is_some_and(|withheld| withheld.count > 0), "{team}: {column} is not counted");
                }
                for (kind, sink) in &sinks {
                    let body = sink.preview(message).to_string();
                    assert!(shown || !body.contains(&canary), "{kind} tells {team} {canary}: {body}");
                    if let (Some(class), false) = (stands, kind.starts_with("ocsf")) {
                        assert!(body.contains(class.name()), "{kind} does not say that {class} is withheld: {body}");
                    }
                }
                // By hand, whatever the table says.
                let kept_from = match class {
                    Some(Class::Prompt) => &["iam", "operator"][..],
                    Some(Class::Arguments | Class::Result) => &["iam", "open-iam", "operator"],
                    Some(Class::Address | Class::Device) => &["ai-security", "operator"],
                    Some(Class::Personal) if plane == Plane::Access => &["ai-security", "operator"],
                    _ => &[],
                };
                assert!(!shown || !kept_from.contains(&team), "{team} sees {canary}");
            }
            let trimmed = table.trim_end().len();
            table.truncate(trimmed);
            table.push('\n');
        }
    }
    let walked: Vec<Class> = withheld_classes.into_iter().collect();
    assert_eq!(
        walked,
        [Class::Prompt, Class::Arguments, Class::Result, Class::Address, Class::Device, Class::Personal]
    );
    expect("redaction.txt", &table);
}

/// How a text tells of a canary in a column, where `is` stands between a column and its value.
fn word(text: &str, canary: &str, column: &str, class: Option<Class>, is: &str) -> &'static str {
    let of = column.trim_end_matches("_fingerprint");
    if text.contains(canary) {
        "shown"
    } else if class.is_some_and(|class| text.contains(&format!("{of}{is}withheld:{class}#"))) {
        "withheld"
    } else if column != of && text.contains(&format!("{column}{is}#")) {
        // What stands for a text is its fingerprint, keyed once more.
        "compared"
    } else {
        "-"
    }
}

#[test]
fn what_each_team_sees_of_a_case_is_what_its_receivers_are_told() {
    let mut table = format!("{:<44}{:<13}{}\n", "plane kind column", "ai-security", "iam");
    let mut withheld_classes: BTreeSet<String> = BTreeSet::new();
    for (plane, kinds) in [(Plane::Model, &["prompt", "tool_result"][..]), (Plane::Access, &["authentication"])] {
        for (kind, column) in kinds.iter().flat_map(|kind| columns(plane).into_iter().map(move |column| (kind, column)))
        {
            let class = Class::of(plane, kind, &column);
            if *kind == "tool_result" && class != Some(Class::Result) {
                continue;
            }
            let canary = format!("canary.{}.{column}", plane.name());
            let messages = told(&[evidence(plane, kind, &column, &canary)], "nothing");
            let class_name = class.map_or("", Class::name);
            let _ = write!(table, "{:<44}", format!("{} {kind} {column} {class_name}", plane.name()).trim_end());
            for owner in Plane::ALL {
                let case = seen_by(owner, plane, kind, &[(column.as_str(), canary.as_str())]);
                let text = json!(case.timeline).to_string();
                let said = word(&text, &canary, &column, class, "\":\"");
                let of_message = &json!(messages[owner.team()].evidence).to_string();
                let message = word(of_message, &canary, &column, class, "=");
                // A message leaves out what is no news to anybody.
                assert!(message == "-" || said == message, "{} {column}: {said} and {message}", owner.team());
                assert_eq!(said == "withheld", !case.withheld.is_empty(), "{}: {column} is not counted", owner.team());
                withheld_classes.extend(case.withheld.into_iter().map(|withheld| withheld.class));
                // By hand, whatever the tables say.
                let kept_from = match class {
                    Some(Class::Prompt | Class::Arguments | Class::Result) => Some(Plane::Access),
                    Some(Class::Address | Class::Device) => Some(Plane::Model),
                    Some(Class::Personal) => Some(plane.other()),
                    _ => None,
                };
                assert!(said != "shown" || kept_from != Some(owner), "{} sees {canary}", owner.team());
                let _ = write!(table, "{said:<13}");
            }
            table.truncate(table.trim_end().len());
            table.push('\n');
        }
    }
    let walked: Vec<&str> = withheld_classes.iter().map(String::as_str).collect();
    assert_eq!(walked, ["address", "arguments", "device", "personal", "prompt", "result"]);
    expect("redaction-case.txt", &table);
}

/// A case of one moment, which findings of both planes rest on, as the team of a plane sees it.
fn seen_by(owner: Plane, plane: Plane, kind: &str, columns: &[(&str, &str)]) -> Case {
    let mut case = cases::tests::whole();
    let mut moment = cases::tests::moment(plane, 0, "event", kind, columns);
    moment.moment = Moment::Evidence;
    moment.signals = case.incident.rules.iter().map(|rule| (format!("sig-{rule}"), rule.clone())).collect();
    case.timeline = vec![moment];
    for_viewer(case, Viewer::Owner(owner), &Redaction::default())
}

#[test]
fn what_a_case_quotes_and_where_tools_went_is_kept_from_the_other_team() {
    let text = "ask bob@other.example from 203.0.113.7, token ghp_0123456789abcdefghijABCDEFGHIJ012345";
    for (plane, kind, column) in [(Plane::Model, "prompt", "policy"), (Plane::Access, "authentication", "user_agent")] {
        for owner in Plane::ALL {
            let case = seen_by(owner, plane, kind, &[(column, text)]);
            let said = json!(case.timeline).to_string();
            assert!(!said.contains("ghp_"), "{said}");
            assert!(owner == plane || !said.contains("bob@other.example"), "{}: {said}", owner.team());
        }
    }
    let mut case = cases::tests::whole();
    let reached = Reached { what: "target".into(), name: "canary".into(), times: 1, first: at(), last: at() };
    case.blast_radius.as_mut().expect("it has one").did.push(reached);
    let said = |viewer| json!(for_viewer(case.clone(), viewer, &Redaction::default()).blast_radius).to_string();
    assert!(
        said(Viewer::Owner(Plane::Model)).contains("canary") && !said(Viewer::Owner(Plane::Access)).contains("canary")
    );
}

#[test]
fn a_secret_in_whatever_column_and_field_reaches_nobody() {
    let sinks = sinks();
    let secrets =
        ["ghp_0123456789abcdefghijABCDEFGHIJ012345", "sk-ant-api03-0123456789-abcdef", "xoxb-012345678901-abcdef"];
    let mut masked = 0;
    for (plane, kind) in [(Plane::Model, "tool_result"), (Plane::Model, "prompt"), (Plane::Access, "authentication")] {
        for column in columns(plane).iter().filter(|column| !column.ends_with("_fingerprint")) {
            for secret in secrets {
                let text = format!("uses {secret} and password=hunter2 now");
                for (team, message) in told(&[evidence(plane, kind, column, &text)], &text) {
                    let masked_here = message.withheld.iter().any(|withheld| withheld.class == "secret");
                    assert!(masked_here || message.planes.is_empty(), "{team}: {column}");
                    masked += json!(message).to_string().matches("[masked:").count();
                    for (kind, sink) in &sinks {
                        let body = sink.preview(&message).to_string();
                        assert!(!body.contains(secret) && !body.contains("hunter2"), "{kind} tells {team}: {body}");
                    }
                }
            }
        }
    }
    assert!(masked > 1_000, "{masked}");
}

#[test]
fn two_teams_can_tell_that_they_mean_the_same_value() {
    let messages = told(&[evidence(Plane::Access, "authentication", "ip", "203.0.113.7")], "nothing");
    let summary = |team: &str| messages[team].evidence[0].summary.clone();
    let fingerprint = Redaction::default().key.fingerprint("203.0.113.7");
    assert_eq!(summary("ai-security"), format!("ip=withheld:address#{fingerprint}"));
    assert!(summary("iam").starts_with("ip=203.0.113.7"));
}

#[test]
fn what_access_was_allowed_to_is_told_to_both_and_what_a_tool_acted_on_is_not() {
    let messages = told(&[evidence(Plane::Access, "access_allowed", "resource", "crm/customers")], "crm/customers");
    let did = |team: &str| {
        let radius = messages[team].blast_radius.as_ref().expect("there is a reach");
        radius.did.iter().map(|reached| format!("{} {}", reached.what, reached.name)).collect::<Vec<_>>()
    };
    let fingerprint = Redaction::default().key.fingerprint("crm/customers");
    assert_eq!(
        did("ai-security"),
        ["resource crm/customers".to_owned(), format!("target crm/customers#{fingerprint}")]
    );
    assert_eq!(did("iam"), ["resource crm/customers".to_owned(), format!("target withheld:arguments#{fingerprint}")]);
}
