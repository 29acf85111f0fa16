//! How far an identity reaches: against a fold by hand over random histories, and what teams are told of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::TimestampMicrosecondType;
use proptest::prelude::*;
use serde_json::{Value, json};
use watershed_connectors::formats::{Limits, Registry};
use watershed_connectors::{RawBatch, RawRecord};
use watershed_engine::blast::Collector;
use watershed_engine::core::{Input, Settings};
use watershed_engine::correlator::Telling;
use watershed_engine::playbook;
use watershed_rules::CompiledRule;
use watershed_schemas::{BlastRadius, Move, NotifyReason, Plane, Reach, Timestamp, Verdict};

use crate::driver::{Driver, arrivals, partition, runner, settings};
use crate::history::{MINUTE, START, as_written, batch, events_with, rule};

fn all_state() -> Settings {
    Settings { all_state: true, ..settings() }
}

/// One identity row as the fold by hand reads it.
struct Said<'a> {
    rows: &'a RecordBatch,
    row: usize,
}

impl Said<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let column = self.rows.column_by_name(name)?.as_string::<i32>();
        (!column.is_null(self.row)).then(|| column.value(self.row).to_owned())
    }

    fn texts(&self, name: &str) -> Option<Vec<String>> {
        let column = self.rows.column_by_name(name)?.as_list::<i32>();
        let list = (!column.is_null(self.row)).then(|| column.value(self.row))?;
        Some(list.as_string::<i32>().iter().flatten().map(str::to_owned).collect())
    }

    fn time(&self, name: &str) -> Option<i64> {
        let column = self.rows.column_by_name(name)?.as_primitive::<TimestampMicrosecondType>();
        (!column.is_null(self.row)).then(|| column.value(self.row))
    }

    fn kind(&self) -> String {
        self.text("kind").expect("a kind")
    }
}

#[derive(Clone, Default)]
struct Token {
    principal: Option<String>,
    behalf: Option<String>,
    scopes: Vec<String>,
    expires: Option<i64>,
    valid: bool,
}

/// What could be reached, by hand: every event up to the moment, one after the other.
fn by_hand(rows: &RecordBatch, principal: &str, at: i64) -> Reach {
    let mut said: Vec<Said<'_>> = (0..rows.num_rows()).map(|row| Said { rows, row }).collect();
    said.retain(|said| said.time("event_time").is_some_and(|time| time <= at));
    said.sort_by_key(|said| (said.time("event_time"), said.text("source"), said.text("event_id")));
    let is = |id: Option<String>| id.as_deref() == Some(principal);
    let mut delegates = BTreeSet::new();
    for said in &said {
        // Owners are stated of accounts, whatever became of the event.
        if let Some(other) = said.text("principal").filter(|other| other != principal)
            && (is(said.text("on_behalf_of")) || is(said.text("owner")))
        {
            delegates.insert(other);
        }
    }
    let mut tokens: BTreeMap<String, Token> = BTreeMap::new();
    let mut sessions: BTreeMap<String, (Option<String>, Option<bool>)> = BTreeMap::new();
    let mut grants: BTreeMap<(String, String), bool> = BTreeMap::new();
    for said in said.iter().filter(|said| said.text("outcome").as_deref() != Some("failure")) {
        let kind = said.kind();
        let makes = ["token_issued", "token_refreshed", "token_exchanged", "credential_created", "credential_rotated"];
        let ends = ["token_revoked", "credential_deleted"];
        if let Some(credential) = said.text("credential_id")
            && (makes.contains(&kind.as_str()) || ends.contains(&kind.as_str()))
        {
            let token = tokens.entry(credential).or_default();
            token.principal = said.text("principal").or(token.principal.take());
            token.behalf = said.text("on_behalf_of").or(token.behalf.take());
            token.scopes = said.texts("scopes").unwrap_or(std::mem::take(&mut token.scopes));
            token.expires = said.time("expires_at").or(token.expires);
            token.valid = makes.contains(&kind.as_str());
        }
        if let Some(id) = said.text("session_id")
            && ["session_started", "session_ended", "session_revoked", "risk_changed"].contains(&kind.as_str())
        {
            let session = sessions.entry(id).or_default();
            session.0 = said.text("principal").or(session.0.take());
            if kind != "risk_changed" {
                session.1 = Some(kind == "session_started");
            }
        }
        if !is(said.text("principal")) {
            continue;
        }
        let (kind, granted) = match kind.as_str() {
            "role_granted" => ("role", true),
            "role_revoked" => ("role", false),
            "group_added" => ("group", true),
            "group_removed" => ("group", false),
            "consent_granted" => ("consent", true),
            "consent_revoked" => ("consent", false),
            _ => continue,
        };
        if kind == "consent" {
            let client = said.text("client_id").or(said.text("resource"));
            grants.extend(client.map(|client| ((kind.to_owned(), client), granted)));
            for scope in said.texts("scopes").unwrap_or_default() {
                grants.insert(("scope".to_owned(), scope), granted);
            }
            continue;
        }
        let names = said.texts("roles").unwrap_or_else(|| said.text("resource").into_iter().collect());
        grants.extend(names.into_iter().map(|name| ((kind.to_owned(), name), granted)));
    }
    let mut reach = Reach { tenants: vec!["acme".to_owned()], ..Reach::default() };
    let mut scopes = BTreeSet::new();
    for (id, token) in tokens {
        let own = token.principal.as_deref() == Some(principal);
        let lent = token.behalf.as_deref() == Some(principal)
            && token.principal.as_ref().is_some_and(|holder| delegates.contains(holder));
        if (own || lent) && token.valid && token.expires.is_none_or(|end| end > at) {
            reach.credentials.push(id);
            scopes.extend(token.scopes);
        }
    }
    for ((kind, name), _) in grants.into_iter().filter(|(_, granted)| *granted) {
        match kind.as_str() {
            "scope" => scopes.extend([name]),
            "consent" => delegates.extend([format!("client:{name}")]),
            _ => reach.roles.push(format!("{kind}:{name}")),
        }
    }
    let open = sessions.into_iter().filter(|(_, (of, open))| of.as_deref() == Some(principal) && *open != Some(false));
    reach.sessions = open.map(|(id, _)| id).collect();
    reach.roles.sort();
    reach.scopes = scopes.into_iter().collect();
    reach.delegates = delegates.into_iter().collect();
    reach
}

