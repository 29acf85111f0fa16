//! Which rows become history.
//!
//! A row later than its plane's watermark by more than the allowed lateness is refused, one from too far in the future
//! is quarantined; both are written to the late output with the reason. Each row is judged by the watermark that the
//! rows before it made, so the decision does not depend on how the input was cut into batches.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::array::{Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::TimestampMicrosecondType;
use std::time::Duration;
use watershed_connectors::Partition;
use watershed_schemas::tables::runtime;
use watershed_schemas::{EventBatch, Timestamp};

use crate::watermark::Watermarks;

/// Why a decoded row did not become history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Later than the allowed lateness.
    TooLate,
    /// Its event time lies beyond its ingest time plus the skew.
    FromTheFuture,
}

impl Refusal {
    /// The reason as the late output states it.
    pub fn reason(self) -> &'static str {
        match self {
            Refusal::TooLate => "event_time is older than the watermark less the allowed lateness",
            Refusal::FromTheFuture => "event_time is later than ingest_time plus the allowed clock skew",
        }
    }
}

/// A row that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// Its partition.
    pub partition: Partition,
    /// Which raw batch it came in: the number that the core was given with it.
    pub origin: usize,
    /// The row of the batch.
    pub row: u32,
    /// The raw record of the batch that it came from.
    pub record: u32,
    /// Its id.
    pub event_id: String,
    /// Its time.
    pub event_time: Timestamp,
}

/// The rows of a batch that became history, as positions in it; `None` means all of them.
#[derive(Debug, Default)]
pub struct Accepted {
    /// Positions, ascending; absent where every row was accepted.
    pub rows: Option<Vec<u32>>,
    /// What was not.
    pub refused: Vec<Refused>,
    /// Accepted rows behind the watermark that earlier batches had made.
    pub late: u64,
}

/// Judges every row of a batch and moves the watermark of its partition.
pub fn accept(batch: &EventBatch, partition: &Partition, watermarks: &mut Watermarks, skew: Duration) -> Accepted {
    let times = event_times(&batch.rows);
    let Some(newest) = times.iter().flatten().max() else {
        return Accepted::default();
    };
    let newest = Timestamp::from_micros(newest);
    let oldest = Timestamp::from_micros(times.iter().flatten().min().unwrap_or(i64::MIN));
    let reached = watermarks.of(batch.plane);
    let ingest = batch.rows.column(runtime::INGEST_TIME).as_primitive::<TimestampMicrosecondType>();
    let clocks_agree = ingest.null_count() == ingest.len()
        || ingest.iter().zip(times.iter()).all(|(ingest, time)| !beyond(time, ingest, skew));
    if clocks_agree {
        let mut after = watermarks.clone();
        after.hear(partition, newest);
        if oldest >= after.oldest_accepted(batch.plane) {
            *watermarks = after;
            let late = if oldest < reached { behind(times.iter().flatten(), reached) } else { 0 };
            return Accepted { late, ..Accepted::default() };
        }
    }
    let accepted = accept_row_by_row(batch, partition, watermarks, skew);
    let late = match &accepted.rows {
        Some(rows) => behind(rows.iter().map(|row| times.value(*row as usize)), reached),
        None => behind(times.iter().flatten(), reached),
    };
    Accepted { late, ..accepted }
}

fn accept_row_by_row(
    batch: &EventBatch,
    partition: &Partition,
    watermarks: &mut Watermarks,
    skew: Duration,
) -> Accepted {
    let times = event_times(&batch.rows);
    let ingest = batch.rows.column(runtime::INGEST_TIME).as_primitive::<TimestampMicrosecondType>();
    let ids: &StringArray = batch.rows.column(runtime::EVENT_ID).as_string();
    let mut rows = Vec::with_capacity(times.len());
    let mut refused = Vec::new();
    for row in 0..times.len() {
        let time = Timestamp::from_micros(times.value(row));
        let ingest = (!ingest.is_null(row)).then(|| ingest.value(row));
        let refusal = if beyond(Some(time.micros()), ingest, skew) {
            Some(Refusal::FromTheFuture)
        } else if time < watermarks.oldest_accepted(batch.plane) {
            Some(Refusal::TooLate)
        } else {
            None
        };
        match refusal {
            None => {
                watermarks.hear(partition, time);
                rows.push(u32::try_from(row).unwrap_or(u32::MAX));
            }
            Some(refusal) => refused.push(Refused {
                refusal,
                origin: 0,
                partition: partition.clone(),
                row: u32::try_from(row).unwrap_or(u32::MAX),
                record: batch.record_of_row.get(row).copied().unwrap_or_default(),
                event_id: ids.value(row).to_owned(),
                event_time: time,
            }),
        }
    }
    Accepted { rows: (!refused.is_empty()).then_some(rows), refused, late: 0 }
}

fn behind(times: impl Iterator<Item = i64>, reached: Timestamp) -> u64 {
    times.filter(|time| *time < reached.micros()).count() as u64
}

/// Positions of the rows that do not come from the future; absent where none does.
pub(crate) fn not_from_the_future(batch: &EventBatch, skew: Duration) -> Option<Vec<u32>> {
    let times = event_times(&batch.rows);
    let ingest = batch.rows.column(runtime::INGEST_TIME).as_primitive::<TimestampMicrosecondType>();
    let fits = |row: usize| {
        let ingest = (!ingest.is_null(row)).then(|| ingest.value(row));
        !beyond(Some(times.value(row)), ingest, skew)
    };
    let rows: Vec<u32> = (0..times.len()).filter(|row| fits(*row)).filter_map(|row| u32::try_from(row).ok()).collect();
    (rows.len() < times.len()).then_some(rows)
}

fn beyond(time: Option<i64>, ingest: Option<i64>, skew: Duration) -> bool {
    match (time, ingest) {
        (Some(time), Some(ingest)) => time > Timestamp::from_micros(ingest).plus(skew).micros(),
        _ => false,
    }
}

/// The event times of a batch of either plane.
pub fn event_times(rows: &RecordBatch) -> &TimestampMicrosecondArray {
    rows.column(runtime::EVENT_TIME).as_primitive::<TimestampMicrosecondType>()
}
