//! Kafka: both planes' topics through one consumer of one group, read by the engine's single thread.
//!
//! **Rebalances** (classic protocol, eager). librdkafka's callback only notes the group's decision. An assignment is
//! carried out by the next `poll`, after looking up where each partition starts. A revocation is told to the engine as
//! [`SourceEvent::Revoked`]; the engine checkpoints and calls [`Source::commit`]; the partitions are let go by the
//! `poll` after that, and until then the group waits for us (at most `max_poll_interval`). What was fetched but not
//! polled is dropped: the next owner reads it from the committed offset. With `lost` the group has not waited, and
//! nothing may be committed.
//!
//! **Positions.** Nothing is left to `auto.offset.reset`: see `start.rs`. A first start is committed at once, so that a
//! crash before the first checkpoint does not move it.
//!
//! **The past.** See `past.rs`: another consumer, assigned and in no group, reads again what lies before some positions.
//!
//! **Ends.** See `idle.rs`: a partition at its end says so once a second.

mod callbacks;
mod connection;
mod errors;
mod idle;
mod past;
mod settings;
mod start;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use watershed_schemas::{Plane, Timestamp};

use self::callbacks::{Callbacks, Rebalance};
use self::idle::Mark;
use super::clock::now;
use super::{Positions, Source, SourceError, SourceEvent};
use crate::raw::{Partition, RawBatch, RawRecord};

pub(crate) use connection::log_line;
pub use connection::{Connection, SaslSettings, TlsSettings};
pub use past::KafkaPast;
pub use settings::{KafkaSettings, StartFrom, TopicSettings};

/// After an assignment or a resume the statistics may still show what was before.
const SETTLING: Duration = Duration::from_secs(2);
/// How long leaving takes at most when nobody called [`Source::close`].
const DROP_DEADLINE: Duration = Duration::from_secs(5);

/// Reads the topics of its settings.
pub struct KafkaSource {
    consumer: Option<BaseConsumer<Callbacks>>,
    settings: KafkaSettings,
    topics: BTreeMap<String, Topic>,
    assigned: Vec<Assigned>,
    /// Positions that win over the group's: those of the last checkpoint, until a partition was given away.
    stored: Positions,
    /// How far partitions had been read when they were given away, for one that comes back uncommitted.
    left: Positions,
    /// Events that wait to be polled, oldest first.
    ready: VecDeque<SourceEvent>,
    marks: Vec<Mark>,
    ends: BTreeMap<(String, i32), i64>,
    /// The engine was told of a revocation: the next poll lets go.
    revoking: bool,
    paused: bool,
    settled_at: Instant,
}

struct Topic {
    name: Arc<str>,
    plane: Plane,
    format: Arc<str>,
    tenant: Arc<str>,
}

struct Assigned {
    partition: Partition,
    /// Where reading began.
    start: i64,
    /// The next offset to read.
    position: i64,
}

impl KafkaSource {
    /// Joins the group. No broker is asked yet; the first polls do.
    pub fn connect(settings: KafkaSettings) -> Result<Self, SourceError> {
        let config = settings.consumer_config().map_err(SourceError::Stop)?;
        let topics: BTreeMap<String, Topic> = settings
            .topics()
            .map(|(plane, topic)| {
                let known = Topic {
                    name: topic.topic.as_str().into(),
                    plane,
                    format: topic.format.as_str().into(),
                    tenant: topic.tenant.as_str().into(),
                };
                (topic.topic.clone(), known)
            })
            .collect();
        let consumer: BaseConsumer<Callbacks> = config
            .create_with_context(Callbacks::default())
            .map_err(|error| errors::of("the consumer can't be made", &error))?;
        let names: Vec<&str> = topics.keys().map(String::as_str).collect();
        consumer.subscribe(&names).map_err(|error| errors::of("subscription", &error))?;
        Ok(KafkaSource {
            consumer: Some(consumer),
            settings,
            topics,
            assigned: Vec::new(),
            stored: Positions::new(),
            left: Positions::new(),
            ready: VecDeque::new(),
            marks: Vec::new(),
            ends: BTreeMap::new(),
            revoking: false,
            paused: false,
            settled_at: Instant::now(),
        })
    }

    fn consumer(&self) -> Result<&BaseConsumer<Callbacks>, SourceError> {
        self.consumer.as_ref().ok_or_else(|| SourceError::Stop("kafka: the source was closed".into()))
    }

    /// Lets go of what the engine was told is revoked, now that it has committed.
    fn let_go(&mut self) -> Result<(), SourceError> {
        if !std::mem::take(&mut self.revoking) {
            return Ok(());
        }
        self.left.extend(self.assigned.drain(..).map(|own| (own.partition, own.position)));
        self.marks.clear();
        // Somebody else may read on from here: from now on the group's offsets are the truth.
        self.stored.clear();
        self.consumer()?.unassign().map_err(|error| errors::of("letting go of partitions", &error))
    }

