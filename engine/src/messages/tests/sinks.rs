//! One real sink of every kind, for looking at what it would post.

use std::sync::Arc;

use serde_json::{Value, json};
use watershed_connectors::sinks::{HttpClient, Sink, SinkSettings};

use crate::messages::Outgoing;

/// Every kind of sink, by name, each behind what all messages go through.
pub(crate) fn sinks() -> Vec<(&'static str, Arc<dyn Sink>)> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir().expect("a directory");
    let secret = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        json!({ "file": path })
    };
    let webhook = |format: &str, envelope: &str| {
        let secrets = [secret("signing", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")];
        json!({
            "type": "webhook", "url": "https://hooks.example.com/a", "secrets": secrets, "format": format,
            "envelope": envelope,
        })
    };
    let settings: Vec<(&'static str, Value)> = vec![
        ("slack", json!({ "type": "slack", "url": secret("slack", "https://hooks.slack.com/services/T0/B0/x") })),
        (
            "slack-bot",
            json!({ "type": "slack", "token": secret("bot", "xoxb-0123456789-abcdef"), "channel": "C024BE91L" }),
        ),
        ("pagerduty", json!({ "type": "pagerduty", "routing_key": secret("key", "0123456789abcdef0123456789abcdef") })),
        ("webhook", webhook("json", "none")),
        ("cloudevents", webhook("json", "cloudevents")),
        ("ocsf", webhook("ocsf", "none")),
        ("ocsf-detection", webhook("ocsf_detection", "none")),
        (
            "splunk",
            json!({ "type": "splunk", "url": "https://splunk.example.com:8088", "token": secret("hec", "0123-4567") }),
        ),
        ("stdout", json!({ "type": "stdout" })),
        ("file", json!({ "type": "file", "path": directory.path().join("out.jsonl") })),
    ];
    let http = HttpClient::default();
    let built = settings.into_iter().map(|(name, settings)| {
        let settings: SinkSettings = serde_json::from_value(settings).unwrap_or_else(|error| panic!("{name}: {error}"));
        let sink = settings.build(&http).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, Arc::new(Outgoing::new(sink, None)) as Arc<dyn Sink>)
    });
    built.collect()
}
