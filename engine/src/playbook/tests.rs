//! Steps for planes in the verdict alone, in the order of the origin, with what the evidence names.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use watershed_schemas::{FirstMove, Move, Origin, Plane, Verdict};

use super::{Scene, first_moves, line, sequence};
use crate::correlator::SignalRecord;
use crate::registry::{Registered, Registry};

const VERDICTS: [Verdict; 3] = [Verdict::ModelAbuse, Verdict::AccessCompromise, Verdict::Both];
const ORIGINS: [Origin; 3] = [Origin::Model, Origin::Access, Origin::Undetermined];

fn event(plane: &str, id: &str, kind: &str, columns: &[(&str, &str)]) -> Value {
    let columns: serde_json::Map<String, Value> =
        columns.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    json!({"plane": plane, "event_id": id, "event_time": "2026-03-01T10:00:00Z", "kind": kind, "columns": columns})
}

fn signal(rule: &str, plane: &str, severity: &str, evidence: &[Value]) -> SignalRecord {
    let value = json!({
        "signal_id": format!("sig-{rule}"), "rule": rule, "plane": plane, "severity": severity, "tenant": "acme",
        "principal": "ada", "session_id": null, "event_time": "2026-03-01T10:00:00Z",
        "weights": {"model": 1.0, "access": 1.0}, "withdrawn": false, "evidence": evidence,
        "moved": ["2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z"], "incident": null,
    });
    serde_json::from_value(value).expect("a signal")
}

/// The evidence that each plane's rule rests on.
fn evidenced(plane: &str) -> Vec<Value> {
    match plane {
        "model" => vec![
            event("model", "r1", "tool_call", &[("agent_id", "bot"), ("session_id", "chat-1"), ("tool", "send_mail")]),
            event("model", "r2", "tool_call", &[("agent_id", "bot"), ("tool", "clock")]),
            event("model", "r3", "memory", &[("agent_id", "bot"), ("target", "notes/7")]),
        ],
        _ => vec![event(
            "access",
            "i1",
            "token_used",
            &[("credential_id", "key-1"), ("session_id", "sso-1"), ("agent_id", "bot")],
        )],
    }
}

fn registry() -> Registry {
    let bot = Registered {
        revocation_path: Some("vault lease revoke bot".to_owned()),
        pause_path: Some("kubectl scale deploy/bot --replicas 0".to_owned()),
        ..Registered::default()
    };
    Registry {
        agents: [("bot".to_owned(), bot)].into(),
        sensitivity: [("clock".to_owned(), "low".to_owned())].into(),
        disable_path: [("send_mail".to_owned(), "mcp gateway: deny send_mail".to_owned())].into(),
        ..Registry::default()
    }
}

fn moves(verdict: Verdict, origin: Origin, signals: &[SignalRecord], over: &[&str], says: bool) -> Vec<FirstMove> {
    let says = |rule: &str, plane: Plane| says.then(|| format!("{rule} says this to {plane}."));
    let signals: Vec<&SignalRecord> = signals.iter().collect();
    first_moves(&Scene {
        verdict,
        origin,
        principal: Some("ada"),
        signals: &signals,
        says: &says,
        registry: &registry(),
        over: &over.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>(),
    })
}

fn shown(moves: &[FirstMove]) -> String {
    let line = |step: &FirstMove| {
        let how = step.how.as_deref().map(|how| format!(" [{how}]")).unwrap_or_default();
        format!("{} {} {}{how}\n", step.order, step.plane, step.text)
    };
    moves.iter().map(line).collect()
}

const MODEL: [&str; 4] = [
    "model pause agent bot [kubectl scale deploy/bot --replicas 0]",
    "model quarantine session chat-1",
    "model quarantine memory notes/7",
    "model take tool send_mail from agents [mcp gateway: deny send_mail]",
];
const ACCESS: [&str; 2] = ["access revoke credential key-1 [vault lease revoke bot]", "access end session sso-1"];

