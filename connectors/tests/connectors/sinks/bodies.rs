//! Bodies against their contracts: the schemas that we publish in `schemas/json/bodies`, and the models that the Open
//! Cybersecurity Schema Framework's own ecosystem publishes.
//!
//! `WATERSHED_PYTHON` names a Python that has the libraries (`make test` sets one up); without it the tests are skipped.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use watershed_connectors::sinks::ocsf;
use watershed_schemas::{Case, Disposition};

use super::messages::check_expected;
use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn by_schema(name: &str, body: &Value) -> Value {
    let directory = if name == "notification" { "schemas/json" } else { "schemas/json/bodies" };
    json!({ "schema": root().join(directory).join(format!("{name}.schema.json")), "body": body })
}

/// What the libraries find wrong with each body, in order; nothing where there is no Python.
#[allow(clippy::print_stderr, reason = "a skipped test says why")]
fn complaints(bodies: &[Value]) -> Option<Vec<Option<String>>> {
    let Some(python) = std::env::var_os("WATERSHED_PYTHON") else {
        eprintln!(
            "skipped: WATERSHED_PYTHON names no Python with `jsonschema` and `py-ocsf-models`; `make test` sets one up"
        );
        return None;
    };
    let script = root().join("integration/python/validate_bodies.py");
    let mut child = Command::new(&python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("WATERSHED_PYTHON names {python:?}, which can't be run: {error}"));
    let mut input = child.stdin.take().expect("piped");
    let bodies = bodies.to_vec();
    // Both pipes are bounded: what is written must not wait for what is read.
    let writer = std::thread::spawn(move || {
        for body in bodies {
            // A script that ended early has said why on stderr.
            let _ = writeln!(input, "{body}");
        }
    });
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("written");
    assert!(output.status.success(), "the Python of WATERSHED_PYTHON lacks integration/python/requirements.txt");
    let lines = String::from_utf8(output.stdout).expect("text");
    let answers = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    Some(answers.map(|answer| answer["error"].as_str().map(str::to_owned)).collect())
}

fn check_all(bodies: &[Value]) {
    let Some(complaints) = complaints(bodies) else { return };
    assert_eq!(complaints.len(), bodies.len());
    for (body, complaint) in bodies.iter().zip(complaints) {
        assert_eq!(complaint, None, "{body:#}");
    }
}

