//! Topics of a test: made, written and read.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use watershed_schemas::Timestamp;

use crate::wait;

/// How long the broker may take over one request.
const REQUEST: Duration = Duration::from_secs(30);

/// A record to produce.
#[derive(Clone, Debug)]
pub struct Record {
    /// Which partition.
    pub partition: i32,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Its payload; `None` for a tombstone.
    pub payload: Option<Vec<u8>>,
    /// Its timestamp, as the broker will report it; the producer's clock where absent.
    pub timestamp: Option<Timestamp>,
}

impl Record {
    /// A record with a payload only.
    pub fn new(partition: i32, payload: impl Into<Vec<u8>>) -> Record {
        Record { partition, key: None, headers: Vec::new(), payload: Some(payload.into()), timestamp: None }
    }

    /// The same record with this timestamp.
    pub fn at(mut self, timestamp: Timestamp) -> Record {
        self.timestamp = Some(timestamp);
        self
    }
}

/// A record that was read.
#[derive(Clone, Debug)]
pub struct Consumed {
    /// Where it was.
    pub partition: i32,
    /// And where there.
    pub offset: i64,
    /// Its headers, as text.
    pub headers: BTreeMap<String, String>,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// The topics of one broker.
#[derive(Clone, Debug)]
pub struct Topics {
    address: String,
}

impl Topics {
    pub(super) fn new(address: &str) -> Topics {
        Topics { address: address.to_owned() }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address).set("log_level", "0");
        config
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn create(&self, name: &str, partitions: i32) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.config().create()?;
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(REQUEST));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let results = runtime.block_on(async { admin.create_topics([&topic], &options).await })?;
        for result in results {
            result.map_err(|(topic, code)| anyhow::anyhow!("creating topic {topic}: {code}"))?;
        }
        Ok(())
    }

    /// Deletes what a partition holds before this offset, as its retention would.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn delete_before(&self, topic: &str, partition: i32, offset: i64) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.config().create()?;
        let mut before = TopicPartitionList::new();
        before.add_partition_offset(topic, partition, Offset::Offset(offset))?;
        let options = AdminOptions::new().operation_timeout(Some(REQUEST));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let deleted = runtime.block_on(async { admin.delete_records(&before, &options).await })?;
        for element in deleted.elements() {
            element.error().with_context(|| format!("deleting records of {topic}"))?;
        }
        Ok(())
    }

    /// Appends records in the order given and returns when the broker has them all.
    ///
    /// # Errors
    /// When the broker doesn't take one.
    pub fn produce(&self, topic: &str, records: &[Record]) -> Result<()> {
        let producer: BaseProducer = self
            .config()
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .set("message.max.bytes", "8000000")
            .create()?;
        for record in records {
            let mut headers = OwnedHeaders::new();
            for (key, value) in &record.headers {
                headers = headers.insert(Header { key, value: Some(value) });
            }
            let mut message: BaseRecord<'_, [u8], [u8]> =
                BaseRecord::to(topic).partition(record.partition).headers(headers);
            if let Some(payload) = &record.payload {
                message = message.payload(payload);
            }
            if let Some(key) = &record.key {
                message = message.key(key);
            }
            if let Some(timestamp) = record.timestamp {
                message = message.timestamp(timestamp.micros() / 1_000);
            }
            loop {
                match producer.send(message) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                        message = again;
                        producer.poll(Duration::from_millis(100));
                    }
                    Err((error, _)) => return Err(error).context("producing"),
                }
            }
            producer.poll(Duration::ZERO);
        }
        producer.flush(REQUEST).with_context(|| format!("flushing to {topic}"))
    }

    /// How many records each partition of the topic has ever had.
    ///
    /// # Errors
    /// When the broker doesn't say.
    pub fn ends(&self, topic: &str) -> Result<BTreeMap<i32, i64>> {
        let consumer: BaseConsumer = self.config().create()?;
        let metadata = consumer.fetch_metadata(Some(topic), REQUEST)?;
        let mut ends = BTreeMap::new();
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            let (_, high) = consumer.fetch_watermarks(topic, partition.id(), REQUEST)?;
            ends.insert(partition.id(), high);
        }
        Ok(ends)
    }

    /// The offsets that a consumer group has committed; partitions without one are absent.
    ///
    /// # Errors
    /// When the broker doesn't say.
    pub fn committed(&self, group: &str, topic: &str) -> Result<BTreeMap<i32, i64>> {
        let consumer: BaseConsumer = self.config().set("group.id", group).create()?;
        let mut wanted = TopicPartitionList::new();
        for partition in self.ends(topic)?.into_keys() {
            wanted.add_partition(topic, partition);
        }
        let committed = consumer.committed_offsets(wanted, REQUEST)?;
        Ok(committed
            .elements()
            .iter()
            .filter_map(|element| match element.offset() {
                Offset::Offset(offset) => Some((element.partition(), offset)),
                _ => None,
            })
            .collect())
    }

    /// Every record of the topic, by partition and offset.
    ///
    /// # Errors
    /// When they don't all come within the deadline.
    pub fn read_all(&self, topic: &str, deadline: Duration) -> Result<Vec<Consumed>> {
        let mut left: BTreeMap<i32, i64> = self.ends(topic)?.into_iter().filter(|(_, end)| *end > 0).collect();
        let consumer: BaseConsumer =
            self.config().set("group.id", "nobody").set("enable.auto.commit", "false").create()?;
        let mut assignment = TopicPartitionList::new();
        for partition in left.keys() {
            assignment.add_partition_offset(topic, *partition, Offset::Beginning)?;
        }
        let mut records = Vec::new();
        consumer.assign(&assignment)?;
        wait::until(&format!("every record of {topic}"), deadline, || {
            while !left.is_empty() {
                let Some(message) = consumer.poll(Duration::from_millis(100)) else { return Ok(None) };
                let message = message?;
                if left.get(&message.partition()).is_some_and(|end| message.offset() + 1 >= *end) {
                    left.remove(&message.partition());
                }
                records.push(consumed(&message));
            }
            Ok(Some(()))
        })?;
        records.sort_by_key(|record: &Consumed| (record.partition, record.offset));
        Ok(records)
    }
}

fn consumed(message: &impl Message) -> Consumed {
    let mut headers = BTreeMap::new();
    if let Some(found) = message.headers() {
        for header in found.iter() {
            let value = header.value.map(String::from_utf8_lossy).unwrap_or_default();
            headers.insert(header.key.to_owned(), value.into_owned());
        }
    }
    Consumed {
        partition: message.partition(),
        offset: message.offset(),
        headers,
        payload: message.payload().unwrap_or_default().to_vec(),
    }
}

/// Whether a broker answers at this address.
pub(super) fn reachable(address: &str) -> Result<()> {
    let consumer: BaseConsumer = Topics::new(address).config().create()?;
    let metadata = consumer.fetch_metadata(None, Duration::from_secs(2))?;
    if metadata.brokers().is_empty() {
        bail!("no broker");
    }
    Ok(())
}