    /// Carries out the group's next decision.
    fn rebalanced(&mut self) -> Result<Option<SourceEvent>, SourceError> {
        let Some(decision) = self.consumer()?.context().rebalances().pop_front() else { return Ok(None) };
        match decision {
            Rebalance::Assign(partitions) => match self.assign(&partitions) {
                Ok(event) => Ok(Some(event)),
                Err(error) => {
                    // Tried again by the next poll; the group waits.
                    self.consumer()?.context().rebalances().push_front(Rebalance::Assign(partitions));
                    Err(error)
                }
            },
            Rebalance::Revoke { partitions, lost } => {
                self.revoking = true;
                self.marks.clear();
                let partitions = partitions.iter().filter_map(|(topic, index)| self.partition(topic, *index)).collect();
                Ok(Some(SourceEvent::Revoked { partitions, lost }))
            }
        }
    }

    fn partition(&self, topic: &str, index: i32) -> Option<Partition> {
        let topic = self.topics.get(topic)?;
        Some(Partition { plane: topic.plane, topic: Arc::clone(&topic.name), index })
    }

    fn assign(&mut self, partitions: &[(String, i32)]) -> Result<SourceEvent, SourceError> {
        let consumer = self.consumer()?;
        let partitions = partitions.iter().filter_map(|(topic, index)| self.partition(topic, *index)).collect();
        let (start_from, timeout) = (self.settings.start_from, self.settings.request_timeout);
        let starts = start::starts(
            consumer,
            partitions,
            &start::Known { stored: &self.stored, left: &self.left },
            start_from,
            timeout,
        )?;
        let mut list = TopicPartitionList::with_capacity(starts.len());
        let mut first = TopicPartitionList::new();
        for start in &starts {
            let add = |list: &mut TopicPartitionList| {
                list.add_partition_offset(&start.partition.topic, start.partition.index, Offset::Offset(start.offset))
                    .map_err(|error| errors::of(&format!("start of {}", start.partition), &error))
            };
            add(&mut list)?;
            if start.first {
                add(&mut first)?;
            }
            tracing::info!(partition = %start.partition, offset = start.offset, first = start.first, "reading from");
        }
        consumer.assign(&list).map_err(|error| errors::of("assignment", &error))?;
        if self.paused {
            consumer.pause(&list).map_err(|error| errors::of("pause", &error))?;
        }
        if first.count() > 0 {
            consumer.commit(&first, CommitMode::Async).map_err(|error| errors::of("commit of the start", &error))?;
        }
        let assigned =
            |start: start::Start| Assigned { partition: start.partition, start: start.offset, position: start.offset };
        self.assigned = starts.into_iter().map(assigned).collect();
        self.settled_at = Instant::now() + SETTLING;
        Ok(SourceEvent::Assigned(self.partitions()))
    }

    /// Takes what is there into batches by partition, waiting for the first message at most until `deadline`.
    fn collect(&mut self, deadline: Instant) -> Result<(), SourceError> {
        let Some(consumer) = &self.consumer else { return Ok(()) };
        let mut gathered = Gathered::default();
        let mut trouble = None;
        let mut drained = false;
        while gathered.records < self.settings.batch_records && gathered.bytes < self.settings.batch_bytes {
            let wait = match gathered.records {
                0 => deadline.saturating_duration_since(Instant::now()),
                _ => Duration::ZERO,
            };
            let served = consumer.context().served();
            match consumer.poll(wait) {
                Some(Ok(message)) => gathered.take(&message, &mut self.assigned),
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) if errors::passes(&error) => tracing::debug!(%error, "kafka consumer"),
                Some(Err(error)) => {
                    trouble = Some(errors::of("reading", &error));
                    break;
                }
                None => {
                    drained = consumer.context().served() == served;
                    break;
                }
            }
        }
        let statistics = consumer.context().take_statistics();
        let received = now();
        for (index, records) in gathered.batches {
            let partition = self.assigned[index].partition.clone();
            let Some(topic) = self.topics.get(&*partition.topic) else { continue };
            let (format, tenant) = (Arc::clone(&topic.format), Arc::clone(&topic.tenant));
            self.ready.push_back(SourceEvent::Batch(RawBatch { partition, format, tenant, received, records }));
        }
        self.tell_ends(drained);
        if let Some(statistics) = statistics {
            self.ends = idle::ends(&statistics);
            if !self.paused && Instant::now() >= self.settled_at {
                self.marks = idle::marks(&statistics);
            }
        }
        match trouble {
            // What was read before the trouble goes first; librdkafka repeats what still ails it.
            Some(error) if self.ready.is_empty() || matches!(error, SourceError::Stop(_)) => Err(error),
            Some(error) => {
                tracing::warn!("{error}");
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Tells the marks of partitions of which everything before the mark was delivered.
    fn tell_ends(&mut self, drained: bool) {
        let assigned = &self.assigned;
        let ready = &mut self.ready;
        self.marks.retain(|mark| {
            let find = |own: &&Assigned| *own.partition.topic == *mark.topic && own.partition.index == mark.index;
            let Some(own) = assigned.iter().find(find) else { return false };
            let delivered = drained || own.position >= mark.end;
            if delivered {
                ready.push_back(SourceEvent::CaughtUp { partition: own.partition.clone(), at: mark.at });
            }
            !delivered
        });
    }
}

/// Messages of one round, by partition in the order in which partitions were first heard.
#[derive(Default)]
struct Gathered {
    batches: Vec<(usize, Vec<RawRecord>)>,
    records: usize,
    bytes: usize,
    /// The batch of the message before: messages come in runs.
    last: usize,
}

impl Gathered {
    fn take(&mut self, message: &BorrowedMessage<'_>, assigned: &mut [Assigned]) {
        let is_own =
            |own: &Assigned| own.partition.index == message.partition() && *own.partition.topic == *message.topic();
        let of_last = self.batches.get(self.last).is_some_and(|(index, _)| is_own(&assigned[*index]));
        if !of_last {
            // Fetched before a revocation that was carried out meanwhile: no longer ours.
            let Some(index) = assigned.iter().position(is_own) else { return };
            self.last = match self.batches.iter().position(|(known, _)| *known == index) {
                Some(batch) => batch,
                None => {
                    self.batches.push((index, Vec::new()));
                    self.batches.len() - 1
                }
            };
        }
        let (index, records) = &mut self.batches[self.last];
        assigned[*index].position = message.offset() + 1;
        self.records += 1;
        self.bytes += message.payload_len();
        records.push(record(message));
    }
}

fn record(message: &BorrowedMessage<'_>) -> RawRecord {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers
            .iter()
            .map(|header| (header.key.to_owned(), Bytes::copy_from_slice(header.value.unwrap_or_default())))
            .collect()
    });
    RawRecord {
        offset: message.offset(),
        // A producer's clock that runs ahead must not make the future look like the past: nothing was produced after
        // it was received.
        timestamp: message.timestamp().to_millis().map(|millis| Timestamp::from_millis(millis).min(now())),
        key: message.key().map(Bytes::copy_from_slice),
        headers,
        payload: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
    }
}

