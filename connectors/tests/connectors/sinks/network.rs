//! Where sinks connect to, and what answers mean.

use std::time::Duration;

use watershed_connectors::sinks::SendError;

use super::receiver::Receiver;
use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn webhook(directory: &tempfile::TempDir, url: &str, allow_private: bool) -> SinkSettings {
    let secret = directory.path().join("secret");
    std::fs::write(&secret, SECRET).expect("written");
    let network = json!({ "allow_private": allow_private });
    settings(
        directory,
        json!({ "type": "webhook", "url": url, "secrets": [{ "file": secret }], "network": network }),
        &[],
    )
}

async fn attempt(settings: &SinkSettings) -> Result<(), SendError> {
    build(settings).send(&opened(), &Attempt::at(now())).await.map(|_| ())
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected_to() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let receiver = Receiver::answering(200, &[]).await;
    let url = receiver.base.replace("127.0.0.1", "localhost");
    // The name says nothing of its address: only the connection shows it.
    let error = attempt(&webhook(&directory, &url, false)).await.expect_err("loopback is inside");
    assert!(error.to_string().contains("allow_private"), "{error}");
    assert!(receiver.requests().is_empty());
    attempt(&webhook(&directory, &url, true)).await.expect("allowed by its settings");
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn redirects_are_refused_and_not_followed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let inside = Receiver::answering(200, &[]).await;
    let receiver = Receiver::answering(307, &[("location", &inside.base)]).await;
    let error = attempt(&webhook(&directory, &receiver.base, true)).await.expect_err("a redirect");
    assert!(matches!(&error, SendError::Refused { reason } if reason.contains("redirect")), "{error}");
    assert!(inside.requests().is_empty());
}

#[tokio::test]
async fn answers_decide_what_is_next_and_their_bodies_are_told_to_nobody() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (status, retry_after, expected) in [
        (204, None, "accepted"),
        (400, None, "refused"),
        (404, None, "refused"),
        (410, None, "gone"),
        (429, Some("17"), "retry after 17s"),
        (503, None, "retry"),
    ] {
        let headers: Vec<(&'static str, &str)> = retry_after.iter().map(|value| ("retry-after", *value)).collect();
        let receiver = Receiver::answering(status, &headers).await;
        let result = attempt(&webhook(&directory, &receiver.base, true)).await;
        if let Err(error) = &result {
            assert!(!error.to_string().contains("the-body"), "{error}");
        }
        let found = match result {
            Ok(()) => "accepted",
            Err(SendError::Refused { .. }) => "refused",
            Err(SendError::Gone { .. }) => "gone",
            Err(SendError::Retry { after: Some(after), .. }) if after == Duration::from_secs(17) => "retry after 17s",
            Err(SendError::Retry { .. }) => "retry",
        };
        assert_eq!(found, expected, "{status}");
    }
}

#[tokio::test]
async fn a_failed_connection_is_worth_another_attempt_and_shows_no_secret_url() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    // A port that was free a moment ago: nobody listens there.
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port();
    let url = format!("http://127.0.0.1:{port}/services/T0/B0/the-secret-part");
    let settings =
        settings(&directory, json!({ "type": "slack", "network": { "allow_private": true } }), &[("url", &url)]);
    let error = attempt(&settings).await.expect_err("nobody listens");
    assert!(matches!(error, SendError::Retry { .. }), "{error}");
    assert!(!error.to_string().contains("the-secret-part"), "{error}");
}