#[test]
fn what_could_be_reached_is_what_a_fold_by_hand_says() {
    let mut seen = BTreeMap::<&str, u32>::new();
    let history = (events_with(15, 60, 60), arrivals(), 0_i64..70);
    let seen_by = std::cell::RefCell::new(&mut seen);
    let result = runner(300).run(&history, |(events, arrival, minute)| {
        let which: Vec<usize> = (0..events.len()).filter(|at| events[*at].access).collect();
        let rows = batch(Plane::Access, &events, &which).rows;
        let mut whole = Driver::new(all_state(), Vec::new());
        whole.core.keep_every_version();
        whole.play(&events, &arrival.tidy());
        let mut arrived = Driver::new(all_state(), Vec::new());
        arrived.play(&events, &arrival);
        // Some rows come too late to be history.
        let complete = arrived.refused() == 0;
        for principal in ["p0", "p1"] {
            let at = Timestamp::from_micros(START + minute * MINUTE);
            let known = whole.core.blast_radius("acme", principal, Some(at), None);
            let expected = by_hand(&rows, principal, at.micros());
            let could = Reach { shared_with: Vec::new(), ..known.could.clone() };
            prop_assert_eq!(&could, &expected, "{} at {}", principal, at);
            let mut seen = seen_by.borrow_mut();
            for (what, list) in [
                ("credentials", &could.credentials),
                ("sessions", &could.sessions),
                ("scopes", &could.scopes),
                ("roles", &could.roles),
                ("delegates", &could.delegates),
                ("shared", &known.could.shared_with),
            ] {
                *seen.entry(what).or_default() += u32::from(!list.is_empty());
            }
            if complete {
                // Any order of arrival, any cut into steps and a restart give the same in the end, but for holders of a
                // credential that had given it away before versions were folded.
                let end = Some(Timestamp::from_micros(START + 70 * MINUTE));
                let of = |driver: &Driver| driver.core.blast_radius("acme", principal, end, None);
                let known = |radius: BlastRadius| (Reach { shared_with: Vec::new(), ..radius.could }, radius.did);
                prop_assert_eq!(known(of(&arrived)), known(of(&whole)));
                *seen.entry("complete").or_default() += 1;
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    for what in ["credentials", "sessions", "scopes", "roles", "delegates", "shared", "complete"] {
        assert!(seen.get(what).is_some_and(|times| *times >= 20), "hardly any {what}: {seen:?}");
    }
}

/// A step with these rows of one plane.
fn rows(plane: Plane, rows: &[Value]) -> Input {
    let received = Timestamp::parse("2026-03-01T12:00:00Z").expect("a time");
    let record = |(offset, row): (i64, &Value)| {
        let mut row = row.clone();
        for (name, value) in [("tenant", "acme"), ("source", "test")] {
            row.as_object_mut().expect("an object").entry(name).or_insert_with(|| value.into());
        }
        RawRecord { offset, timestamp: Some(received), key: None, headers: Vec::new(), payload: row.to_string().into() }
    };
    let batch = Registry::builtin(Limits::default()).decode(&RawBatch {
        partition: partition(plane, 0),
        format: "watershed".into(),
        tenant: "default".into(),
        received,
        records: (0..).zip(rows).map(record).collect(),
    });
    assert!(batch.rejects.is_empty(), "{:?}", batch.rejects);
    Input::Rows { origin: 0, partition: partition(plane, 0), batch }
}

fn at(minute: u32) -> String {
    format!("2026-03-01T10:{minute:02}:00Z")
}

/// A token is minted, given to an agent, and used by somebody else as well.
fn story() -> (Vec<Value>, Vec<Value>) {
    let identity = vec![
        json!({"event_id": "i1", "event_time": at(0), "kind": "role_granted", "principal": "ada", "roles": ["payroll-admin"]}),
        json!({"event_id": "i2", "event_time": at(1), "kind": "session_started", "principal": "ada", "session_id": "sso-1"}),
        json!({"event_id": "i3", "event_time": at(2), "kind": "token_issued", "principal": "ada", "credential_id": "key-1",
               "scopes": ["mail.send"], "agent_id": "mail-bot", "expires_at": at(50)}),
        json!({"event_id": "i4", "event_time": at(3), "kind": "consent_granted", "principal": "ada", "client_id": "calendar",
               "scopes": ["cal.read"]}),
        json!({"event_id": "i5", "event_time": at(4), "kind": "token_exchanged", "principal": "mail-bot", "on_behalf_of": "ada",
               "credential_id": "key-2", "scopes": ["crm.read"]}),
        json!({"event_id": "i8", "event_time": at(5), "kind": "access_allowed", "principal": "ada", "resource": "crm/customers"}),
        json!({"event_id": "i6", "event_time": at(10), "kind": "token_used", "principal": "mallory", "credential_id": "key-1",
               "resource": "crm"}),
        json!({"event_id": "i7", "event_time": at(20), "kind": "token_revoked", "principal": "ada", "credential_id": "key-1"}),
    ];
    let call = |id: &str, minute: u32, more: Value| {
        let mut row = json!({"event_id": id, "event_time": at(minute), "kind": "tool_call", "principal": "ada",
            "agent_id": "mail-bot", "session_id": "chat-1", "credential_id": "key-1", "tool": "send_mail",
            "target": "eve@evil.example"});
        row.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        row
    };
    let runtime = vec![
        call("r1", 11, json!({"tool_call_id": "c1"})),
        // The result of the same call.
        call("r2", 12, json!({"kind": "tool_result", "tool_call_id": "c1"})),
        // By the chat alone.
        call("r3", 13, json!({"principal": null, "credential_id": null, "target": "all@acme.example"})),
        // It did not come through.
        call("r4", 14, json!({"tool": "drop_table", "outcome": "failure"})),
        // Somebody else's.
        call(
            "r5",
            15,
            json!({"principal": "ben", "session_id": "chat-2", "credential_id": "key-7", "tool": "wire_money"}),
        ),
        // With her key, by another agent.
        call("r6", 16, json!({"agent_id": "rogue", "kind": "prompt", "model": "m-1", "tool": null})),
        call("r7", 17, json!({"kind": "guardrail", "verdict": "warn", "category": "data_leak", "tool": null})),
        call("r8", 17, json!({"kind": "guardrail", "verdict": "warn", "category": "jailbreak", "tool": null})),
    ];
    (identity, runtime)
}

#[test]
fn a_story_is_told_with_what_it_could_and_did_reach() {
    let (identity, runtime) = story();
    let played = || {
        let mut driver = Driver::new(all_state(), Vec::new());
        driver.core.keep_every_version();
        driver
    };
    let mut first = played();
    first.step(vec![rows(Plane::Access, &identity), rows(Plane::Model, &runtime)]);
    let moment = Timestamp::parse(&at(18)).expect("a time");
    let subject = first.core.subject("acme", "ada", Some(moment), None);
    let collector = Collector::new(first.core.deeds_of(&subject), first.core.principals().names().read().clone());
    let mut second = played();
    second.core.show_history_to(Box::new(collector.clone()));
    second.step(vec![rows(Plane::Access, &identity), rows(Plane::Model, &runtime)]);
    let radius = first.core.blast_radius_with(&subject, &collector.deeds());
    let Reach { credentials, sessions, scopes, roles, tenants, delegates, shared_with, omitted } = radius.could;
    assert_eq!(credentials, ["key-1", "key-2"]);
    assert_eq!((sessions, roles), (vec!["sso-1".to_owned()], vec!["role:payroll-admin".to_owned()]));
    assert_eq!(scopes, ["cal.read", "crm.read", "mail.send"]);
    assert_eq!((tenants, omitted), (vec!["acme".to_owned()], 0));
    assert_eq!(delegates, ["client:calendar", "mail-bot"]);
    assert_eq!(shared_with, ["mail-bot", "mallory", "rogue"]);
    let did: Vec<String> = radius
        .did
        .iter()
        .map(|reached| {
            format!("{} {} {} {} {}", reached.what, reached.name, reached.times, reached.first, reached.last)
        })
        .collect();
    assert_eq!(
        did,
        [
            "data data_leak 1 2026-03-01T10:17:00Z 2026-03-01T10:17:00Z",
            "model m-1 1 2026-03-01T10:16:00Z 2026-03-01T10:16:00Z",
            "resource crm/customers 1 2026-03-01T10:05:00Z 2026-03-01T10:05:00Z",
            "target all@acme.example 1 2026-03-01T10:13:00Z 2026-03-01T10:13:00Z",
            "target eve@evil.example 1 2026-03-01T10:11:00Z 2026-03-01T10:12:00Z",
            "tool send_mail 2 2026-03-01T10:11:00Z 2026-03-01T10:13:00Z",
        ]
    );
    let unknown = radius.unknown.join("\n");
    assert!(unknown.contains("granted or issued before 2026-03-01T10:00:00Z"), "{unknown}");
    // After it was revoked, and after the other's end, nothing is left but what has none.
    for (minute, left) in [(1, &[][..]), (2, &["key-1"]), (20, &["key-2"]), (55, &["key-2"])] {
        let then = first.core.blast_radius("acme", "ada", Some(Timestamp::parse(&at(minute)).expect("a time")), None);
        assert_eq!(then.could.credentials, left, "at minute {minute}");
    }
    let before = first.core.blast_radius("acme", "ada", Timestamp::parse("2026-02-01T00:00:00Z").ok(), None);
    assert!(before.unknown.iter().any(|what| what.contains("not heard before")), "{:?}", before.unknown);
    let nobody = Driver::new(all_state(), Vec::new()).core.blast_radius("acme", "ada", Some(moment), None);
    assert_eq!(
        nobody.unknown[..2],
        [
            "the access plane was never heard: what could be reached is not known".to_owned(),
            "the model plane was never heard: what agents did is not known".to_owned(),
        ]
    );
}

fn called() -> std::sync::Arc<CompiledRule> {
    rule(
        "called",
        "model",
        "key: [e_event_id]\nfirst_move: {model: Ask the owner.}",
        "SELECT event_time, tenant, principal, session_id, event_id AS e_event_id FROM runtime WHERE kind = 'tool_call' AND tool = 'send_mail'",
    )
}

/// Told an hour after it happened, because only then it is certain that nobody approved it.
fn unapproved() -> std::sync::Arc<CompiledRule> {
    rule(
        "unapproved",
        "access",
        "key: [e_event_id]",
        "SELECT i.event_time, i.tenant, i.principal, i.event_id AS e_event_id FROM identity i WHERE i.kind = 'token_used'
           AND NOT EXISTS (SELECT 1 FROM identity a WHERE a.tenant = i.tenant AND a.kind = 'policy_changed'
             AND a.event_time >= i.event_time AND a.event_time < i.event_time + INTERVAL '40 minutes')",
    )
}

#[test]
fn a_telling_says_how_far_it_reaches_and_what_to_do_first() {
    let (identity, runtime) = story();
    let mut driver = Driver::new(all_state(), as_written(&[called()]));
    driver.step(vec![rows(Plane::Access, &identity), rows(Plane::Model, &runtime)]);
    let tellings: Vec<&Telling> = driver.outputs.iter().flat_map(|output| &output.tellings).collect();
    let ada = tellings.iter().find(|telling| telling.incident.principal.as_deref() == Some("ada")).expect("ada's");
    assert_eq!(ada.incident.verdict, Verdict::ModelAbuse);
    let radius = ada.blast_radius.as_ref().expect("a reach");
    assert_eq!(radius.principal, "ada");
    assert_eq!(radius.could.credentials, ["key-1", "key-2"]);
    assert!(radius.did.iter().any(|reached| reached.name == "send_mail" && reached.times == 2), "{:?}", radius.did);
    assert!(ada.first_moves.iter().all(|step| step.plane == Plane::Model));
    assert_eq!(
        playbook::line(&ada.first_moves, Plane::Model, true),
        "Ask the owner. Here: pause agent mail-bot and quarantine session chat-1"
    );
    let (again, moves) = driver.core.briefing(&ada.incident);
    assert_eq!((&again, &moves), (radius, &ada.first_moves));
}

/// What was valid then is known although it was revoked since: versions are kept for as long as a finding may take.
#[test]
fn what_held_at_the_incident_is_known_when_it_is_told_late() {
    let (identity, runtime) = story();
    let mut driver = Driver::new(all_state(), as_written(&[unapproved()]));
    driver.step(vec![rows(Plane::Access, &identity), rows(Plane::Model, &runtime)]);
    for minute in ["10:30", "10:45", "10:59", "11:10", "11:20"] {
        let time = format!("2026-03-01T{minute}:00Z");
        let tick = |id: &str| json!({"event_id": format!("{id}{minute}"), "event_time": time, "kind": "other"});
        driver.step(vec![rows(Plane::Access, &[tick("i")]), rows(Plane::Model, &[tick("r")])]);
    }
    let mut tellings = driver.outputs.iter().flat_map(|output| &output.tellings);
    let telling = tellings.find(|telling| telling.reason == NotifyReason::Opened).expect("it is told");
    assert_eq!(telling.incident.principal.as_deref(), Some("mallory"));
    let radius = telling.blast_radius.as_ref().expect("a reach");
    assert!(!radius.unknown.iter().any(|what| what.contains("key-1")), "{:?}", radius.unknown);
    assert_eq!(radius.could.shared_with, ["ada", "mail-bot"]);
    // Not over at the time: to be revoked, by whoever reads this first.
    let revoked: Vec<_> = telling
        .first_moves
        .iter()
        .filter(|step| step.action == Move::RevokeCredential)
        .filter_map(|step| step.object.as_deref())
        .collect();
    assert_eq!(revoked, ["key-1"]);
}

/// A reach is bounded, and says so.
#[test]
fn lists_are_bounded_and_say_what_they_leave_out() {
    let tokens: Vec<Value> = (0..100)
        .map(|at| {
            json!({"event_id": format!("i{at}"), "event_time": "2026-03-01T10:00:00Z", "kind": "token_issued",
                "principal": "ada", "credential_id": format!("key-{at:03}"), "scopes": [format!("scope-{at}")]})
        })
        .collect();
    let mut driver = Driver::new(all_state(), Vec::new());
    driver.step(vec![rows(Plane::Access, &tokens)]);
    let radius = driver.core.blast_radius("acme", "ada", None, Some(Duration::from_secs(60)));
    assert_eq!((radius.could.credentials.len(), radius.could.scopes.len(), radius.could.omitted), (64, 64, 72));
}
