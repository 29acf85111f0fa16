//! Sources as the engine drives them.

mod files;
mod kafka_settings;
mod memory;
mod recording;
mod tail;

use std::time::Duration;

use watershed_connectors::sources::{Source, SourceEvent};
use watershed_connectors::{Partition, RawBatch, RawRecord};
use watershed_schemas::{Plane, Timestamp};

/// Long enough for a file or a channel that has something; nothing here waits for it in vain.
const WAIT: Duration = Duration::from_secs(5);

fn partition(plane: Plane, index: i32) -> Partition {
    Partition { plane, topic: plane.table().into(), index }
}

fn record(offset: i64, payload: &str) -> RawRecord {
    RawRecord { offset, timestamp: None, key: None, headers: Vec::new(), payload: payload.to_owned().into() }
}

fn batch(partition: &Partition, received: i64, records: Vec<RawRecord>) -> RawBatch {
    RawBatch {
        partition: partition.clone(),
        format: "auto".into(),
        tenant: "default".into(),
        received: Timestamp::from_micros(received),
        records,
    }
}

fn poll(source: &mut dyn Source) -> SourceEvent {
    source.poll(WAIT).expect("the source goes on")
}

fn payloads(batch: &RawBatch) -> Vec<(i64, String)> {
    let text = |record: &RawRecord| String::from_utf8_lossy(&record.payload).into_owned();
    batch.records.iter().map(|record| (record.offset, text(record))).collect()
}
