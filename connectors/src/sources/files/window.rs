//! One file: a window of it decoded and sorted, and what was taken from it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use datafusion::arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use datafusion::arrow::buffer::ScalarBuffer;
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::datatypes::TimestampMicrosecondType;
use watershed_schemas::tables::runtime;
use watershed_schemas::{ColumnSet, EventBatch, ReadFrom, Reject, Rest, Timestamp};

use super::content::Content;
use super::{DecodedBatch, FileInput, RejectedRecord};
use crate::dlq::SHOWN_BYTES;
use crate::formats::Registry;
use crate::raw::{Partition, RawBatch, RawRecord};
use crate::sources::SourceError;

/// Records of one window.
const RECORDS: usize = 8_192;
/// Bytes of one window.
const BYTES: usize = 16 << 20;

/// A file and its open window.
pub(super) struct FileCursor {
    pub(super) partition: Partition,
    pub(super) size: u64,
    path: PathBuf,
    format: Arc<str>,
    tenant: Arc<str>,
    content: Content,
    window: Option<Window>,
}

/// Decoded rows in merge order, and how many of them were taken.
pub(super) struct Window {
    rows: RecordBatch,
    rest: Option<Rest>,
    /// What rows are merged by, ascending.
    keys: ScalarBuffer<i64>,
    offsets: Vec<i64>,
    rejects: Vec<Reject>,
    rejected: Vec<RejectedRecord>,
    taken: usize,
}

impl FileCursor {
    pub(super) fn open(input: &FileInput, tenant: Arc<str>, bytes_read: Arc<AtomicU64>) -> Result<Self, SourceError> {
        let stop = |error| SourceError::Stop(format!("file `{}`: {error}", input.path.display()));
        let size = input.path.metadata().map_err(stop)?.len();
        let content = Content::open(&input.path, bytes_read).map_err(stop)?;
        Ok(FileCursor {
            partition: Partition { plane: input.plane, topic: input.path.display().to_string().into(), index: 0 },
            size,
            path: input.path.clone(),
            format: Arc::clone(&input.format),
            tenant,
            content,
            window: None,
        })
    }

    /// The window that has rows or rejects left.
    pub(super) fn window(&self) -> Option<&Window> {
        self.window.as_ref()
    }

    /// Decodes the next window where the last is used up.
    pub(super) fn fill(&mut self, registry: &Registry, columns: ColumnSet) -> Result<(), SourceError> {
        if self.window.is_some() {
            return Ok(());
        }
        let mut records = Vec::new();
        let mut bytes = 0;
        while records.len() < RECORDS && bytes < BYTES {
            let next = self.content.next();
            let next = next.map_err(|error| SourceError::Stop(format!("file `{}`: {error}", self.path.display())))?;
            let Some((offset, payload)) = next else { break };
            bytes += payload.len();
            records.push(RawRecord { offset, timestamp: None, key: None, headers: Vec::new(), payload });
        }
        if !records.is_empty() {
            let raw = Arc::new(RawBatch {
                partition: self.partition.clone(),
                format: Arc::clone(&self.format),
                tenant: Arc::clone(&self.tenant),
                received: Timestamp::MIN,
                records,
            });
            let decoded = registry.decode_columns(&raw, columns);
            self.window = Some(Window::new(decoded, &raw.records).map_err(|error| {
                SourceError::Stop(format!("file `{}`: its rows can't be sorted: {error}", self.path.display()))
            })?);
        }
        Ok(())
    }

    /// Takes the next rows of the window, with its rejects the first time.
    pub(super) fn take(&mut self, count: usize) -> Option<DecodedBatch> {
        let window = self.window.as_mut()?;
        let used_up = window.taken + count == window.offsets.len();
        if count == 0 && window.rejects.is_empty() && !used_up {
            return None;
        }
        let range = window.taken..window.taken + count;
        let rejects = std::mem::take(&mut window.rejects);
        let batch = DecodedBatch {
            partition: self.partition.clone(),
            offsets: window.offsets[range.clone()].to_vec(),
            batch: EventBatch {
                plane: self.partition.plane,
                rows: window.rows.slice(window.taken, count),
                record_of_row: (0..u32::try_from(count).unwrap_or(u32::MAX)).collect(),
                rejects,
                rest: window.rest.as_ref().map(|rest| rest.slice(range.clone())),
                read_from: Some(ReadFrom {
                    topic: Arc::clone(&self.partition.topic),
                    partition: self.partition.index,
                    offsets: window.offsets[range].into(),
                }),
            },
            rejected: std::mem::take(&mut window.rejected),
        };
        window.taken += count;
        if used_up {
            self.window = None;
        }
        (count > 0 || !batch.rejected.is_empty()).then_some(batch)
    }
}

impl Window {
    fn new(decoded: EventBatch, records: &[RawRecord]) -> Result<Self, datafusion::arrow::error::ArrowError> {
        let mut offsets: Vec<i64> =
            decoded.record_of_row.iter().map(|record| records[*record as usize].offset).collect();
        let (mut rows, mut rest) = (decoded.rows, decoded.rest);
        let mut keys = keys(&rows);
        if !keys.is_sorted() {
            // Stable: rows of one time stay in the order of their lines.
            let mut order: Vec<u32> = (0..u32::try_from(keys.len()).unwrap_or(u32::MAX)).collect();
            order.sort_by_key(|row| keys[*row as usize]);
            offsets = order.iter().map(|row| offsets[*row as usize]).collect();
            keys = order.iter().map(|row| keys[*row as usize]).collect::<Vec<i64>>().into();
            rows = take_record_batch(&rows, &UInt32Array::from(order.clone()))?;
            if let Some(rest) = &mut rest {
                rest.places = Some(order);
            }
        }
        let mut rejects = decoded.rejects;
        let rejected = rejects.iter().map(|reject| rejected(&records[reject.record])).collect();
        for (index, reject) in rejects.iter_mut().enumerate() {
            reject.record = index;
        }
        Ok(Window { rows, rest, keys, offsets, rejects, rejected, taken: 0 })
    }

    /// The merge keys of the rows that were not taken yet.
    pub(super) fn keys(&self) -> &[i64] {
        &self.keys[self.taken..]
    }
}

/// A copy, so that a reject does not keep its whole chunk of the file in memory.
fn rejected(record: &RawRecord) -> RejectedRecord {
    let first_bytes = Bytes::copy_from_slice(&record.payload[..record.payload.len().min(SHOWN_BYTES)]);
    RejectedRecord { offset: record.offset, first_bytes }
}

/// `ingest_time` where the event says it, else `event_time`.
fn keys(rows: &RecordBatch) -> ScalarBuffer<i64> {
    let event = rows.column(runtime::EVENT_TIME).as_primitive::<TimestampMicrosecondType>();
    let ingest = rows.column(runtime::INGEST_TIME).as_primitive::<TimestampMicrosecondType>();
    if ingest.null_count() == ingest.len() {
        return event.values().clone();
    }
    if ingest.null_count() == 0 {
        return ingest.values().clone();
    }
    let key = |row: usize| if ingest.is_null(row) { event.value(row) } else { ingest.value(row) };
    (0..rows.num_rows()).map(key).collect::<Vec<i64>>().into()
}
