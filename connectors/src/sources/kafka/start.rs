//! From which offset a newly assigned partition is read: decided here, never by the broker's defaults.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::errors;
use super::settings::StartFrom;
use crate::raw::Partition;
use crate::sources::{Positions, SourceError};

/// A partition and where it is read from.
pub(super) struct Start {
    pub(super) partition: Partition,
    pub(super) offset: i64,
    /// Nobody had a position: `start_from` decided.
    pub(super) first: bool,
}

/// The positions that this process knows of.
pub(super) struct Known<'a> {
    /// Those of the last checkpoint: they win over the group's.
    pub(super) stored: &'a Positions,
    /// Those at which partitions were given away: the group's win over them.
    pub(super) left: &'a Positions,
}

/// Looks up where each partition starts: our stored position, else the group's, else `start_from`. A position that
/// its topic no longer has is a gap in the log and stops.
pub(super) fn starts<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: Vec<Partition>,
    known: &Known<'_>,
    start_from: StartFrom,
    timeout: Duration,
) -> Result<Vec<Start>, SourceError> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for partition in &partitions {
        asked.add_partition(&partition.topic, partition.index);
    }
    let committed =
        consumer.committed_offsets(asked, timeout).map_err(|error| errors::of("committed offsets", &error))?;
    let mut starts = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let committed = committed.find_partition(&partition.topic, partition.index).map(|element| element.offset());
        let position = match (known.stored.get(&partition), committed) {
            (Some(stored), _) => Some(*stored),
            (None, Some(Offset::Offset(committed))) => Some(committed),
            _ => known.left.get(&partition).copied(),
        };
        let ask = |error: KafkaError| errors::of(&format!("offsets of {partition}"), &error);
        let (low, high) = consumer.fetch_watermarks(&partition.topic, partition.index, timeout).map_err(ask)?;
        let offset = match position {
            Some(offset) if (low..=high).contains(&offset) => offset,
            Some(offset) => return Err(gap(&partition, offset, low, high)),
            None => match start_from {
                StartFrom::Latest => high,
                StartFrom::Earliest => low,
                StartFrom::Time(time) => {
                    let mut at = TopicPartitionList::new();
                    // The first millisecond at or after the time: broker timestamps are no finer.
                    let millis = time.micros().div_euclid(1_000) + i64::from(time.micros().rem_euclid(1_000) > 0);
                    at.add_partition_offset(&partition.topic, partition.index, Offset::Offset(millis.max(0)))
                        .map_err(ask)?;
                    let found = consumer.offsets_for_times(at, timeout).map_err(ask)?;
                    match found.find_partition(&partition.topic, partition.index).map(|found| found.offset()) {
                        Some(Offset::Offset(offset)) => offset,
                        // Nothing that late is there yet.
                        _ => high,
                    }
                }
            },
        };
        starts.push(Start { partition, offset, first: position.is_none() });
    }
    Ok(starts)
}

fn gap(partition: &Partition, offset: i64, low: i64, high: i64) -> SourceError {
    SourceError::Stop(if offset < low {
        format!(
            "{partition}: the position {offset} is gone, the topic begins at {low} now; {} records were deleted before \
             they were read: raise the topic's retention, and to go on without them move the state directory aside and \
             use another `group_id`",
            low - offset
        )
    } else {
        format!(
            "{partition}: the position {offset} lies beyond the topic's end {high}; the topic was made anew or truncated: \
             to read it from `start_from`, move the state directory aside and use another `group_id`"
        )
    })
}
