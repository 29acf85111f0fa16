//! Whose security event tokens are believed. What they mean is in the fixtures.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use watershed_connectors::formats::set::{Set, SetError, SetSettings};
use watershed_connectors::formats::{AUTO, Limits, Registry};
use watershed_schemas::{EventBatch, Plane};

use super::{batch, rejects, rows};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/set")
}

/// The keys that the fixtures' tokens are signed with.
pub(super) fn settings() -> SetSettings {
    SetSettings { jwks: Some(fixtures().join("jwks.json")), ..SetSettings::default() }
}

pub(super) fn tokens(settings: &SetSettings) -> Arc<Set> {
    Arc::new(Set::new(settings).expect("the fixtures' keys are keys"))
}

fn lines(name: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(fixtures().join("access").join(name)).expect("a readable fixture");
    text.lines().map(|line| line.as_bytes().to_vec()).collect()
}

fn decode_with(settings: &SetSettings, payloads: Vec<Vec<u8>>) -> EventBatch {
    let registry = Registry::builtin(Limits::default()).with(tokens(settings));
    registry.decode(&batch(Plane::Access, AUTO, payloads))
}

fn reasons(batch: &EventBatch) -> Vec<String> {
    rejects(batch).iter().map(|reject| reject["reason"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn signed_tokens_of_every_algorithm_and_wrapping_are_believed() {
    let found = decode_with(&settings(), lines("signed.in.jsonl"));
    assert_eq!(rejects(&found), Vec::<Value>::new());
    let rows = rows(&found);
    // Fourteen records, of which a poll, a list and a token with two events give two rows each.
    assert_eq!(rows.len(), 17);
    for row in rows {
        assert_eq!(
            (&row["principal"], &row["attributes"]["signature"]),
            (&json!("ada@acme.example"), &json!("verified"))
        );
    }
}

#[test]
fn what_is_not_signed_by_a_known_key_is_refused_with_the_way_out() {
    for name in ["caep.in.jsonl", "scim.in.jsonl", "unverified.in.jsonl"] {
        for settings in [settings(), SetSettings::default()] {
            let found = decode_with(&settings, lines(name));
            assert_eq!(found.rows.num_rows(), 0, "{name}");
            for reason in reasons(&found) {
                let way_out = reason.contains("allow_unsigned") || reason.contains("which the key set does not hold");
                assert!(way_out, "{reason}");
            }
        }
    }
    let unconfigured =
        Registry::builtin(Limits::default()).decode(&batch(Plane::Access, AUTO, lines("signed.in.jsonl")));
    assert_eq!(unconfigured.rows.num_rows(), 0);
    assert!(
        reasons(&unconfigured).iter().all(|reason| reason.contains("[formats.set]")),
        "{:?}",
        reasons(&unconfigured)
    );
}

#[test]
fn no_forged_token_is_believed_whatever_is_allowed() {
    for allow_unsigned in [false, true] {
        let found = decode_with(&SetSettings { allow_unsigned, ..settings() }, lines("forged.in.jsonl"));
        let rows = rows(&found);
        let ids: Vec<&Value> = rows.iter().map(|row| &row["event_id"]).collect();
        assert_eq!(ids, [&json!("good")], "only the one good token of the poll");
    }
}

#[test]
fn only_the_configured_algorithms_are_accepted() {
    let only = SetSettings { algorithms: vec!["ES256".to_owned()], ..settings() };
    let found = decode_with(&only, lines("signed.in.jsonl"));
    let ids: Vec<Value> = rows(&found).iter().map(|row| row["event_id"].clone()).collect();
    assert_eq!(ids, ["es256", "no-kid", "media-type"]);
    assert!(reasons(&found).iter().all(|reason| reason.contains("not among the accepted `algorithms`")));
    for name in ["HS256", "none", "", "rs256"] {
        let error = Set::new(&SetSettings { algorithms: vec![name.to_owned()], ..settings() });
        assert!(matches!(error.as_ref().map_err(Vec::as_slice), Err([SetError::Algorithm { .. }])), "{name}");
    }
}

#[test]
fn issuer_and_audience_must_be_those_that_are_expected() {
    let signed = || lines("signed.in.jsonl");
    let expected = SetSettings {
        issuer: Some("https://idp.acme.example/".to_owned()),
        audience: Some("https://watershed.acme.example".to_owned()),
        ..settings()
    };
    assert_eq!(rejects(&decode_with(&expected, signed())), Vec::<Value>::new());
    let other = decode_with(&SetSettings { issuer: Some("https://evil.example/".to_owned()), ..settings() }, signed());
    assert_eq!((other.rows.num_rows(), reasons(&other)[0].contains("issuer")), (0, true));
    let other = decode_with(&SetSettings { audience: Some("somebody else".to_owned()), ..settings() }, signed());
    assert_eq!((other.rows.num_rows(), reasons(&other)[0].contains("audience")), (0, true));
    let unsigned = SetSettings { jwks: None, allow_unsigned: true, ..expected };
    let found = decode_with(&unsigned, lines("caep.in.jsonl"));
    assert_eq!(found.rows.num_rows(), 0, "of this issuer, but for others");
}

#[test]
fn keys_are_read_again_and_kept_when_they_can_not_be() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("jwks.json");
    fs::copy(fixtures().join("jwks.json"), &file).expect("copied");
    let registry =
        Registry::builtin(Limits::default()).with(tokens(&SetSettings { jwks: Some(file.clone()), ..settings() }));
    let accepted = || registry.decode(&batch(Plane::Access, "set", lines("signed.in.jsonl"))).rows.num_rows();
    assert_eq!(accepted(), 17);
    fs::write(&file, "{}").expect("written");
    let told = registry.reread();
    assert!(matches!(told.as_slice(), [(name, Err(_))] if name == "set"), "{told:?}");
    assert_eq!(accepted(), 17, "the keys stay");
    let mut keys: Value = serde_json::from_slice(&fs::read(fixtures().join("jwks.json")).expect("read")).expect("JSON");
    keys["keys"].as_array_mut().expect("a list").retain(|key| key["kid"] == "ed-1");
    fs::write(&file, keys.to_string()).expect("written");
    assert!(matches!(registry.reread().as_slice(), [(_, Ok(_))]));
    // `eddsa`, and the second token of the poll.
    assert_eq!(accepted(), 2);
}

#[test]
fn a_key_set_that_is_none_is_refused() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("jwks.json");
    let error = || {
        let errors = Set::new(&SetSettings { jwks: Some(file.clone()), ..SetSettings::default() }).err()?;
        Some(errors.iter().map(ToString::to_string).collect::<String>())
    };
    assert!(error().is_some_and(|error| error.contains("can't be read")));
    for (text, reason) in [
        ("", "is not a key set"),
        ("[]", "is not a key set"),
        (r#"{"keys":[]}"#, "no public key that can sign"),
        (r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, "no public key that can sign"),
    ] {
        fs::write(&file, text).expect("written");
        assert!(error().is_some_and(|error| error.contains(reason)), "{text}: {:?}", error());
    }
}

/// A claims object of pieces that tokens are made of, in any combination.
fn any_claims() -> impl Strategy<Value = Value> {
    let uri = prop::sample::select(vec![
        "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
        "https://schemas.openid.net/secevent/caep/event-type/credential-change",
        "https://schemas.openid.net/secevent/risc/event-type/identifier-changed",
        "urn:ietf:params:SCIM:event:prov:patch:full",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!(1_767_225_600)),
        prop::sample::select(vec![
            "email",
            "opaque",
            "complex",
            "scim",
            "aliases",
            "jwt_id",
            "a@b.c",
            "/Groups/1",
            "add",
            "members",
            "é"
        ])
        .prop_map(|text| json!(text)),
    ];
    let name = prop::sample::select(vec![
        "format",
        "subject_type",
        "email",
        "id",
        "user",
        "session",
        "identifiers",
        "uri",
        "externalId",
        "event_timestamp",
        "reason_admin",
        "change_type",
        "new-value",
        "data",
        "Operations",
        "op",
        "path",
        "value",
        "ips",
        "amr",
        "en",
    ]);
    let value = leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(name.clone(), inner, 0..5)
                .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    });
    let events = prop::collection::btree_map(uri, value.clone(), 0..3)
        .prop_map(|events| events.into_iter().map(|(uri, event)| (uri.to_owned(), event)).collect::<Value>());
    (events, value.clone(), value.clone(), value).prop_map(
        |(events, subject, iat, aud)| json!({"events": events, "sub_id": subject, "iat": iat, "aud": aud, "jti": "j"}),
    )
}

