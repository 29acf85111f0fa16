//! Dead letters as records of a Kafka topic.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use super::{DeadLetter, DeadLetterError, DeadLetters};
use crate::sources::kafka::{Connection, log_line};

/// How long a flush, or a write into a full queue, waits for the brokers.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes each letter with its raw payload as value and everything else as headers `watershed.*`.
pub struct KafkaDeadLetters {
    producer: BaseProducer<Deliveries>,
    topic: String,
}

/// Remembers the first delivery that failed since the last flush.
#[derive(Default)]
struct Deliveries {
    failed: Mutex<Option<KafkaError>>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka producer");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        }
    }
}

impl KafkaDeadLetters {
    /// A producer for the topic, which must exist or be made by the broker. Nothing is sent yet.
    pub fn connect(connection: &Connection, topic: &str) -> Result<Self, DeadLetterError> {
        let mut config = connection.client_config().map_err(DeadLetterError::Stop)?;
        config.set("enable.idempotence", "true").set("linger.ms", "20").set("delivery.timeout.ms", "30000");
        let producer = config
            .create_with_context(Deliveries::default())
            .map_err(|error| DeadLetterError::Stop(format!("dead letter topic `{topic}`: {error}")))?;
        Ok(KafkaDeadLetters { producer, topic: topic.to_owned() })
    }

    fn headers(entry: &DeadLetter) -> OwnedHeaders {
        let mut headers = OwnedHeaders::new();
        let mut add = |key: &str, value: &str| {
            let with = std::mem::take(&mut headers).insert(Header { key, value: Some(value) });
            headers = with;
        };
        add("watershed.reason", &entry.reason);
        add("watershed.plane", entry.plane.name());
        add("watershed.topic", &entry.topic);
        add("watershed.partition", &entry.partition.to_string());
        add("watershed.offset", &entry.offset.to_string());
        add("watershed.received", &entry.received.to_string());
        if let Some(part) = entry.part {
            add("watershed.part", &part.to_string());
        }
        if let Some(event_id) = &entry.event_id {
            add("watershed.event_id", event_id);
        }
        if let Some(event_time) = entry.event_time {
            add("watershed.event_time", &event_time.to_string());
        }
        headers
    }

    fn failure(&self, error: &KafkaError) -> DeadLetterError {
        let text = format!("dead letter topic `{}`: {error}", self.topic);
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidTopic,
            ) => DeadLetterError::Stop(text),
            _ => DeadLetterError::Retry(text),
        }
    }
}

impl DeadLetters for KafkaDeadLetters {
    fn write(&mut self, entry: &DeadLetter) -> Result<(), DeadLetterError> {
        let deadline = Instant::now() + PATIENCE;
        // Rows that came too late have no payload any more: their value is the letter itself.
        let value = match entry.payload.is_empty() {
            false => entry.payload.to_vec(),
            true => serde_json::to_vec(entry).map_err(|error| DeadLetterError::Stop(error.to_string()))?,
        };
        loop {
            let record: BaseRecord<'_, (), Vec<u8>> =
                BaseRecord::to(&self.topic).payload(&value).headers(Self::headers(entry));
            match self.producer.send(record) {
                Ok(()) => {
                    self.producer.poll(Duration::ZERO);
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) if Instant::now() < deadline => {
                    self.producer.poll(Duration::from_millis(100));
                }
                Err((error, _)) => return Err(self.failure(&error)),
            }
        }
    }

    fn flush(&mut self) -> Result<(), DeadLetterError> {
        self.producer.flush(PATIENCE).map_err(|error| self.failure(&error))?;
        let failed = self.producer.context().failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        match failed {
            Some(error) => Err(self.failure(&error)),
            None => Ok(()),
        }
    }
}
