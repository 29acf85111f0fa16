//! Which partitions are at their end, and since when that is certain.
//!
//! librdkafka says once that a partition's end was reached, without the topic's name, and stays silent while nothing
//! comes, no matter whether its broker answers. What it knows about each partition is in its statistics, once a second:
//! the offset of the last partition-end event and the offset that it fetches next. Where they are equal, the broker
//! answered a moment ago and no transaction is open, the partition was at its end then. "High watermark reached" would
//! be wrong: transaction markers take offsets too.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::Statistics;
use rdkafka::statistics;
use watershed_schemas::Timestamp;

/// An idle broker answers each fetch after half a second; one silent for longer than this proves nothing.
const SILENCE: i64 = 5_000_000;
/// Clock of the statistics (whole seconds) and the fetch on its way: a mark is this much older than its evidence.
const SLACK: Duration = Duration::from_millis(500);
/// Messages that wait in our queue, above which fetching may have stopped.
const QUEUED: i64 = 50_000;

/// A partition's end that was reached at `at`; it may be told once everything before `end` was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) topic: String,
    pub(super) index: i32,
    pub(super) end: i64,
    pub(super) at: Timestamp,
}

/// The partitions that the statistics prove to be at their end.
pub(super) fn marks(statistics: &Statistics) -> Vec<Mark> {
    let brokers: BTreeMap<i32, &statistics::Broker> =
        statistics.brokers.values().map(|broker| (broker.nodeid, broker)).collect();
    let mut marks = Vec::new();
    for (topic, partitions) in &statistics.topics {
        for partition in partitions.partitions.values() {
            let Some(broker) = brokers.get(&partition.broker) else { continue };
            let at_end = partition.fetch_state == "active"
                && partition.eof_offset >= 0
                && partition.eof_offset == partition.next_offset
                && partition.ls_offset >= partition.hi_offset
                && partition.fetchq_cnt < QUEUED;
            if at_end && broker.state == "UP" && (0..SILENCE).contains(&broker.rxidle) {
                let heard = Timestamp::from_secs(statistics.time).plus_micros(-broker.rxidle);
                marks.push(Mark {
                    topic: topic.clone(),
                    index: partition.partition,
                    end: partition.eof_offset,
                    at: heard.minus(SLACK),
                });
            }
        }
    }
    // The statistics are hash maps: what is told has an order of its own.
    marks.sort_by(|a, b| (&a.topic, a.index).cmp(&(&b.topic, b.index)));
    marks
}

/// Ends of partitions as far as committed records go, for the lag.
pub(super) fn ends(statistics: &Statistics) -> BTreeMap<(String, i32), i64> {
    let mut ends = BTreeMap::new();
    for (topic, partitions) in &statistics.topics {
        for partition in partitions.partitions.values() {
            let end = if partition.ls_offset >= 0 { partition.ls_offset } else { partition.hi_offset };
            if end >= 0 {
                ends.insert((topic.clone(), partition.partition), end);
            }
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn statistics(change: impl FnOnce(&mut Statistics)) -> Statistics {
        let mut statistics = Statistics { time: 1_000, ..Statistics::default() };
        let broker = statistics::Broker { nodeid: 1, state: "UP".into(), rxidle: 200_000, ..Default::default() };
        statistics.brokers.insert("b:9092/1".into(), broker);
        let partition = statistics::Partition {
            partition: 2,
            broker: 1,
            fetch_state: "active".into(),
            next_offset: 7,
            eof_offset: 7,
            ls_offset: 7,
            hi_offset: 7,
            ..Default::default()
        };
        let mut topic: statistics::Topic = serde_json::from_value(json!({
            "topic": "t", "metadata_age": 0, "batchsize": {}, "batchcnt": {}, "partitions": {}
        }))
        .unwrap_or_default();
        topic.partitions.insert(2, partition);
        statistics.topics.insert("t".into(), topic);
        change(&mut statistics);
        statistics
    }

    fn partition(statistics: &mut Statistics) -> &mut statistics::Partition {
        statistics.topics.get_mut("t").and_then(|topic| topic.partitions.get_mut(&2)).expect("the one partition")
    }

    #[test]
    fn a_partition_whose_broker_just_answered_is_at_its_end() {
        let expected =
            Mark { topic: "t".into(), index: 2, end: 7, at: Timestamp::from_micros(1_000_000_000 - 700_000) };
        assert_eq!(marks(&statistics(|_| {})), [expected]);
    }

    #[test]
    fn nothing_less_proves_it() {
        type Change = fn(&mut Statistics);
        let unproven: [(&str, Change); 7] = [
            ("more was fetched since", |s| partition(s).next_offset = 8),
            ("never at its end", |s| partition(s).eof_offset = -1001),
            ("not fetching", |s| partition(s).fetch_state = "stopped".into()),
            ("an open transaction", |s| partition(s).hi_offset = 9),
            ("a full queue", |s| partition(s).fetchq_cnt = 100_000),
            ("the broker is away", |s| s.brokers.values_mut().for_each(|b| b.state = "DOWN".into())),
            ("the broker is silent", |s| s.brokers.values_mut().for_each(|b| b.rxidle = 6_000_000)),
        ];
        for (why, change) in unproven {
            assert_eq!(marks(&statistics(change)), [], "{why}");
        }
    }
}