/// Each of these is a megabyte or two that a careless reader looks at once for every part of it.
#[test]
fn large_tokens_are_read_in_one_go() {
    let many = |count: usize, text: &str| vec![text; count].join(",");
    let events = |inner: &str| {
        let subject = r#""sub_id":{"format":"scim","uri":"/Groups/g"}"#;
        format!(r#"{{"jti":"x","iat":1767225600,{subject},"events":{{{inner}}}}}"#)
    };
    let members: Vec<String> = (0..15_000).map(|at| format!(r#"{{"value":"m{at}"}}"#)).collect();
    let operation = format!(r#"{{"op":"add","path":"members","value":[{}]}}"#, members.join(","));
    let patch = format!(r#""urn:ietf:params:scim:event:prov:patch:full":{{"data":{{"Operations":[{operation}]}}}}"#);
    let aliases = many(40_000, r#"{"format":"email","email":"a@b.example"}"#);
    let subject = format!(r#"{{"format":"aliases","identifiers":[{aliases}]}}"#);
    let subject = format!(r#"{{"jti":"x","iat":1767225600,"sub_id":{subject},"events":{{"x":{{}}}}}}"#);
    let named: Vec<String> = (0..80_000).map(|at| format!(r#""e{at}":{{}}"#)).collect();
    let settings = SetSettings { allow_unsigned: true, ..SetSettings::default() };
    let registry = Registry::builtin(Limits::default()).with(tokens(&settings));
    for (payload, expected) in [
        (events(&patch), 15_000),
        (subject, 0),
        (events(&named.join(",")), 0),
        (format!("[{}]", many(200_000, "\"eyJ.a.b\"")), 0),
        (format!("eyJ{}", ".".repeat(2_000_000)), 0),
    ] {
        let found = registry.decode(&batch(Plane::Access, "set", vec![payload.into_bytes()]));
        assert_eq!(found.rows.num_rows(), expected);
    }
}

proptest! {
    #[test]
    fn any_claims_give_a_row_or_a_reject_for_each_event(claims in any_claims()) {
        let found = decode_with(&SetSettings { allow_unsigned: true, ..SetSettings::default() }, vec![claims.to_string().into_bytes()]);
        let events = claims["events"].as_object().map_or(1, |events| events.len().max(1));
        prop_assert!(found.rows.num_rows() + found.rejects.len() >= events);
        let mut ids: Vec<String> = rows(&found).iter().map(|row| row["event_id"].to_string()).collect();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), found.rows.num_rows(), "every row has an id of its own");
    }

    #[test]
    fn a_token_with_one_byte_changed_is_believed_by_nobody(which in 0_usize..8, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let token = lines("signed.in.jsonl").swap_remove(which);
        let mut changed = token.clone();
        let at = at.index(changed.len());
        changed[at] = byte;
        let found = decode_with(&settings(), vec![changed.clone()]);
        prop_assert!(found.rows.num_rows() == 0 || changed == token, "{}", String::from_utf8_lossy(&changed));
    }

    #[test]
    fn arbitrary_parts_never_panic(header in "\\PC{0,40}", claims in "\\PC{0,40}", signature in "[A-Za-z0-9_-]{0,20}") {
        use base64::Engine as _;
        let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        let token = format!("{}.{}.{signature}", part(&header), part(&claims));
        let found = decode_with(&SetSettings { allow_unsigned: true, ..settings() }, vec![token.into_bytes()]);
        prop_assert_eq!(found.rows.num_rows() + found.rejects.len(), 1);
    }
}

/// What each example of the specifications is about, told from the record alone.
fn told(claims: &Value) -> (Vec<String>, i64) {
    let subject = &claims["sub_id"];
    let ids = |of: &Value| {
        let ids = ["email", "sub", "id", "jti", "assertion_id", "phone_number"]
            .map(|name| of[name].as_str().unwrap_or_default());
        ids.into_iter().filter(|id| !id.is_empty()).map(|id| id.to_lowercase().replace(' ', "")).collect::<Vec<_>>()
    };
    let mut about = ids(subject);
    for part in ["user", "session", "device"] {
        about.extend(ids(&subject[part]));
    }
    let event = claims["events"].as_object().and_then(|events| events.values().next()).cloned().unwrap_or_default();
    (about, event["event_timestamp"].as_i64().or(claims["iat"].as_i64()).unwrap_or_default())
}

#[test]
fn examples_of_the_specifications_say_what_they_are_about() {
    let Some(folder) = super::samples::samples("openid-sharedsignals") else { return };
    let kinds = [
        ("session-revoked", "session_revoked"),
        ("token-claims-change", "account_updated"),
        ("credential-change", "credential_created"),
        ("assurance-level-change", "risk_changed"),
        ("device-compliance-change", "risk_changed"),
        ("session-established", "session_started"),
        ("session-presented", "token_used"),
        ("risk-level-change", "risk_changed"),
        ("account-credential-change-required", "account_updated"),
        ("identifier-changed", "account_updated"),
        ("identifier-recycled", "account_updated"),
        ("credential-compromise", "risk_changed"),
        ("account-enabled", "account_reactivated"),
        ("account-disabled", "account_deactivated"),
        ("verification", "other"),
        ("stream-updated", "policy_changed"),
    ];
    let mut seen = 0;
    for file in ["caep_examples.jsonl", "risc_examples.jsonl", "ssf_examples.jsonl"] {
        let text = fs::read_to_string(folder.join(file)).expect("a readable sample");
        for line in text.lines() {
            let claims: Value = serde_json::from_str(line).expect("JSON");
            // Some examples are bare subject identifiers.
            let Some(events) = claims["events"].as_object() else { continue };
            let uri = events.keys().next().expect("an event");
            let settings = SetSettings { allow_unsigned: true, ..SetSettings::default() };
            let found = rows(&decode_with(&settings, vec![line.as_bytes().to_vec()]));
            assert_eq!(found.len(), 1, "{line}");
            let row = &found[0];
            let (about, seconds) = told(&claims);
            assert_eq!(row["event_time"], json!(watershed_schemas::Timestamp::from_secs(seconds)), "{line}");
            let named: Vec<&str> = ["principal", "session_id", "credential_id", "device_id", "resource"]
                .iter()
                .filter_map(|column| row.get(*column).and_then(Value::as_str))
                .collect();
            for id in &about {
                assert!(named.iter().any(|name| name.eq_ignore_ascii_case(id)), "{id} of {line} is not in {named:?}");
            }
            assert!(named.is_empty() == about.is_empty(), "{named:?}: {line}");
            let short = uri.rsplit('/').next().unwrap_or_default();
            let kind = kinds.iter().find(|(name, _)| *name == short).map(|(_, kind)| json!(kind));
            assert_eq!(Some(row["kind"].clone()), kind, "{line}");
            assert_eq!((&row["issuer"], &row["native_kind"]), (&claims["iss"], &json!(uri)));
            assert_eq!(row.get("request_id"), claims.get("txn"), "{line}");
            seen += 1;
        }
    }
    assert_eq!(seen, 26);
}
