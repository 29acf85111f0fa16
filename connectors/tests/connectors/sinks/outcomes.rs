//! Every kind of HTTP receiver against everything that receivers do: what is next must be the same for all where the
//! wire decides, and nothing but the receiver's own word counts where it has one.

use std::time::Duration;

use watershed_connectors::sinks::{HttpSettings, SendError};

use super::receiver::{Receiver, Reply};
use super::*;

/// A kind of sink: its name, its settings for a receiver on loopback, their secrets, and what the receiver says when all is well.
type Kind = (&'static str, Value, Vec<(&'static str, String)>, &'static str);

/// The kinds that speak HTTP.
fn kinds(base: &str) -> Vec<Kind> {
    let url = format!("{base}/hook");
    let webhook = |more: Value| {
        let mut settings = json!({ "type": "webhook", "url": url });
        for (name, value) in more.as_object().expect("an object") {
            settings[name] = value.clone();
        }
        settings
    };
    let secret = || vec![("secrets[]", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned())];
    vec![
        ("slack webhook", json!({ "type": "slack" }), vec![("url", url.clone())], "ok"),
        (
            "slack bot",
            json!({ "type": "slack", "channel": "C024BE91L", "api": url }),
            vec![("token", "xoxb-1-2".to_owned())],
            r#"{"ok":true,"ts":"1.2"}"#,
        ),
        (
            "pagerduty",
            json!({ "type": "pagerduty", "url": url }),
            vec![("routing_key", "0123456789abcdef0123456789abcdef".to_owned())],
            r#"{"status":"success"}"#,
        ),
        ("webhook", webhook(json!({})), secret(), ""),
        ("webhook ocsf", webhook(json!({ "format": "ocsf", "envelope": "cloudevents" })), secret(), "any"),
        (
            "splunk",
            json!({ "type": "splunk", "url": url }),
            vec![("token", "b5b8b0a4-0000".to_owned())],
            r#"{"text":"Success","code":0}"#,
        ),
    ]
}

fn outcome(result: Result<(), SendError>) -> String {
    match result {
        Ok(()) => "accepted".to_owned(),
        Err(SendError::Retry { after: Some(after), .. }) => format!("retry after {}s", after.as_secs()),
        Err(SendError::Retry { .. }) => "retry".to_owned(),
        Err(SendError::Refused { .. }) => "refused".to_owned(),
        Err(SendError::Gone { .. }) => "gone".to_owned(),
    }
}

/// What each kind makes of a reply; `{well}` in a body stands for what the kind takes for success.
async fn outcomes(reply: Reply) -> Vec<(&'static str, String)> {
    let limits = HttpSettings { connect_timeout: Duration::from_secs(5), timeout: Duration::from_millis(400) };
    let mut found = Vec::new();
    for at in 0..kinds("").len() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (reply, well) = (reply.clone(), kinds("")[at].3);
        let receiver = Receiver::serving(move |_| match reply.clone() {
            Reply::Http { status, headers, body } => {
                Reply::Http { status, headers, body: body.replace("{well}", well) }
            }
            other => other,
        })
        .await;
        let (name, mut kind, secrets, _) = kinds(&receiver.base).remove(at);
        kind["network"] = json!({ "allow_private": true });
        let mut plain = Vec::new();
        for (field, secret) in &secrets {
            if *field == "secrets[]" {
                let path = directory.path().join("signing");
                std::fs::write(&path, secret).expect("written");
                kind["secrets"] = json!([{ "file": path }]);
            } else {
                plain.push((*field, secret.as_str()));
            }
        }
        let sink = build_with(&settings(&directory, kind, &plain), &HttpClient::new(limits.clone()));
        let result = sink.send(&opened(), &Attempt::at(now())).await;
        if let Err(error) = &result {
            let said = error.to_string();
            let secret = secrets.iter().any(|(_, secret)| said.contains(secret.as_str()));
            assert!(!secret && !said.contains("hostile-body"), "{name}: {said}");
        }
        assert!(!receiver.requests().is_empty(), "{name} was not asked");
        found.push((name, outcome(result.map(|_| ()))));
    }
    found
}

async fn check(reply: Reply, expected: &str) {
    for (name, found) in outcomes(reply.clone()).await {
        assert_eq!(found, expected, "{name} after {reply:?}");
    }
}

#[tokio::test]
async fn what_the_wire_says_is_the_same_for_all() {
    check(Reply::of(200, "{well}"), "accepted").await;
    check(Reply::of(429, "hostile-body").with("retry-after", "17"), "retry after 17s").await;
    check(Reply::of(500, "hostile-body"), "retry").await;
    check(Reply::of(503, "").with("retry-after", "60"), "retry after 60s").await;
    check(Reply::of(410, "hostile-body"), "gone").await;
    check(Reply::of(307, "").with("location", "http://127.0.0.1:1/"), "refused").await;
    check(Reply::of(404, "hostile-body"), "refused").await;
    check(Reply::of(500, "{well}"), "retry").await;
    check(Reply::Reset, "retry").await;
    check(Reply::Stall, "retry").await;
    check(Reply::SlowBody(500), "retry").await;
    check(Reply::SlowBody(410), "gone").await;
}

#[tokio::test]
async fn a_body_that_never_ends_is_left_and_only_who_needs_it_asks_again() {
    for reply in [Reply::SlowBody(200), Reply::Endless(200)] {
        let found = outcomes(reply).await;
        let expected = [
            ("slack webhook", "retry"),
            ("slack bot", "retry"),
            ("pagerduty", "accepted"),
            ("webhook", "accepted"),
            ("webhook ocsf", "accepted"),
            ("splunk", "retry"),
        ];
        let found: Vec<(&str, &str)> = found.iter().map(|(name, found)| (*name, found.as_str())).collect();
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_status_of_success_is_no_success_where_the_body_says_otherwise() {
    for (body, slack_webhook, slack_bot, pagerduty, splunk) in [
        (r#"{"ok":false,"error":"channel_not_found"}"#, "gone", "gone", "accepted", "retry"),
        (r#"{"ok":false,"error":"invalid_blocks"}"#, "refused", "refused", "accepted", "retry"),
        (r#"{"ok":false,"error":"ratelimited"}"#, "retry", "retry", "accepted", "retry"),
        (r#"{"text":"Invalid token","code":4}"#, "retry", "retry", "accepted", "gone"),
        (r#"{"text":"Server is busy","code":9}"#, "retry", "retry", "accepted", "retry"),
        (r#"{"status":"failure"}"#, "retry", "retry", "retry", "retry"),
        ("<html>hostile-body: log in to the guest network</html>", "retry", "retry", "accepted", "retry"),
    ] {
        let found = outcomes(Reply::of(200, body)).await;
        let of = |name: &str| found.iter().find(|(kind, _)| *kind == name).map(|(_, found)| found.as_str());
        let expected = [Some(slack_webhook), Some(slack_bot), Some(pagerduty), Some(splunk)];
        assert_eq!([of("slack webhook"), of("slack bot"), of("pagerduty"), of("splunk")], expected, "{body}");
        assert_eq!(of("webhook"), Some("accepted"), "a webhook has no other word than its status");
    }
}
