//! `pagerduty`: the Events API v2. One incident is one alert per team and deduplication key: what opens it, acknowledges
//! it and closes it carry the same key. What has grown opens an alert under a new key, and then closes the former.

mod body;
mod notice;
mod settings;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use watershed_schemas::Notification;

use super::http::{Answer, Endpoint};
use super::{Attempt, Receipt, SendError, Sink};

pub use settings::PagerdutySettings;

/// Sends events to one service.
pub(super) struct PagerdutySink {
    endpoint: Endpoint,
    routing_key: SecretString,
}

#[async_trait]
impl Sink for PagerdutySink {
    fn kind(&self) -> &'static str {
        "pagerduty"
    }

    fn preview(&self, notification: &Notification) -> Value {
        body::encode(notification, "…")
    }

    async fn send(&self, notification: &Notification, attempt: &Attempt<'_>) -> Result<Receipt, SendError> {
        let key = self.routing_key.expose_secret();
        // The new alert first: at no moment is nobody alarmed. If we end in between, the whole attempt is made again,
        // and a trigger or a resolve under a key that had one already changes nothing.
        let receipt = self.post(&body::encode(notification, key), attempt).await?;
        for former in attempt.former_keys(notification) {
            self.post(&body::resolve(former, key), attempt).await?;
        }
        Ok(receipt)
    }
}

impl PagerdutySink {
    async fn post(&self, event: &Value, attempt: &Attempt<'_>) -> Result<Receipt, SendError> {
        classify(&self.endpoint.ask(event.to_string(), HeaderMap::new(), attempt).await?)
    }
}

/// Sorts an answer. The API says 202 and `"status": "success"`; an event that it can't use is refused with 400, and so
/// is a key that belongs to no service, which no other event will get past either.
fn classify(answer: &Answer) -> Result<Receipt, SendError> {
    let said = answer.json();
    let status = said.as_ref().and_then(|said| said["status"].as_str());
    match (answer.by_status(), status) {
        (Ok(_), Some(status)) if status != "success" => {
            Err(SendError::retry(format!("the receiver answered {} but not `success`", answer.status)))
        }
        (Err(SendError::Refused { reason }), _) if answer.status == 400 && names_the_key(said.as_ref()) => {
            Err(SendError::gone(format!("{reason}: it does not know the routing key")))
        }
        (Err(SendError::Refused { reason }), _) if matches!(answer.status, 401 | 403) => Err(SendError::gone(reason)),
        (sorted, _) => sorted,
    }
}

fn names_the_key(said: Option<&Value>) -> bool {
    let Some(said) = said else { return false };
    let texts = [&said["status"], &said["message"]].into_iter().chain(said["errors"].as_array().into_iter().flatten());
    texts.filter_map(Value::as_str).any(|text| {
        let text = text.to_ascii_lowercase();
        text.contains("routing key") || text.contains("routing_key")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_means_what_its_status_and_its_words_say() {
        for (status, body, expected) in [
            (202, r#"{"status":"success","message":"Event processed","dedup_key":"k"}"#, "accepted"),
            (202, "", "accepted"),
            (202, r#"{"status":"queued"}"#, "retry"),
            (
                400,
                r#"{"status":"invalid event","message":"Event object is invalid","errors":["summary too long"]}"#,
                "refused",
            ),
            (400, r#"{"status":"invalid event","errors":["Length of 'routing_key' is incorrect"]}"#, "gone"),
            (400, r#"{"status":"Invalid routing key","message":"Invalid routing key"}"#, "gone"),
            (403, "", "gone"),
            (404, "", "refused"),
            (429, r#"{"status":"throttle exceeded"}"#, "retry"),
            (500, "", "retry"),
        ] {
            let answer = Answer { status, after: None, body: Some(body.as_bytes().to_vec()) };
            let found = match classify(&answer) {
                Ok(_) => "accepted",
                Err(SendError::Retry { .. }) => "retry",
                Err(SendError::Refused { .. }) => "refused",
                Err(SendError::Gone { .. }) => "gone",
            };
            assert_eq!(found, expected, "{status} {body}");
        }
    }
}
