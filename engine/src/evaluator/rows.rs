//! Rows that rules remember: kept once, however many scans use them.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::buffer::ScalarBuffer;
use datafusion::arrow::compute::interleave;
use datafusion::arrow::error::ArrowError;
use watershed_schemas::tables::runtime;
use watershed_schemas::{ColumnSet, EventBatch, Plane, Table, Timestamp};

use super::thin::thinned;
use crate::acceptance::event_times;

/// Rows of one table that came together and that some rule can use.
#[derive(Debug)]
pub struct Segment {
    /// Its number in the store.
    pub id: u64,
    /// Whose rows they are.
    pub table: Table,
    /// The rows, in the table's full schema. Columns that are not among `columns` hold NULLs or fingerprints.
    pub rows: RecordBatch,
    /// The columns that are as they were decoded.
    pub columns: ColumnSet,
    /// What the rows take in memory.
    pub bytes: usize,
    /// Their times, which are looked at more than all else.
    times: ScalarBuffer<i64>,
}

impl Segment {
    /// A segment of these rows that keeps these columns.
    pub fn new(id: u64, plane: Plane, rows: RecordBatch, keep: ColumnSet) -> Segment {
        Segment::of(id, plane, thinned(plane, rows, keep), keep)
    }

    /// A segment of these rows as they are.
    pub fn of(id: u64, table: impl Into<Table>, rows: RecordBatch, columns: ColumnSet) -> Segment {
        // Buffers may be shared with others: what counts is the part that these rows are in.
        let bytes = rows.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum();
        let times = event_times(&rows).values().clone();
        Segment { id, table: table.into(), rows, columns, bytes, times }
    }

    /// The rows as they were decoded, where they are events.
    pub fn batch(&self) -> Option<EventBatch> {
        Some(EventBatch::of(self.table.plane()?, self.rows.clone()))
    }

    /// The time of one row.
    pub fn event_time(&self, row: u32) -> Timestamp {
        Timestamp::from_micros(self.times[row as usize])
    }

    /// The id of one row.
    pub fn event_id(&self, row: u32) -> &str {
        self.rows.column(runtime::EVENT_ID).as_string::<i32>().value(row as usize)
    }

    /// The text of a column of one row, where it has one.
    pub fn text(&self, column: usize, row: u32) -> Option<&str> {
        let texts = self.rows.column(column).as_string_opt::<i32>()?;
        (!texts.is_null(row as usize)).then(|| texts.value(row as usize))
    }
}

/// Some rows of a segment.
#[derive(Debug)]
pub struct Picked {
    /// Where they are.
    pub segment: Arc<Segment>,
    /// Which of the segment's rows.
    pub rows: Vec<u32>,
    /// The newest event time of them.
    pub newest: Timestamp,
}

impl Picked {
    /// These rows of a segment.
    pub fn new(segment: &Arc<Segment>, rows: Vec<u32>) -> Self {
        let newest = rows.iter().map(|row| segment.event_time(*row)).max().unwrap_or(Timestamp::MIN);
        Picked { segment: Arc::clone(segment), rows, newest }
    }
}

/// One remembered row.
#[derive(Clone, Debug)]
pub struct RowRef {
    /// Where it is.
    pub segment: Arc<Segment>,
    /// Which of the segment's rows.
    pub row: u32,
}

impl RowRef {
    /// What rows of one key are ordered by, so that a result never depends on the order of arrival. Ids are unique per
    /// tenant and source.
    pub fn order(&self) -> (Timestamp, &str, [Option<&str>; 2]) {
        let text = |column| self.segment.text(column, self.row);
        let names = [runtime::SOURCE, runtime::TENANT].map(text);
        (self.segment.event_time(self.row), self.segment.event_id(self.row), names)
    }
}

/// The chosen columns of these rows as one batch.
pub fn gather(table: Table, columns: &[usize], rows: &[RowRef]) -> Result<RecordBatch, ArrowError> {
    let schema = Arc::new(table.schema().project(columns)?);
    if rows.is_empty() {
        return Ok(RecordBatch::new_empty(schema));
    }
    let mut segments: Vec<&Arc<Segment>> = Vec::new();
    let mut place_of: HashMap<u64, usize> = HashMap::new();
    let mut places: Vec<(usize, usize)> = Vec::with_capacity(rows.len());
    for row in rows {
        let place = *place_of.entry(row.segment.id).or_insert_with(|| {
            segments.push(&row.segment);
            segments.len() - 1
        });
        places.push((place, row.row as usize));
    }
    let columns: Vec<ArrayRef> = columns
        .iter()
        .map(|column| {
            let arrays: Vec<&dyn Array> =
                segments.iter().map(|segment| segment.rows.column(*column).as_ref()).collect();
            interleave(&arrays, &places)
        })
        .collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema, columns, &options)
}
