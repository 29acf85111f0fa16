//! Events of one plane as Arrow columns.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder, UInt32Array, new_null_array,
};
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;

use crate::case::SourceRecord;
use crate::column::{ColumnSet, ColumnType};
use crate::plane::Plane;
use crate::row::{Cell, Row};
use crate::tables::runtime;
use crate::timestamp::Timestamp;

// Both tables begin with the same six columns, so that code which needs only these can ignore the plane.
const _: () = {
    use crate::tables::identity;
    assert!(runtime::EVENT_ID == identity::EVENT_ID && runtime::EVENT_TIME == identity::EVENT_TIME);
    assert!(runtime::INGEST_TIME == identity::INGEST_TIME && runtime::TENANT == identity::TENANT);
    assert!(runtime::SOURCE == identity::SOURCE && runtime::KIND == identity::KIND);
};

static SCHEMAS: LazyLock<[SchemaRef; 2]> = LazyLock::new(|| {
    Plane::ALL.map(|plane| {
        let fields: Vec<_> = plane.columns().iter().map(|column| column.field()).collect();
        Arc::new(Schema::new(fields))
    })
});

/// The columns that every event must have, one bit each.
static REQUIRED: LazyLock<[u64; 2]> = LazyLock::new(|| {
    Plane::ALL.map(|plane| {
        let required = plane.columns().iter().enumerate().filter(|(_, column)| column.required);
        required.fold(0, |bits, (at, _)| bits | 1 << at)
    })
});

impl Plane {
    /// The Arrow schema of the plane's table.
    pub fn schema(self) -> SchemaRef {
        Arc::clone(&SCHEMAS[self.index()])
    }
}

/// A record, or a part of one, that could not become a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Which record of the raw batch, counted from 0.
    pub record: usize,
    /// Which part of it (span, log record, list element) where it holds several.
    pub part: Option<usize>,
    /// Why, in one sentence without the record's own text.
    pub reason: String,
}

/// Events of one plane, with the raw record that each came from.
#[derive(Clone, Debug)]
pub struct EventBatch {
    /// The plane.
    pub plane: Plane,
    /// The rows, in the plane's schema. Where `rest` is there, only the columns that it names are filled.
    pub rows: RecordBatch,
    /// For each row the record of the raw batch that it came from; never decreases.
    pub record_of_row: Vec<u32>,
    /// What could not be decoded.
    pub rejects: Vec<Reject>,
    /// What is left of decoding; absent where the rows are whole.
    pub rest: Option<Rest>,
    /// Where the rows were read; absent where nobody can say.
    pub read_from: Option<ReadFrom>,
}

/// Where rows were read: enough to find the records of each again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFrom {
    /// Topic, or file.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// For each row the offset of its record, or its line.
    pub offsets: Box<[i64]>,
}

impl ReadFrom {
    /// The same of these rows only.
    #[must_use]
    pub fn pick(&self, rows: &[u32]) -> ReadFrom {
        let offset = |row: &u32| self.offsets.get(*row as usize).copied().unwrap_or(-1);
        ReadFrom { offsets: rows.iter().map(offset).collect(), topic: Arc::clone(&self.topic), ..*self }
    }

    /// The record that one row came from.
    pub fn record(&self, row: u32) -> Option<SourceRecord> {
        let offset = self.offsets.get(row as usize).copied().filter(|offset| *offset >= 0)?;
        Some(SourceRecord { topic: self.topic.to_string(), partition: self.partition, offset })
    }
}

impl EventBatch {
    /// Whole rows that came from nowhere.
    pub fn of(plane: Plane, rows: RecordBatch) -> Self {
        EventBatch { plane, rows, record_of_row: Vec::new(), rejects: Vec::new(), rest: None, read_from: None }
    }

    /// These rows, all columns filled.
    ///
    /// # Errors
    /// When Arrow can't take the rows.
    pub fn whole(&self, rows: &[u32]) -> Result<RecordBatch, ArrowError> {
        let whole = self.rest.as_ref().and_then(|rest| rest.decode(rows));
        match whole {
            Some(whole) => Ok(whole),
            None => take_record_batch(&self.rows, &UInt32Array::from(rows.to_vec())),
        }
    }

    /// Whether these columns are filled.
    pub fn has(&self, columns: ColumnSet) -> bool {
        self.rest.as_ref().is_none_or(|rest| rest.columns.includes(columns))
    }
}

