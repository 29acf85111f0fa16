//! What was recorded, replayed: the same incidents as in production.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use watershed_integration::broker;
use watershed_integration::deployment::Deployment;
use watershed_integration::program;

use crate::recorded::{is_equal, record};
use crate::waves::{produce, wave};

const DEADLINE: Duration = Duration::from_secs(180);

/// Waits for a quarter of an hour after the last event, which only the end of the recording closes: the run stopped before.
const STILL_WAITING: &str = "finding-without-containment";

/// Verdict and rules by principal.
type Findings = BTreeMap<String, (String, BTreeSet<String>)>;

#[test]
fn a_replay_of_the_recording_finds_what_the_run_found() {
    let Some(broker) = broker::shared("rerun") else { return };
    let mut deployment = Deployment::new(broker, "rerun").expect("a deployment");
    produce(&deployment, &wave(0));
    let recording = deployment.dir().join("recording");
    record(&deployment, &recording);

    let mut running = deployment.start(None).expect("watershed starts");
    deployment.settle(&mut running, DEADLINE).expect("it comes to rest");
    deployment.stop(running).expect("it stops");
    is_equal(&recording, &["--config".as_ref(), deployment.config().as_os_str()]);
    let found = from_receivers(&deployment);
    assert!(!found.is_empty(), "the run found something");

    let incidents = deployment.dir().join("incidents.jsonl");
    let arguments = [
        "replay".as_ref(),
        recording.as_os_str(),
        "--config".as_ref(),
        deployment.config().as_os_str(),
        "--incidents".as_ref(),
        incidents.as_os_str(),
    ]
    .map(std::ffi::OsStr::to_owned);
    program::succeed(arguments).expect("replayed");
    assert_eq!(from_replay(&std::fs::read_to_string(&incidents).expect("incidents")), found);
}

fn from_receivers(deployment: &Deployment) -> Findings {
    let (ai_security, iam) = deployment.delivered().expect("signed and well-formed");
    let mut findings = Findings::new();
    let mut widest = BTreeMap::new();
    for message in ai_security.iter().chain(&iam) {
        let notification = &message.notification;
        let principal = notification.principal.clone().expect("a principal");
        let verdict = widest.entry(principal.clone()).or_insert(notification.verdict);
        *verdict = notification.verdict.max(*verdict);
        let finding = findings.entry(principal).or_default();
        finding.0 = verdict.name().to_owned();
        finding.1.extend(notification.rules.iter().map(|rule| rule.id.clone()));
    }
    findings
}

fn from_replay(text: &str) -> Findings {
    let mut findings = Findings::new();
    for line in text.lines() {
        let incident: Value = serde_json::from_str(line).expect("an incident");
        let words = |name: &str| incident[name].as_str().expect("a text").to_owned();
        let rules = incident["rules"].as_array().expect("rules").iter().map(|rule| rule.as_str().expect("an id"));
        let rules = rules.filter(|rule| *rule != STILL_WAITING).map(str::to_owned);
        // Revisions come in order: the last one of a principal's incident stays.
        findings.insert(words("principal"), (words("verdict"), rules.collect()));
    }
    findings
}
