//! A rule that is added while the program runs, and the topics that are read again for it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use watershed_integration::broker::{self, Record};
use watershed_integration::deployment::Deployment;
use watershed_integration::guard::Guarded;
use watershed_integration::wait;
use watershed_schemas::Timestamp;

use crate::waves::now;

const DEADLINE: Duration = Duration::from_secs(120);

/// Runs from the start and remembers nothing of what the others ask for.
const STANDING: &str = "/*---
id: standing
title: A tool that nobody has
plane: model
severity: low
key: [call_event_id]
---*/
SELECT event_time, tenant, principal, event_id AS call_event_id FROM runtime WHERE kind = 'tool_call' AND tool = 'none'";

/// A prompt that no sign-in of the last hour explains.
const UNEXPLAINED: &str = "/*---
id: unexplained
title: A prompt of somebody who has not signed in
plane: access
severity: high
key: [prompt_event_id]
---*/
SELECT r.event_time, r.tenant, r.principal, r.event_id AS prompt_event_id FROM runtime r
WHERE r.kind = 'prompt' AND NOT EXISTS (SELECT 1 FROM identity i WHERE i.tenant = r.tenant AND i.principal = r.principal
  AND i.kind = 'authentication' AND i.event_time BETWEEN r.event_time - INTERVAL '1 hour' AND r.event_time)";

/// A prompt within an hour after a sign-in.
const FOLLOWED: &str = "/*---
id: followed
title: A prompt after a sign-in
plane: model
severity: high
key: [prompt_event_id]
---*/
SELECT r.event_time, r.tenant, r.principal, r.event_id AS prompt_event_id, i.event_id AS login_event_id
FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal
 AND r.event_time BETWEEN i.event_time AND i.event_time + INTERVAL '1 hour'
WHERE r.kind = 'prompt' AND i.kind = 'authentication'";

#[test]
fn a_rule_that_is_added_reads_the_topics_again() {
    let Some(broker) = broker::shared("backfill") else { return };
    let mut deployment = deployed(broker, "backfill");
    // More than one batch of somebody else, so that the past takes some reading.
    let crowd: Vec<Record> =
        (0..6_000).map(|n| event(n % 4, "authentication", &format!("crowd-{n}"), minutes(40))).collect();
    deployment.topics().produce(&deployment.topic("identity"), &crowd).expect("produced");
    let sign_ins = [event(1, "authentication", "ann", minutes(30)), event(2, "authentication", "carl", minutes(20))];
    deployment.topics().produce(&deployment.topic("identity"), &sign_ins).expect("produced");
    let before = [event(3, "prompt", "carl", minutes(18))];
    deployment.topics().produce(&deployment.topic("runtime"), &before).expect("produced");

    let mut running = deployment.start(None).expect("watershed starts");
    deployment.settle(&mut running, DEADLINE).expect("it comes to rest");
    write(&deployment, "unexplained", UNEXPLAINED);
    write(&deployment, "followed", FOLLOWED);
    for id in ["unexplained", "followed"] {
        let stands = wait_for_its_past(&deployment, &mut running, id);
        assert!(stands["warming_until"].is_null(), "{stands}");
    }
    let kept = rule(&deployment, "followed").expect("it runs")["rows"].as_u64().expect("a number");
    assert!(kept >= crowd.len() as u64, "{kept} rows of the past");

    // Of the present: one prompt that a remembered sign-in explains, and one that nothing explains.
    let after = [event(0, "prompt", "ann", now()), event(1, "prompt", "bob", now())];
    deployment.topics().produce(&deployment.topic("runtime"), &after).expect("produced");
    deployment.settle(&mut running, DEADLINE).expect("it comes to rest");
    let failed = deployment.metric("watershed_rule_backfill_failed_total");
    deployment.stop(running).expect("it stops");

    assert!(failed.is_none_or(|failed| failed == 0.0), "{failed:?}");
    let (ai_security, iam) = deployment.delivered().expect("signed and well-formed");
    let told = |messages: &[watershed_integration::receivers::Delivered]| -> BTreeSet<(String, String)> {
        let about = |message: &watershed_integration::receivers::Delivered| {
            let notification = &message.notification;
            let principal = notification.principal.clone().expect("a principal");
            notification.rules.iter().map(|rule| (principal.clone(), rule.id.clone())).collect::<Vec<_>>()
        };
        messages.iter().flat_map(about).collect()
    };
    let pair = |principal: &str, rule: &str| BTreeSet::from([(principal.to_owned(), rule.to_owned())]);
    // Carl's prompt was over before the rules came: recorded, and nobody is told.
    assert_eq!(told(&ai_security), pair("ann", "followed"));
    assert_eq!(told(&iam), pair("bob", "unexplained"));
}

