//! What a configuration says about a receiver.

use std::sync::Arc;

use secrecy::SecretString;
use serde::Deserialize;

use super::Sink;
use super::http::HttpClient;
use super::jsonl::{FileSettings, StdoutSettings};
use super::kafka::KafkaTopicSettings;
use super::pagerduty::PagerdutySettings;
use super::slack::SlackSettings;
use super::splunk::SplunkSettings;
use super::webhook::WebhookSettings;
use crate::secret::SecretRef;

/// One receiver, by `type`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum SinkSettings {
    /// A Slack channel, through an incoming webhook or a bot.
    Slack(SlackSettings),
    /// A PagerDuty service, through the Events API v2.
    Pagerduty(PagerdutySettings),
    /// Any HTTP receiver, with Standard Webhooks signatures.
    Webhook(WebhookSettings),
    /// A Splunk index, through the HTTP Event Collector.
    Splunk(SplunkSettings),
    /// A Kafka topic.
    Kafka(KafkaTopicSettings),
    /// A file of JSON lines.
    File(FileSettings),
    /// JSON lines on standard output.
    Stdout(StdoutSettings),
}

/// One thing that is wrong with a receiver's settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {message}")]
pub struct Problem {
    /// The setting, such as `url` or `secrets[1]`.
    pub field: String,
    /// What is wrong with it and what to write instead; shows no secret.
    pub message: String,
}

/// Why a sink can't be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The settings are wrong: these are all the problems.
    #[error("{}", list(.0))]
    Settings(Vec<Problem>),
    /// The HTTP client can't be made.
    #[error("the http client can't be made: {0}")]
    Client(String),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

impl SinkSettings {
    /// The value of `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            SinkSettings::Slack(_) => "slack",
            SinkSettings::Pagerduty(_) => "pagerduty",
            SinkSettings::Webhook(_) => "webhook",
            SinkSettings::Splunk(_) => "splunk",
            SinkSettings::Kafka(_) => "kafka",
            SinkSettings::File(_) => "file",
            SinkSettings::Stdout(_) => "stdout",
        }
    }

    /// Everything that is wrong, found without a network: URLs, secrets that are absent or malformed, directories.
    pub fn validate(&self) -> Vec<Problem> {
        match self {
            SinkSettings::Slack(settings) => settings.resolve().err(),
            SinkSettings::Pagerduty(settings) => settings.resolve().err(),
            SinkSettings::Webhook(settings) => settings.resolve().err(),
            SinkSettings::Splunk(settings) => settings.resolve().err(),
            SinkSettings::Kafka(settings) => settings.problems(),
            SinkSettings::File(settings) => settings.problems(),
            SinkSettings::Stdout(_) => None,
        }
        .unwrap_or_default()
    }

    /// Makes the sink; secrets are read now and once.
    pub fn build(&self, http: &HttpClient) -> Result<Arc<dyn Sink>, BuildError> {
        Ok(match self {
            SinkSettings::Slack(settings) => Arc::new(settings.build(http)?),
            SinkSettings::Pagerduty(settings) => Arc::new(settings.build(http)?),
            SinkSettings::Webhook(settings) => Arc::new(settings.build(http)?),
            SinkSettings::Splunk(settings) => Arc::new(settings.build(http)?),
            SinkSettings::Kafka(settings) => Arc::new(settings.build()?),
            SinkSettings::File(settings) => Arc::new(settings.build()?),
            SinkSettings::Stdout(settings) => Arc::new(settings.build()),
        })
    }
}

/// Reads a secret; what is wrong with it goes under `field`.
pub(super) fn secret(field: &str, reference: &SecretRef) -> Result<SecretString, Problem> {
    reference.resolve().map_err(|error| Problem { field: field.to_owned(), message: format!("can't be read: {error}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SinkSettings, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn an_unknown_setting_is_refused_by_name() {
        for text in [
            r#"{"type":"slack","url":{"env":"X"},"chanel":"y"}"#,
            r#"{"type":"pagerduty","routing_key":{"env":"X"},"chanel":"y"}"#,
            r#"{"type":"webhook","url":"https://a.example/","secrets":[{"env":"X"}],"chanel":"y"}"#,
            r#"{"type":"splunk","url":"https://a.example/","token":{"env":"X"},"chanel":"y"}"#,
            r#"{"type":"kafka","brokers":["a:9092"],"topic":"t","chanel":"y"}"#,
            r#"{"type":"file","path":"x.jsonl","chanel":"y"}"#,
            r#"{"type":"stdout","chanel":"y"}"#,
        ] {
            let error = parse(text).expect_err("an unknown setting");
            assert!(error.contains("chanel"), "{error}");
        }
        let error = parse(r#"{"type":"pager"}"#).expect_err("an unknown type");
        assert!(error.contains("pagerduty"), "the message lists what there is: {error}");
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let settings = parse(
            r#"{"type":"webhook","url":"http://hooks.example.com/","secrets":[{"env":"WATERSHED_SURELY_UNSET"},{"env":"PATH"}]}"#,
        )
        .expect("well formed");
        let fields: Vec<String> = settings.validate().into_iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["url", "secrets[0]", "secrets[1]"]);
    }
}
