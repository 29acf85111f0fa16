//! `kafka`: records of a topic, for whoever reads incidents from the bus.
//!
//! The producer is idempotent and asks for the acknowledgement of all in-sync replicas; accepted means that the brokers
//! have reported the delivery. The key is the incident's id, so that its revisions stay in order in one partition. A
//! repeat after a crash has the `watershed.notification_id` of the first.

mod settings;

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{ClientConfig, ClientContext};
use serde_json::Value;
use watershed_schemas::Notification;

use super::{Attempt, Format, Receipt, SendError, Sink};
use crate::escape;
use crate::sources::kafka::log_line;

pub use settings::KafkaTopicSettings;

/// How long librdkafka tries before an attempt has failed; less than delivery grants an attempt.
const DELIVERY_TIMEOUT_MS: &str = "15000";

/// Produces to one topic.
pub(super) struct KafkaSink {
    config: ClientConfig,
    topic: String,
    format: Format,
    /// Made for the first message, and anew after an error that it does not recover from.
    producer: Mutex<Option<FutureProducer<Quiet>>>,
}

/// Sends librdkafka's log where ours goes.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka producer");
    }
}

impl KafkaSink {
    fn new(mut config: ClientConfig, topic: String, format: Format) -> Self {
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "0")
            .set("compression.type", "zstd")
            .set("delivery.timeout.ms", DELIVERY_TIMEOUT_MS);
        KafkaSink { config, topic, format, producer: Mutex::default() }
    }

    fn producer(&self) -> Result<FutureProducer<Quiet>, SendError> {
        let mut producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = producer.as_ref().filter(|producer| producer.client().fatal_error().is_none()) {
            return Ok(producer.clone());
        }
        let made: FutureProducer<Quiet> = self
            .config
            .create_with_context(Quiet)
            .map_err(|error| SendError::gone(format!("the producer can't be made: {error}")))?;
        *producer = Some(made.clone());
        Ok(made)
    }

    fn failure(&self, error: &KafkaError) -> SendError {
        let reason = escape::for_log(&format!("topic `{}`: {error}", self.topic));
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize) => {
                SendError::refused(reason)
            }
            Some(
                RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::InvalidTopic,
            ) => SendError::gone(reason),
            // A topic that is not there may yet be made.
            _ => SendError::retry(reason),
        }
    }
}

#[async_trait]
impl Sink for KafkaSink {
    fn kind(&self) -> &'static str {
        "kafka"
    }

    fn preview(&self, notification: &Notification) -> Value {
        self.format.body(notification)
    }

    async fn send(&self, notification: &Notification, attempt: &Attempt<'_>) -> Result<Receipt, SendError> {
        let value = self.preview(notification).to_string();
        let headers = [
            ("content-type", "application/json"),
            ("watershed.notification_id", notification.notification_id.as_str()),
            ("watershed.reason", notification.reason.name()),
            ("watershed.format", self.format.event_type()),
        ]
        .into_iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        let record = FutureRecord::to(&self.topic).key(&notification.incident_id).payload(&value).headers(headers);
        let producer = self.producer()?;
        let delivered = producer.send_result(record).map_err(|(error, _)| self.failure(&error))?;
        let delivered = delivered.await.map_err(|_| SendError::retry("the producer was closed"))?;
        let delivery = delivered.map_err(|(error, _)| self.failure(&error))?;
        if let Some(heard) = attempt.heard {
            heard.note(None, format!("partition {} offset {}", delivery.partition, delivery.offset).as_bytes());
        }
        Ok(Receipt::default())
    }
}