/// Every verdict with every origin, with evidence that names something, and with none.
#[test]
fn every_verdict_and_origin_has_its_steps() {
    for verdict in VERDICTS {
        for origin in ORIGINS {
            for named in [true, false] {
                let evidence = |plane: &str| if named { evidenced(plane) } else { Vec::new() };
                let signals = [
                    signal("m", "model", "high", &evidence("model")),
                    signal("a", "access", "high", &evidence("access")),
                ];
                let model: &[&str] = if named { &MODEL } else { &["model pause the agent"] };
                // An account is named even where no event is: the incident's.
                let access: &[&str] = if named { &ACCESS } else { &["access disable account ada"] };
                let expected: Vec<&str> = match (verdict, origin) {
                    (Verdict::ModelAbuse, _) => model.to_vec(),
                    (Verdict::AccessCompromise, _) => access.to_vec(),
                    (Verdict::Both, Origin::Model) => [model, access].concat(),
                    (Verdict::Both, Origin::Access | Origin::Undetermined) => [access, model].concat(),
                };
                let expected: String = (1..).zip(expected).map(|(order, text)| format!("{order} {text}\n")).collect();
                let got = moves(verdict, origin, &signals, &[], false);
                assert_eq!(shown(&got), expected, "{verdict:?} {origin:?} named: {named}");
            }
        }
    }
}

#[test]
fn what_a_rule_says_comes_first_and_the_worst_rule_first_of_all() {
    let signals = [
        signal("mild", "access", "low", &evidenced("access")),
        signal("worst", "access", "critical", &[]),
        signal("model-only", "model", "critical", &[]),
    ];
    let got = moves(Verdict::AccessCompromise, Origin::Access, &signals, &[], true);
    assert_eq!(
        shown(&got),
        "1 access worst says this to access.\n2 access mild says this to access.\n\
         3 access revoke credential key-1 [vault lease revoke bot]\n4 access end session sso-1\n"
    );
    assert_eq!(
        line(&got, Plane::Access, true),
        "worst says this to access. Here: revoke credential key-1 and end session sso-1"
    );
    // Who may not see the evidence reads no id of it.
    assert_eq!(line(&got, Plane::Access, false), "worst says this to access.");
    assert_eq!(line(&[], Plane::Model, true), "pause the agent and quarantine its session");
    let unsaid = moves(Verdict::AccessCompromise, Origin::Access, &signals, &[], false);
    assert_eq!(line(&unsaid, Plane::Access, false), "revoke the credential and end the sessions of its owner");
}

/// Disabling an account stops a person's work: only where less would not do.
#[test]
fn an_account_is_disabled_only_where_less_would_not_do() {
    let key = |id: &str, kind: &str| event("access", &format!("i-{id}"), kind, &[("credential_id", id)]);
    let cases: [(&str, Vec<Value>, &[&str], bool); 5] = [
        ("one key", vec![key("k1", "token_used")], &[], false),
        ("two keys", vec![key("k1", "token_used"), key("k2", "token_used")], &[], true),
        ("two keys, one over", vec![key("k1", "token_used"), key("k2", "token_used")], &["k1"], false),
        ("a key used after it was revoked", vec![key("k1", "token_used")], &["k1"], true),
        ("somebody signed in", vec![key("k1", "authentication")], &[], true),
    ];
    for (what, evidence, over, disabled) in cases {
        let signals = [signal("a", "access", "high", &evidence)];
        let got = moves(Verdict::AccessCompromise, Origin::Access, &signals, over, false);
        assert_eq!(got.iter().any(|step| step.action == Move::DisableAccount), disabled, "{what}: {}", shown(&got));
        for id in over {
            assert!(got.iter().all(|step| step.object.as_deref() != Some(*id)), "{what}: {}", shown(&got));
        }
    }
}

#[test]
fn the_other_planes_credential_is_named_where_the_own_evidence_has_none() {
    let call = event("model", "r1", "tool_call", &[("credential_id", "key-9"), ("session_id", "chat-1")]);
    let role = event("access", "i1", "access_allowed", &[]);
    let signals = [signal("m", "model", "high", &[call]), signal("a", "access", "high", &[role])];
    let got = moves(Verdict::Both, Origin::Access, &signals, &[], false);
    // The chat is no session of the identity provider.
    assert_eq!(shown(&got), "1 access revoke credential key-9\n2 model quarantine session chat-1\n");
}

