//! Events of one plane as Arrow columns.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{Schema, SchemaRef};

use crate::column::ColumnType;
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
    /// The rows, in the plane's schema.
    pub rows: RecordBatch,
    /// For each row the record of the raw batch that it came from; never decreases.
    pub record_of_row: Vec<u32>,
    /// What could not be decoded.
    pub rejects: Vec<Reject>,
}

enum ColumnBuilder {
    Text(StringBuilder),
    List(ListBuilder<StringBuilder>),
    Time(TimestampMicrosecondBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
}

impl ColumnBuilder {
    fn new(ty: ColumnType) -> Self {
        match ty {
            ColumnType::Text => ColumnBuilder::Text(StringBuilder::new()),
            ColumnType::TextList => ColumnBuilder::List(ListBuilder::new(StringBuilder::new())),
            ColumnType::Timestamp => ColumnBuilder::Time(TimestampMicrosecondBuilder::new()),
            ColumnType::Int => ColumnBuilder::Int(Int64Builder::new()),
            ColumnType::Float => ColumnBuilder::Float(Float64Builder::new()),
            ColumnType::Bool => ColumnBuilder::Bool(BooleanBuilder::new()),
        }
    }

    fn fits(&self, cell: &Cell<'_>) -> bool {
        matches!(
            (self, cell),
            (_, Cell::Null)
                | (ColumnBuilder::Text(_), Cell::Text(_))
                | (ColumnBuilder::List(_), Cell::List(_))
                | (ColumnBuilder::Time(_), Cell::Time(_))
                | (ColumnBuilder::Int(_), Cell::Int(_))
                | (ColumnBuilder::Float(_), Cell::Float(_) | Cell::Int(_))
                | (ColumnBuilder::Bool(_), Cell::Bool(_))
        )
    }

    fn append(&mut self, cell: &Cell<'_>) {
        match (self, cell) {
            (ColumnBuilder::Text(builder), Cell::Text(text)) => builder.append_value(text),
            (ColumnBuilder::Text(builder), _) => builder.append_null(),
            (ColumnBuilder::List(builder), Cell::List(texts)) => {
                for text in texts {
                    builder.values().append_value(text);
                }
                builder.append(true);
            }
            (ColumnBuilder::List(builder), _) => builder.append(false),
            (ColumnBuilder::Time(builder), Cell::Time(time)) => builder.append_value(time.micros()),
            (ColumnBuilder::Time(builder), _) => builder.append_null(),
            (ColumnBuilder::Int(builder), Cell::Int(value)) => builder.append_value(*value),
            (ColumnBuilder::Int(builder), _) => builder.append_null(),
            (ColumnBuilder::Float(builder), Cell::Float(value)) => builder.append_value(*value),
            #[expect(clippy::cast_precision_loss, reason = "a score written as a whole number is small")]
            (ColumnBuilder::Float(builder), Cell::Int(value)) => builder.append_value(*value as f64),
            (ColumnBuilder::Float(builder), _) => builder.append_null(),
            (ColumnBuilder::Bool(builder), Cell::Bool(value)) => builder.append_value(*value),
            (ColumnBuilder::Bool(builder), _) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            ColumnBuilder::Text(builder) => Arc::new(builder.finish()),
            ColumnBuilder::List(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Time(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Float(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Bool(builder) => Arc::new(builder.finish()),
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
    }

    /// Appends a row of the current record, or rejects it with the reason why it is not a valid event:
    /// a required column is missing, a value has the wrong type, the time is beyond what SQL can compute with.
    pub fn append(&mut self, row: &Row<'_>, part: Option<usize>) {
        match self.fault_of(row) {
            Some(reason) => self.reject(part, reason),
            None => {
                for (builder, cell) in self.columns.iter_mut().zip(row.cells()) {
                    builder.append(cell);
                }
                self.record_of_row.push(u32::try_from(self.record).unwrap_or(u32::MAX));
            }
        }
    }

    /// Rejects the current record or a part of it.
    pub fn reject(&mut self, part: Option<usize>, reason: impl Into<String>) {
        self.rejects.push(Reject { record: self.record, part, reason: reason.into() });
    }

    fn fault_of(&self, row: &Row<'_>) -> Option<String> {
        if row.plane() != self.plane {
            return Some(format!("an event of the {} plane in a stream of the {} plane", row.plane(), self.plane));
        }
        for ((column, builder), cell) in self.plane.columns().iter().zip(&self.columns).zip(row.cells()) {
            if column.required && *cell == Cell::Null {
                return Some(format!("`{}` is missing", column.name));
            }
            if !builder.fits(cell) {
                return Some(format!("`{}` is not a {}", column.name, column.ty.sql()));
            }
        }
        match row.get(runtime::EVENT_TIME) {
            Cell::Time(time) if *time > Timestamp::LATEST_EVENT || *time < Timestamp::EARLIEST_EVENT => {
                Some(format!("`event_time` {} is outside the years 1678 to 2262", time.micros()))
            }
            _ => None,
        }
    }

    /// The batch; the builder is empty again.
    pub fn finish(&mut self) -> EventBatch {
        let columns: Vec<ArrayRef> = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        let rows = RecordBatch::try_new(self.plane.schema(), columns)
            .expect("every column was appended to once per row, in its own type");
        EventBatch {
            plane: self.plane,
            rows,
            record_of_row: std::mem::take(&mut self.record_of_row),
            rejects: std::mem::take(&mut self.rejects),
        }
    }
}