impl Source for KafkaSource {
    fn poll(&mut self, wait: Duration) -> Result<SourceEvent, SourceError> {
        if let Some(event) = self.ready.pop_front() {
            return Ok(event);
        }
        self.let_go()?;
        let deadline = Instant::now() + wait;
        loop {
            if let Some(event) = self.rebalanced()? {
                return Ok(event);
            }
            self.collect(deadline)?;
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            if Instant::now() >= deadline && self.consumer()?.context().rebalances().is_empty() {
                return Ok(SourceEvent::Quiet);
            }
        }
    }

    fn partitions(&self) -> Vec<Partition> {
        self.assigned.iter().map(|own| own.partition.clone()).collect()
    }

    fn starts(&self) -> Positions {
        self.assigned.iter().map(|own| (own.partition.clone(), own.start)).collect()
    }

    fn resume_from(&mut self, positions: &Positions) -> Result<(), SourceError> {
        self.stored = positions.clone();
        Ok(())
    }

    fn commit(&mut self, positions: &Positions) -> Result<(), SourceError> {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (partition, position) in positions {
            if self.assigned.iter().any(|own| own.partition == *partition) {
                list.add_partition_offset(&partition.topic, partition.index, Offset::Offset(*position))
                    .map_err(|error| errors::of(&format!("commit of {partition}"), &error))?;
            }
        }
        if list.count() == 0 {
            return Ok(());
        }
        // Before letting go the next owner's start must be at the broker; otherwise the next commit repeats a lost one.
        let mode = if self.revoking { CommitMode::Sync } else { CommitMode::Async };
        self.consumer()?.commit(&list, mode).map_err(|error| errors::of("commit", &error))
    }

    fn pause(&mut self, paused: bool) -> Result<(), SourceError> {
        if self.paused == paused {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(self.assigned.len());
        for own in &self.assigned {
            list.add_partition(&own.partition.topic, own.partition.index);
        }
        let consumer = self.consumer()?;
        if paused { consumer.pause(&list) } else { consumer.resume(&list) }
            .map_err(|error| errors::of("pause", &error))?;
        self.paused = paused;
        self.marks.clear();
        self.settled_at = Instant::now() + SETTLING;
        Ok(())
    }

    fn close(&mut self, deadline: Duration) {
        let Some(consumer) = self.consumer.take() else { return };
        self.assigned.clear();
        self.ready.clear();
        consumer.context().close();
        let (done, closed) = std::sync::mpsc::channel();
        // Leaving the group can hang while brokers are away, so it happens where nobody waits for it for ever.
        let leave = move || {
            let _ = consumer.unassign();
            drop(consumer);
            let _ = done.send(());
        };
        if std::thread::Builder::new().name("kafka-close".into()).spawn(leave).is_err() {
            return;
        }
        if closed.recv_timeout(deadline).is_err() {
            tracing::warn!(?deadline, "the consumer did not leave its group in time; the group will notice by itself");
        }
    }

    fn lag(&self) -> Option<u64> {
        if self.ends.is_empty() {
            return None;
        }
        let behind = |own: &Assigned| {
            let end = self.ends.get(&(own.partition.topic.to_string(), own.partition.index)).copied().unwrap_or(0);
            u64::try_from(end - own.position).unwrap_or(0)
        };
        Some(self.assigned.iter().map(behind).sum())
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.close(DROP_DEADLINE);
    }
}