/// Decodes rows a second time, now with all columns.
pub trait Undecoded: Send + Sync + std::fmt::Debug {
    /// The rows at these positions of the batch that was decoded first, in this order; none where they can't be had.
    fn decode(&self, rows: &[u32]) -> Option<RecordBatch>;
}

/// The columns that were left out of a batch, to be had when they are needed after all.
#[derive(Clone, Debug)]
pub struct Rest {
    /// The columns that are filled.
    pub columns: ColumnSet,
    /// Where the others come from.
    pub source: Arc<dyn Undecoded>,
    /// For each row its position in the batch that was decoded first; absent where it is its own.
    pub places: Option<Vec<u32>>,
}

impl Rest {
    /// The rest of a part of the rows.
    #[must_use]
    pub fn slice(&self, rows: std::ops::Range<usize>) -> Rest {
        let places = match &self.places {
            Some(places) => places.get(rows).unwrap_or_default().to_vec(),
            None => rows.filter_map(|row| u32::try_from(row).ok()).collect(),
        };
        Rest { columns: self.columns, source: Arc::clone(&self.source), places: Some(places) }
    }

    fn decode(&self, rows: &[u32]) -> Option<RecordBatch> {
        match &self.places {
            None => self.source.decode(rows),
            Some(places) => {
                let rows: Option<Vec<u32>> = rows.iter().map(|row| places.get(*row as usize).copied()).collect();
                self.source.decode(&rows?)
            }
        }
    }
}

/// Rows of the columns of NULLs that batches share.
const SHARED_NULLS: usize = 8_192;

/// For each type of column one without values.
static NULLS: LazyLock<[ArrayRef; 6]> = LazyLock::new(|| {
    use ColumnType::{Bool, Float, Int, Text, TextList, Timestamp};
    [Text, TextList, Timestamp, Int, Float, Bool].map(|ty| new_null_array(&ty.arrow(), SHARED_NULLS))
});

enum Values {
    Text(StringBuilder),
    List(ListBuilder<StringBuilder>),
    Time(TimestampMicrosecondBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
}

/// One column being filled. NULLs are owed until a value or the end comes, and then paid at once.
struct ColumnBuilder {
    values: Values,
    rows: usize,
}

impl ColumnBuilder {
    fn new(ty: ColumnType) -> Self {
        let values = match ty {
            // What is not filled takes no memory.
            ColumnType::Text => Values::Text(StringBuilder::with_capacity(0, 0)),
            ColumnType::TextList => Values::List(ListBuilder::with_capacity(StringBuilder::with_capacity(0, 0), 0)),
            ColumnType::Timestamp => Values::Time(TimestampMicrosecondBuilder::with_capacity(0)),
            ColumnType::Int => Values::Int(Int64Builder::with_capacity(0)),
            ColumnType::Float => Values::Float(Float64Builder::with_capacity(0)),
            ColumnType::Bool => Values::Bool(BooleanBuilder::with_capacity(0)),
        };
        ColumnBuilder { values, rows: 0 }
    }

    fn fits(&self, cell: &Cell<'_>) -> bool {
        matches!(
            (&self.values, cell),
            (_, Cell::Null)
                | (Values::Text(_), Cell::Text(_))
                | (Values::List(_), Cell::List(_))
                | (Values::Time(_), Cell::Time(_))
                | (Values::Int(_), Cell::Int(_))
                | (Values::Float(_), Cell::Float(_) | Cell::Int(_))
                | (Values::Bool(_), Cell::Bool(_))
        )
    }

    /// NULLs of the column's type, which all empty columns share.
    fn nulls(&self) -> &'static ArrayRef {
        let ty = match &self.values {
            Values::Text(_) => ColumnType::Text,
            Values::List(_) => ColumnType::TextList,
            Values::Time(_) => ColumnType::Timestamp,
            Values::Int(_) => ColumnType::Int,
            Values::Float(_) => ColumnType::Float,
            Values::Bool(_) => ColumnType::Bool,
        };
        &NULLS[ty as usize]
    }

    /// Appends NULLs until the column has this many rows.
    fn pad(&mut self, rows: usize) {
        let owed = rows.saturating_sub(self.rows);
        match &mut self.values {
            Values::Text(builder) => builder.append_nulls(owed),
            Values::List(builder) => builder.append_nulls(owed),
            Values::Time(builder) => builder.append_nulls(owed),
            Values::Int(builder) => builder.append_nulls(owed),
            Values::Float(builder) => builder.append_nulls(owed),
            Values::Bool(builder) => builder.append_nulls(owed),
        }
        self.rows = rows;
    }

