//! A second consumer, which is assigned and joins no group: what the topics held before some positions.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use watershed_schemas::Timestamp;

use super::callbacks::Callbacks;
use super::{KafkaSettings, errors, record};
use crate::raw::{Partition, RawBatch, RawRecord};
use crate::sources::clock::now;
use crate::sources::past::{Extent, Past, PastEvent};
use crate::sources::{Positions, SourceError};

/// Records that one batch takes: little enough that the present does not wait for it.
const BATCH_RECORDS: usize = 2_048;
/// Bytes that are fetched ahead.
const QUEUE_KILOBYTES: &str = "16384";

/// Reads the topics of its settings from a time to some positions, one topic after the other.
pub struct KafkaPast {
    consumer: BaseConsumer<Callbacks>,
    settings: KafkaSettings,
    extents: BTreeMap<Partition, Extent>,
    /// Partitions that are not being read yet.
    waiting: BTreeMap<Partition, Extent>,
    /// Those of one topic that are, with where they end.
    reading: Positions,
    /// A record that did not fit the batch before it.
    held: Option<(Partition, RawRecord)>,
}

impl KafkaPast {
    /// Looks up where the records of these times begin, for partitions whose plane has one.
    ///
    /// # Errors
    /// When the brokers don't say.
    pub fn open(
        settings: KafkaSettings,
        since: [Option<Timestamp>; 2],
        until: &Positions,
    ) -> Result<Self, SourceError> {
        let mut config = settings.consumer_config().map_err(SourceError::Stop)?;
        config.remove("group.instance.id");
        config.set("queued.max.messages.kbytes", QUEUE_KILOBYTES).set("statistics.interval.ms", "0");
        let consumer: BaseConsumer<Callbacks> = config
            .create_with_context(Callbacks::default())
            .map_err(|error| errors::of("the consumer of the past can't be made", &error))?;
        let mut extents = BTreeMap::new();
        for (partition, until) in until {
            if let Some(since) = since[partition.plane.index()] {
                let extent = extent(&consumer, partition, since, *until, settings.request_timeout)
                    .map_err(|error| errors::of(&format!("offsets of {partition}"), &error))?;
                extents.insert(partition.clone(), extent);
            }
        }
        let mut waiting = extents.clone();
        waiting.retain(|_, extent| extent.from < extent.until);
        Ok(KafkaPast { consumer, settings, extents, waiting, reading: Positions::new(), held: None })
    }

    /// Takes up the next topic. Ends of partitions are told without their topic, so there is only one at a time.
    fn take_up_next(&mut self) -> Result<bool, SourceError> {
        let Some((first, _)) = self.waiting.first_key_value() else { return Ok(false) };
        let topic = std::sync::Arc::clone(&first.topic);
        let mut list = TopicPartitionList::new();
        for (partition, extent) in self.waiting.iter().filter(|(partition, _)| partition.topic == topic) {
            list.add_partition_offset(&partition.topic, partition.index, Offset::Offset(extent.from))
                .map_err(|error| errors::of(&format!("start of {partition}"), &error))?;
        }
        self.consumer.assign(&list).map_err(|error| errors::of("assignment", &error))?;
        self.waiting.retain(|partition, extent| {
            let taken = partition.topic == topic;
            if taken {
                self.reading.insert(partition.clone(), extent.until);
            }
            !taken
        });
        Ok(true)
    }

    /// The partition of this number, with where it ends.
    fn partition(&self, index: i32) -> Option<(Partition, i64)> {
        let (partition, until) = self.reading.iter().find(|(partition, _)| partition.index == index)?;
        Some((partition.clone(), *until))
    }

    /// The partition is read.
    fn ends(&mut self, partition: &Partition) -> Result<(), SourceError> {
        self.reading.remove(partition);
        let mut list = TopicPartitionList::new();
        list.add_partition(&partition.topic, partition.index);
        self.consumer.pause(&list).map_err(|error| errors::of("pause", &error))
    }

    fn batch(&self, partition: Partition, records: Vec<RawRecord>) -> Option<RawBatch> {
        let (_, topic) = self
            .settings
            .topics()
            .find(|(plane, topic)| *plane == partition.plane && *topic.topic == *partition.topic)?;
        let (format, tenant) = (topic.format.as_str().into(), topic.tenant.as_str().into());
        Some(RawBatch { partition, format, tenant, received: now(), records })
    }
}

impl Past for KafkaPast {
    fn poll(&mut self, wait: Duration) -> Result<PastEvent, SourceError> {
        if self.held.is_none() && self.reading.is_empty() && !self.take_up_next()? {
            return Ok(PastEvent::End);
        }
        let deadline = Instant::now() + wait;
        let held = self.held.take();
        let mut gathered = held.map(|(partition, record)| (partition, vec![record]));
        loop {
            let full = gathered.as_ref().is_some_and(|(_, records)| records.len() >= BATCH_RECORDS);
            if full || self.reading.is_empty() {
                break;
            }
            let wait =
                if gathered.is_some() { Duration::ZERO } else { deadline.saturating_duration_since(Instant::now()) };
            let (index, read) = match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => (message.partition(), Some((message.offset(), record(&message)))),
                Some(Err(KafkaError::PartitionEOF(index))) => (index, None),
                Some(Err(error)) if errors::passes(&error) => continue,
                // What was read before the trouble goes first; librdkafka repeats what still ails it.
                Some(Err(_)) if gathered.is_some() => break,
                Some(Err(error)) => return Err(errors::of("reading the past", &error)),
            };
            let Some((partition, until)) = self.partition(index) else { continue };
            let Some((offset, record)) = read else {
                self.ends(&partition)?;
                continue;
            };
            if offset + 1 >= until {
                self.ends(&partition)?;
            }
            if offset >= until {
                continue;
            }
            match &mut gathered {
                Some((known, records)) if *known == partition => records.push(record),
                Some(_) => {
                    self.held = Some((partition, record));
                    break;
                }
                None => gathered = Some((partition, vec![record])),
            }
        }
        let batch = gathered.and_then(|(partition, records)| self.batch(partition, records));
        Ok(batch.map_or(PastEvent::Quiet, PastEvent::Batch))
    }

    fn extents(&self) -> BTreeMap<Partition, Extent> {
        self.extents.clone()
    }
}

/// Where the records of a partition begin that may be of after `since`.
fn extent(
    consumer: &BaseConsumer<Callbacks>,
    partition: &Partition,
    since: Timestamp,
    until: i64,
    timeout: Duration,
) -> Result<Extent, KafkaError> {
    let (low, _) = consumer.fetch_watermarks(&partition.topic, partition.index, timeout)?;
    let mut at = TopicPartitionList::new();
    let millis = since.micros().div_euclid(1_000).max(0);
    at.add_partition_offset(&partition.topic, partition.index, Offset::Offset(millis))?;
    let found = consumer.offsets_for_times(at, timeout)?;
    let found = match found.find_partition(&partition.topic, partition.index).map(|found| found.offset()) {
        Some(Offset::Offset(offset)) => offset,
        // Nothing that late is there.
        _ => until,
    };
    let from = found.max(low).min(until);
    // Something older than what is asked for is still there, or nothing was ever deleted.
    let whole = low == 0 || found > low;
    Ok(Extent { from, until, whole })
}
