//! What librdkafka calls back, from inside `poll`. Nothing here is slow: events are queued for the source to act on.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Statistics, TopicPartitionList};

use super::connection::log_line;

/// A decision of the consumer group that the source has to carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rebalance {
    /// These partitions are ours, once we say from where we read them.
    Assign(Vec<(String, i32)>),
    /// They are ours until we say that we are done; with `lost` they are somebody else's already.
    Revoke { partitions: Vec<(String, i32)>, lost: bool },
}

/// The queue between librdkafka's callbacks and the source.
#[derive(Default)]
pub(super) struct Callbacks {
    rebalances: Mutex<VecDeque<Rebalance>>,
    statistics: Mutex<Option<Statistics>>,
    /// Callbacks so far: a poll that gave nothing and called nothing has seen the queue empty.
    served: AtomicU64,
    /// The source is leaving: what is revoked is let go at once.
    closing: AtomicBool,
}

impl Callbacks {
    pub(super) fn rebalances(&self) -> MutexGuard<'_, VecDeque<Rebalance>> {
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take_statistics(&self) -> Option<Statistics> {
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    fn serve(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }
}

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.serve();
        log_line(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        *self.statistics.lock().unwrap_or_else(PoisonError::into_inner) = Some(statistics);
    }

    fn stats_raw(&self, json: &[u8]) {
        self.serve();
        match serde_json::from_slice(json) {
            Ok(statistics) => self.stats(statistics),
            Err(error) => tracing::warn!(%error, "librdkafka's statistics can't be read"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.serve();
        tracing::debug!(%error, reason, "kafka consumer");
    }
}

impl ConsumerContext for Callbacks {
    /// Takes the group's decision without carrying it out: the source assigns when it has looked up positions, and
    /// lets go when the engine has committed.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, decision: RDKafkaRespErr, list: &mut TopicPartitionList) {
        self.serve();
        if self.closing.load(Ordering::Relaxed) {
            if let Err(error) = consumer.unassign() {
                tracing::warn!(%error, "partitions could not be let go while leaving the group");
            }
            return;
        }
        let partitions =
            list.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect();
        self.rebalances().push_back(match decision {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Rebalance::Assign(partitions),
            _ => Rebalance::Revoke { partitions, lost: consumer.assignment_lost() },
        });
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        self.serve();
        if let Err(error) = result {
            tracing::warn!(%error, "the group's offsets were not committed; the next commit includes them");
        }
    }
}