    /// Sets the value of this row, which is beyond all that have one. A cell that does not fit is NULL.
    #[inline]
    fn set(&mut self, row: usize, cell: &Cell<'_>) {
        if matches!(cell, Cell::Null) {
            return;
        }
        if self.rows < row {
            self.pad(row);
        }
        match (&mut self.values, cell) {
            (Values::Text(builder), Cell::Text(text)) => builder.append_value(text),
            (Values::List(builder), Cell::List(texts)) => {
                for text in texts {
                    builder.values().append_value(text);
                }
                builder.append(true);
            }
            (Values::Time(builder), Cell::Time(time)) => builder.append_value(time.micros()),
            (Values::Int(builder), Cell::Int(value)) => builder.append_value(*value),
            (Values::Float(builder), Cell::Float(value)) => builder.append_value(*value),
            #[expect(clippy::cast_precision_loss, reason = "a score written as a whole number is small")]
            (Values::Float(builder), Cell::Int(value)) => builder.append_value(*value as f64),
            (Values::Bool(builder), Cell::Bool(value)) => builder.append_value(*value),
            _ => return,
        }
        self.rows = row + 1;
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        if self.rows == 0 && rows <= SHARED_NULLS {
            return self.nulls().slice(0, rows);
        }
        self.pad(rows);
        self.rows = 0;
        match &mut self.values {
            Values::Text(builder) => Arc::new(builder.finish()),
            Values::List(builder) => Arc::new(builder.finish()),
            Values::Time(builder) => Arc::new(builder.finish()),
            Values::Int(builder) => Arc::new(builder.finish()),
            Values::Float(builder) => Arc::new(builder.finish()),
            Values::Bool(builder) => Arc::new(builder.finish()),
        }
    }
}

/// Collects rows and rejects of one raw batch. Appending is all or nothing: a rejected row leaves no trace in the columns.
pub struct EventBatchBuilder {
    plane: Plane,
    columns: Vec<ColumnBuilder>,
    record_of_row: Vec<u32>,
    rejects: Vec<Reject>,
    record: usize,
    /// Bytes of text that the current record's rows may still take.
    allowance: usize,
    /// Memory of the last row, for the next one.
    spare: Vec<Cell<'static>>,
    left_out: bool,
}

impl EventBatchBuilder {
    /// An empty batch of the plane.
    pub fn new(plane: Plane) -> Self {
        EventBatchBuilder {
            plane,
            columns: plane.columns().iter().map(|column| ColumnBuilder::new(column.ty)).collect(),
            record_of_row: Vec::new(),
            rejects: Vec::new(),
            record: 0,
            allowance: usize::MAX,
            spare: Vec::new(),
            left_out: false,
        }
    }

    /// The plane of the batch.
    pub fn plane(&self) -> Plane {
        self.plane
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.record_of_row.len()
    }

    /// Rows and rejects so far: whether a record left any trace.
    pub fn outcomes(&self) -> usize {
        self.record_of_row.len() + self.rejects.len()
    }

    /// Whether there is no row yet.
    pub fn is_empty(&self) -> bool {
        self.record_of_row.is_empty()
    }

    /// States which record of the raw batch the following rows and rejects come from.
    pub fn start_record(&mut self, record: usize) {
        self.record = record;
        self.allowance = usize::MAX;
    }

    /// Bounds the bytes of text in the current record's rows, but for `attributes`: a record that is one long text and a
    /// long list would otherwise give their product. The row that goes beyond it is rejected, those after it are left out.
    pub fn allow(&mut self, bytes: usize) {
        self.allowance = bytes;
    }

    /// Appends a row of the current record, or rejects it with the reason why it is not a valid event:
    /// a required column is missing, a value has the wrong type, the time is beyond what SQL can compute with.
    pub fn append(&mut self, row: &Row<'_>, part: Option<usize>) {
        match self.fault_of(row) {
            Some(reason) => self.reject(part, reason),
            None if self.allowance == 0 => {}
            None if self.spend(row) => {
                self.reject(
                    part,
                    "repeats what its record says in too many events; this and its later ones are left out",
                );
            }
            None => {
                let at = self.record_of_row.len();
                for (column, cell) in row.values() {
                    self.columns[column].set(at, cell);
                }
                self.record_of_row.push(u32::try_from(self.record).unwrap_or(u32::MAX));
            }
        }
    }