fn expected(name: &str) -> Value {
    let path = root().join("connectors/tests/expected/sinks").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

/// One message for each end that an incident can have.
fn ended() -> Vec<Notification> {
    let closed = |disposition: Disposition| Notification {
        reason: NotifyReason::Resolved,
        status: IncidentStatus::Closed,
        handled: Some(Handled {
            act: Act::Close { disposition },
            by: "ana@acme.example".to_owned(),
            at: Timestamp::from_secs(1_780_000_900),
            note: Some("seen".to_owned()),
        }),
        ..complete()
    };
    let withdrawn =
        Notification { reason: NotifyReason::Withdrawn, status: IncidentStatus::Withdrawn, rules: vec![], ..opened() };
    let merged = Notification { reason: NotifyReason::Resolved, status: IncidentStatus::Merged, ..opened() };
    vec![
        closed(Disposition::TruePositive),
        closed(Disposition::Benign),
        closed(Disposition::FalsePositive),
        withdrawn,
        merged,
    ]
}

fn every_message() -> Vec<Notification> {
    [vec![opened(), resolved(), complete()], ended()].concat()
}

#[test]
fn golden_bodies_keep_to_their_published_schemas() {
    let golden = [
        ("slack", "slack_opened.json"),
        ("slack", "slack_resolved.json"),
        ("slack", "slack_complete.json"),
        ("pagerduty", "pagerduty_trigger.json"),
        ("pagerduty", "pagerduty_resolve.json"),
        ("pagerduty", "pagerduty_complete.json"),
        ("pagerduty", "pagerduty_former.json"),
        ("splunk", "splunk.json"),
        ("notification", "notification.json"),
        ("cloudevents", "cloudevents.json"),
        ("ocsf_incident_finding", "ocsf_incident_finding.json"),
        ("ocsf_detection_finding", "ocsf_detection_finding.json"),
    ];
    let bodies: Vec<Value> = golden.iter().map(|(schema, file)| by_schema(schema, &expected(file))).collect();
    check_all(&bodies);
}

#[test]
fn findings_keep_to_the_schema_in_every_state() {
    let bodies: Vec<Value> = every_message()
        .iter()
        .flat_map(|message| {
            let (incident, detection) = (ocsf::incident_finding(message), ocsf::detection_finding(message));
            [
                by_schema("ocsf_incident_finding", &incident),
                by_schema("ocsf_detection_finding", &detection),
                json!({ "ocsf": "incident_finding", "body": incident }),
                json!({ "ocsf": "detection_finding", "body": detection }),
            ]
        })
        .collect();
    check_all(&bodies);
}

/// The finding as the schema has it and as the models read what they know of it.
fn as_finding(finding: &Value) -> [Value; 2] {
    [by_schema("ocsf_incident_finding", finding), json!({ "ocsf": "incident_finding", "body": finding })]
}

#[test]
fn an_exported_case_keeps_to_the_schema_in_every_state() {
    // What the engine's tests export of their examples.
    let exported = ["whole", "hostile"].map(|name| {
        let path = root().join(format!("engine/tests/expected/cases/{name}.ocsf.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).expect("JSON")
    });
    let mut bodies: Vec<Value> = exported.iter().flat_map(as_finding).collect();
    let about =
        IncidentRevision::opened("inc_1", "acme", Verdict::AccessCompromise, Timestamp::from_secs(1_780_000_000));
    let case = |incident: IncidentRevision| -> Case {
        serde_json::from_value(json!({ "incident": incident, "revisions": [], "timeline": [] })).expect("a case")
    };
    let merged = IncidentRevision {
        revision: 4,
        status: IncidentStatus::Merged,
        reason: "merged into inc_0".to_owned(),
        rules: vec!["leaked-key".to_owned()],
        ..about.clone()
    };
    let of_end = |end: Notification| IncidentRevision {
        revision: 3,
        status: end.status,
        handled: end.handled,
        verdict: Verdict::Both,
        ..about.clone()
    };
    let all = [about.clone(), merged].into_iter().chain(ended().into_iter().map(of_end));
    let findings: Vec<Value> = all.map(|incident| ocsf::case_finding(&case(incident))).collect();
    let of = |name: &str| findings.iter().map(|finding| finding[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("activity_id"), [1, 3, 3, 3, 3, 3, 3]);
    assert_eq!(of("verdict_id"), [0, 0, 2, 5, 1, 0, 0]);
    assert_eq!(findings[1]["status_detail"], "merged into inc_0");
    bodies.extend(findings.iter().flat_map(as_finding));
    check_all(&bodies);
}

#[test]
fn findings_say_it_in_the_words_of_the_schema() {
    let finding = ocsf::incident_finding(&complete());
    check_expected("ocsf_incident_finding.json", &finding);
    check_expected("ocsf_detection_finding.json", &ocsf::detection_finding(&complete()));
    assert_eq!(finding["time"], 1_780_000_042_000_i64, "milliseconds");
    assert_eq!(finding["type_uid"], 200_502);
    assert_eq!(finding["finding_info_list"][0]["types"], json!(["both"]), "our verdict");
    // An analyst's word and nothing else is `verdict_id`.
    let verdicts: Vec<Value> =
        every_message().iter().map(|m| ocsf::incident_finding(m)["verdict_id"].clone()).collect();
    assert_eq!(verdicts, [0, 0, 0, 2, 5, 1, 0, 0]);
    let states: Vec<Value> = every_message().iter().map(|m| ocsf::detection_finding(m)["status_id"].clone()).collect();
    assert_eq!(states, [1, 4, 2, 4, 3, 3, 5, 5]);
}

#[tokio::test]
async fn a_signed_cloud_event_holds_the_finding_it_was_asked_for() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let receiver = super::receiver::Receiver::answering(200, &[]).await;
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("written");
    let kind = json!({
        "type": "webhook",
        "url": receiver.base,
        "secrets": [{ "file": secret }],
        "envelope": "cloudevents",
        "format": "ocsf",
        "source": "https://watershed.acme.example/eu",
        "network": { "allow_private": true },
    });
    let sink = build(&settings(&directory, kind, &[]));
    sink.send(&opened(), &Attempt::at(now())).await.expect("accepted");
    let request = receiver.only();
    assert_eq!(request.headers["content-type"], "application/cloudevents+json; charset=utf-8");
    assert_eq!(request.headers["webhook-id"], request.json()["id"].as_str().expect("an id"));
    assert_eq!(request.json()["data"], ocsf::incident_finding(&opened()));
    check_expected("cloudevents.json", &request.json());
}

#[test]
fn the_validation_can_fail() {
    let mut wrong = Vec::new();
    let mut add = |schema: &str, file: &str, change: &dyn Fn(&mut Value)| {
        let mut body = expected(file);
        change(&mut body);
        wrong.push(by_schema(schema, &body));
    };
    add("slack", "slack_opened.json", &|body| body["blocks"][0]["text"]["text"] = json!("x".repeat(151)));
    add("slack", "slack_opened.json", &|body| body["blocks"][0]["text"]["type"] = json!("mrkdwn"));
    add("slack", "slack_opened.json", &|body| body["blocks"][0]["text"]["text"] = json!("<!channel>"));
    add("pagerduty", "pagerduty_trigger.json", &|body| body["payload"]["severity"] = json!("high"));
    add("pagerduty", "pagerduty_trigger.json", &|body| body["payload"]["summary"] = json!("x".repeat(1_025)));
    add("splunk", "splunk.json", &|body| body["event"] = json!({}));
    add("ocsf_incident_finding", "ocsf_incident_finding.json", &|body| body["time"] = json!("2026-01-01"));
    add("ocsf_incident_finding", "ocsf_incident_finding.json", &|body| body["verdict_id"] = json!(99));
    let finding = |name: &str, value: Value| {
        let mut finding = ocsf::detection_finding(&opened());
        finding[name] = value;
        json!({ "ocsf": "detection_finding", "body": finding })
    };
    let exported = |name: &str, value: Value| {
        let mut finding = ocsf::incident_finding(&opened());
        finding[name] = value;
        json!({ "ocsf": "incident_finding", "body": finding })
    };
    wrong.push(exported("finding_info_list", json!([{ "uid": "x" }])));
    wrong.push(exported("finding_info_list", json!([])));
    wrong.push(exported("metadata", json!({ "version": ocsf::VERSION, "product": {}, "no_such_attribute": 1 })));
    wrong.push(finding("severity_id", json!(7)));
    wrong.push(finding("no_such_attribute", json!(1)));
    wrong.push(finding("finding_info", json!({ "uid": "x" })));
    let Some(complaints) = complaints(&wrong) else { return };
    for (body, complaint) in wrong.iter().zip(complaints) {
        assert!(complaint.is_some(), "nobody objects to {body:#}");
    }
}
