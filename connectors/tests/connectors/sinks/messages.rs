//! What each kind of receiver is told, as files that are reviewed like code. `UPDATE_EXPECTED=1` rewrites them.

use std::path::Path;

use super::receiver::{Receiver, Reply};
use super::*;

pub(super) fn check_expected(name: &str, found: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expected/sinks").join(name);
    let found = format!("{found:#}\n");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("created");
        std::fs::write(&path, &found).expect("written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{name} differs: run again with UPDATE_EXPECTED=1 and review the difference");
}

/// Sends one message to a receiver that accepts it, and returns what arrived.
async fn sent(
    kind: Value,
    secrets: impl Fn(&str) -> Vec<(&'static str, String)>,
    well: &'static str,
    message: &Notification,
) -> Vec<Value> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let receiver = Receiver::serving(move |_| Reply::of(202, well)).await;
    let secrets = secrets(&receiver.base);
    let secrets: Vec<(&str, &str)> = secrets.iter().map(|(name, secret)| (*name, secret.as_str())).collect();
    let mut kind = kind;
    kind["network"] = json!({ "allow_private": true });
    if kind.get("url").is_some() {
        kind["url"] = json!(format!("{}/hook", receiver.base));
    }
    let sink = build(&settings(&directory, kind, &secrets));
    let receipt = sink.send(message, &Attempt::at(now())).await.expect("accepted");
    assert_eq!(receipt.status, Some(202));
    let requests = receiver.requests();
    for request in &requests {
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.path, "/hook");
    }
    requests.iter().map(super::receiver::Request::json).collect()
}

#[tokio::test]
async fn slack_gets_blocks() {
    let secrets = |base: &str| vec![("url", format!("{base}/hook"))];
    for (name, message) in
        [("slack_opened.json", opened()), ("slack_resolved.json", resolved()), ("slack_complete.json", complete())]
    {
        let bodies = sent(json!({ "type": "slack" }), secrets, "ok", &message).await;
        check_expected(name, &bodies[0]);
    }
}

#[tokio::test]
async fn pagerduty_gets_events() {
    let secrets = |_: &str| vec![("routing_key", "0123456789abcdef0123456789abcdef".to_owned())];
    let kind = || json!({ "type": "pagerduty", "url": "" });
    let well = r#"{"status":"success"}"#;
    for (name, message) in [("pagerduty_trigger.json", opened()), ("pagerduty_resolve.json", resolved())] {
        let bodies = sent(kind(), secrets, well, &message).await;
        assert_eq!(bodies.len(), 1);
        check_expected(name, &bodies[0]);
    }
    let bodies = sent(kind(), secrets, well, &complete()).await;
    assert_eq!(bodies.len(), 2);
    check_expected("pagerduty_complete.json", &bodies[0]);
    check_expected("pagerduty_former.json", &bodies[1]);
}

#[tokio::test]
async fn splunk_gets_events_with_their_time() {
    let secrets = |_: &str| vec![("token", "b5b8b0a4-0000-4000-8000-000000000000".to_owned())];
    let kind = json!({ "type": "splunk", "url": "", "index": "security", "host": "watershed-eu" });
    let bodies = sent(kind, secrets, r#"{"text":"Success","code":0}"#, &opened()).await;
    check_expected("splunk.json", &bodies[0]);
}

#[tokio::test]
async fn files_get_one_line_a_message() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("out.jsonl");
    let sink = build(&settings(&directory, json!({ "type": "file", "path": path }), &[]));
    for message in [opened(), resolved()] {
        sink.send(&message, &Attempt::at(now())).await.expect("written");
    }
    let text = std::fs::read_to_string(&path).expect("readable");
    let lines: Vec<Notification> =
        text.lines().map(|line| serde_json::from_str(line).expect("a notification")).collect();
    assert_eq!(lines, [opened(), resolved()]);
    assert!(!text.contains('\u{202e}'), "a terminal that shows the file is safe");
    check_expected("notification.json", &serde_json::to_value(&lines[0]).expect("serialises"));
}