    /// Takes the row's texts off the allowance; true once that is gone.
    fn spend(&mut self, row: &Row<'_>) -> bool {
        if self.allowance == usize::MAX {
            return false;
        }
        let attributes = self.columns.len() - 1;
        let size = |(column, cell): (usize, &Cell<'_>)| match cell {
            Cell::Text(text) if column != attributes => text.len(),
            Cell::List(texts) => texts.iter().map(|text| text.len()).sum(),
            _ => 0,
        };
        let bytes: usize = row.values().map(size).sum();
        self.allowance = self.allowance.saturating_sub(bytes);
        self.allowance == 0
    }

    /// An empty row, in the memory of one that was recycled.
    pub fn row<'a>(&mut self) -> Row<'a> {
        Row::reusing(self.plane, std::mem::take(&mut self.spare))
    }

    /// Takes a row back whose values are not needed any more.
    pub fn recycle(&mut self, row: Row<'_>) {
        self.spare = row.into_memory();
    }

    /// States that a row lacks columns which its record has a value for.
    pub fn left_out(&mut self) {
        self.left_out = true;
    }

    /// Whether a row lacks columns which its record has a value for.
    pub fn has_left_out(&self) -> bool {
        self.left_out
    }

    /// Rejects the current record or a part of it.
    pub fn reject(&mut self, part: Option<usize>, reason: impl Into<String>) {
        self.rejects.push(Reject { record: self.record, part, reason: reason.into() });
    }

    fn fault_of(&self, row: &Row<'_>) -> Option<String> {
        if row.plane() != self.plane {
            return Some(format!("an event of the {} plane in a stream of the {} plane", row.plane(), self.plane));
        }
        let columns = self.plane.columns();
        let missing = REQUIRED[self.plane.index()] & !row.present();
        if missing != 0 {
            return Some(format!("`{}` is missing", columns[missing.trailing_zeros() as usize].name));
        }
        if row.values().any(|(column, cell)| !self.columns[column].fits(cell))
            && let Some((misfit, _)) = row.cells().find(|(column, cell)| !self.columns[*column].fits(cell))
        {
            return Some(format!("`{}` is not a {}", columns[misfit].name, columns[misfit].ty.sql()));
        }
        match row.get(runtime::EVENT_TIME) {
            Cell::Time(time) if *time > Timestamp::LATEST_EVENT || *time < Timestamp::EARLIEST_EVENT => {
                Some(format!("`event_time` {} is outside the years 1678 to 2262", time.micros()))
            }
            _ => None,
        }
    }

    /// The batch, as whole rows; the builder is empty again.
    pub fn finish(&mut self) -> EventBatch {
        let height = self.record_of_row.len();
        let columns: Vec<ArrayRef> = self.columns.iter_mut().map(|column| column.finish(height)).collect();
        let rows = RecordBatch::try_new(self.plane.schema(), columns)
            .expect("every column was appended to once per row, in its own type");
        self.left_out = false;
        EventBatch {
            plane: self.plane,
            rows,
            record_of_row: std::mem::take(&mut self.record_of_row),
            rejects: std::mem::take(&mut self.rejects),
            rest: None,
            read_from: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> Row<'_> {
        let mut row = Row::new(Plane::Model);
        for column in [runtime::EVENT_ID, runtime::TENANT, runtime::SOURCE, runtime::KIND] {
            row.text(column, "x");
        }
        row.set(runtime::EVENT_TIME, Cell::Time(Timestamp::from_secs(0)));
        row.text(runtime::CONTENT, text);
        row
    }

    #[test]
    fn a_record_repeats_its_texts_only_so_far() {
        let mut out = EventBatchBuilder::new(Plane::Model);
        let text = "y".repeat(96);
        for record in 0..2 {
            out.start_record(record);
            out.allow(250);
            (0..5).for_each(|part| out.append(&event(&text), Some(part)));
        }
        out.start_record(2);
        (0..5).for_each(|part| out.append(&event(&text), Some(part)));
        let batch = out.finish();
        // A hundred bytes a row: the third is the first too much. A record of unbounded texts has all its rows.
        assert_eq!(batch.record_of_row, [0, 0, 1, 1, 2, 2, 2, 2, 2]);
        let rejects: Vec<_> = batch.rejects.iter().map(|reject| (reject.record, reject.part)).collect();
        assert_eq!(rejects, [(0, Some(2)), (1, Some(2))]);
    }
}