#[test]
fn a_rule_warms_where_the_topics_begin_later() {
    let Some(broker) = broker::shared("backfill-cut") else { return };
    let mut deployment = deployed(broker, "backfill-cut");
    let topic = deployment.topic("identity");
    let sign_ins = [("ann", 50), ("carl", 40), ("dave", 2)];
    let sign_ins = sign_ins.map(|(who, ago)| event(1, "authentication", who, minutes(ago)));
    deployment.topics().produce(&topic, &sign_ins).expect("produced");
    let before = [event(3, "prompt", "carl", minutes(18))];
    deployment.topics().produce(&deployment.topic("runtime"), &before).expect("produced");
    let mut running = deployment.start(None).expect("watershed starts");
    deployment.settle(&mut running, DEADLINE).expect("it comes to rest");
    deployment.topics().delete_before(&topic, 1, 1).expect("ann's sign-in is gone");
    write(&deployment, "unexplained", UNEXPLAINED);
    let stands = wait_for_its_past(&deployment, &mut running, "unexplained");
    deployment.stop(running).expect("it stops");
    let until = stands["warming_until"].as_str().map(|until| Timestamp::parse(until).expect("a time"));
    // Carl's sign-in is the first that is left; clocks may differ by five minutes, and the rule looks back for an hour.
    // Without the log it would be an hour after Dave's.
    let until = until.expect("it warms").micros() - minutes(40).micros();
    assert!((60..67).contains(&(until / 60_000_000)), "{stands}");
}

/// A deployment with the rule that always runs, and what the others are to get.
fn deployed(broker: &broker::Broker, name: &str) -> Deployment {
    let deployment = Deployment::new(broker, name).expect("a deployment");
    std::fs::create_dir(deployment.dir().join("rules")).expect("a folder");
    write(&deployment, "standing", STANDING);
    let mut config = std::fs::read_to_string(deployment.config()).expect("the configuration");
    writeln!(
        config,
        "[rules]\ncatalog = false\npaths = [\"{}\"]\nreload_every = \"50ms\"\n\
         [rules.override.unexplained]\nbackfill = true\n[rules.override.followed]\nbackfill = true\n\
         [time.runtime]\nout_of_orderness = \"1s\"\n[time.identity]\nout_of_orderness = \"1s\"",
        deployment.dir().join("rules").display()
    )
    .expect("a text");
    std::fs::write(deployment.config(), config).expect("the configuration");
    deployment
}

fn write(deployment: &Deployment, id: &str, text: &str) {
    std::fs::write(deployment.dir().join("rules").join(format!("{id}.sql")), text).expect("a rule");
}

fn minutes(ago: u64) -> Timestamp {
    now().minus(Duration::from_secs(ago * 60))
}

/// How a rule stands; `None` while it does not run.
fn rule(deployment: &Deployment, id: &str) -> Option<Value> {
    let answer = deployment.get("/rules")?;
    let rules: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
    rules.as_array()?.iter().find(|rule| rule["rule"] == id).cloned()
}

/// Waits until the log was read for a rule; gives how it stands then.
fn wait_for_its_past(deployment: &Deployment, running: &mut Guarded, id: &str) -> Value {
    wait::until(&format!("{id} to have its past"), DEADLINE, || {
        anyhow::ensure!(running.ended()?.is_none(), "watershed ended; {}", running.tail());
        let told = std::fs::read_to_string(running.log()).unwrap_or_default();
        let has = told.lines().any(|line| line.contains("rule has its past") && line.contains(id));
        Ok(rule(deployment, id).filter(|rule| has && rule["backfilling"].is_null()))
    })
    .expect("it is read")
}

fn event(partition: i32, kind: &str, principal: &str, at: Timestamp) -> Record {
    let event = json!({
        "event_id": format!("{principal}-{kind}"), "event_time": at.to_string(), "kind": kind, "principal": principal,
    });
    Record::new(partition, event.to_string()).at(at)
}
