//! Recordings taken apart and put together again in another order.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use watershed_connectors::sources::recording::{RecordingSource, RecordingWriter};
use watershed_connectors::sources::{Source, SourceEvent};
use watershed_connectors::{Partition, RawBatch};
use watershed_schemas::Timestamp;

/// Everything that a recording holds, in order.
///
/// # Errors
/// When it can't be read.
pub fn read(dir: &Path) -> Result<(Vec<Partition>, Vec<SourceEvent>)> {
    let mut source = RecordingSource::open(dir, 1)?;
    let partitions = source.partitions();
    let mut events = Vec::new();
    loop {
        match source.poll(Duration::ZERO)? {
            SourceEvent::End => return Ok((partitions, events)),
            SourceEvent::Quiet => {}
            event => events.push(event),
        }
    }
}

/// How many records a recording holds, also one that is still being written.
///
/// # Errors
/// When it can't be read.
pub fn records(dir: &Path) -> Result<usize> {
    Ok(read(dir)?
        .1
        .iter()
        .map(|event| if let SourceEvent::Batch(batch) = event { batch.records.len() } else { 0 })
        .sum())
}

/// Writes a recording.
///
/// # Errors
/// When it can't be written.
pub fn write(dir: &Path, partitions: &[Partition], events: &[SourceEvent]) -> Result<()> {
    let mut writer = RecordingWriter::create(dir, "watershed-integration", partitions)?;
    for event in events {
        writer.write(event)?;
    }
    writer.finish()?;
    Ok(())
}

/// The same entries in another order of arrival: the order within a partition stays, as a broker keeps it; between
/// partitions each entry comes up to `delay` later than it did.
pub fn interleaved(events: &[SourceEvent], delay: Duration, seed: u64) -> Vec<SourceEvent> {
    let mut luck = ChaCha8Rng::seed_from_u64(seed);
    let mut latest: BTreeMap<Partition, Timestamp> = BTreeMap::new();
    let mut keyed: Vec<(Timestamp, SourceEvent)> = Vec::new();
    for event in events {
        let (partition, at) = match event {
            SourceEvent::Batch(batch) => (&batch.partition, arrival(batch)),
            SourceEvent::CaughtUp { partition, at } => (partition, *at),
            // Assignments are about all partitions: they stay before what follows them.
            _ => {
                keyed.push((latest.values().copied().max().unwrap_or(Timestamp::MIN), event.clone()));
                continue;
            }
        };
        let part: f64 = luck.random();
        let known = latest.get(partition).copied().unwrap_or(Timestamp::MIN);
        let key = at.plus(delay.mul_f64(part)).max(known);
        latest.insert(partition.clone(), key);
        keyed.push((key, event.clone()));
    }
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, event)| event).collect()
}

fn arrival(batch: &RawBatch) -> Timestamp {
    batch.records.iter().filter_map(|record| record.timestamp).max().unwrap_or(batch.received)
}