fn any_event() -> impl Strategy<Value = Value> {
    let id = || prop_oneof![Just(None), (0..4_u8).prop_map(Some)];
    let kinds =
        prop_oneof![Just("tool_call"), Just("memory"), Just("token_used"), Just("authentication"), Just("guardrail")];
    let named = (id(), id(), id(), id(), id());
    (any::<bool>(), kinds, named, 0..1_000_u32).prop_map(
        |(model, kind, (agent, session, credential, tool, target), id)| {
            let columns = [
                ("agent_id", agent),
                ("session_id", session),
                ("credential_id", credential),
                ("tool", tool),
                ("target", target),
            ];
            let columns: Vec<(&str, String)> =
                columns.into_iter().filter_map(|(name, id)| Some((name, format!("{name}-{}", id?)))).collect();
            let columns: Vec<(&str, &str)> = columns.iter().map(|(name, value)| (*name, value.as_str())).collect();
            event(if model { "model" } else { "access" }, &format!("e{id}"), kind, &columns)
        },
    )
}

fn any_signals() -> impl Strategy<Value = Vec<SignalRecord>> {
    let planes = prop_oneof![Just("model"), Just("access"), Just("both")];
    let severities = prop_oneof![Just("low"), Just("high"), Just("critical")];
    let one = (planes, severities, proptest::collection::vec(any_event(), 0..6));
    proptest::collection::vec(one, 0..6).prop_map(|all| {
        let each = all.into_iter().enumerate();
        each.map(|(at, (plane, severity, evidence))| signal(&format!("rule{at}"), plane, severity, &evidence)).collect()
    })
}

proptest! {
    #[test]
    fn steps_are_of_the_verdict_in_the_order_of_the_origin_and_always_the_same(
        signals in any_signals(),
        verdict in prop_oneof![Just(Verdict::ModelAbuse), Just(Verdict::AccessCompromise), Just(Verdict::Both)],
        origin in prop_oneof![Just(Origin::Model), Just(Origin::Access), Just(Origin::Undetermined)],
        over in proptest::collection::vec((0..4_u8).prop_map(|id| format!("credential_id-{id}")), 0..3),
        says in any::<bool>(),
    ) {
        let over: Vec<&str> = over.iter().map(String::as_str).collect();
        let got = moves(verdict, origin, &signals, &over, says);
        // Every plane of the verdict has a step, no other has one, and they stand in sequence without gaps.
        for plane in Plane::ALL {
            prop_assert_eq!(got.iter().any(|step| step.plane == plane), verdict.planes().contains(&plane));
        }
        let order: Vec<u32> = got.iter().map(|step| step.order).collect();
        prop_assert_eq!(order, (1..).take(got.len()).collect::<Vec<u32>>());
        let mut planes: Vec<Plane> = got.iter().map(|step| step.plane).collect();
        planes.dedup();
        let wanted: Vec<Plane> = sequence(origin).into_iter().filter(|plane| verdict.planes().contains(plane)).collect();
        prop_assert_eq!(planes, wanted);
        // Nothing is said twice, nothing that is over is revoked, ids come from the evidence.
        let mut once = BTreeSet::new();
        for step in &got {
            prop_assert!(once.insert((step.plane, step.text.clone())), "{}", shown(&got));
            let Some(object) = &step.object else { continue };
            prop_assert!(!over.contains(&object.as_str()));
            let named = signals.iter().flat_map(|signal| &signal.evidence).any(|event| event.columns.values().any(|id| id == object));
            prop_assert!(named || object == "ada", "{}", object);
        }
        // The order in which signals are given, and events stand in them, plays no part.
        let mut turned: Vec<SignalRecord> = signals.clone();
        turned.reverse();
        turned.iter_mut().for_each(|signal| signal.evidence.reverse());
        prop_assert_eq!(moves(verdict, origin, &turned, &over, says), got);
    }
}
