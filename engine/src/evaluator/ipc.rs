//! A segment as bytes: in the store, and on a shelf.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use watershed_schemas::{ColumnSet, Plane, ReadFrom};

use super::rows::{Owner, Segment};

/// Name under which the schema of a stored segment says where its rows were read: partition, a space, topic. Their offsets are one
/// more column.
const READ_FROM: &str = "read_from";
/// Name of that column.
const OFFSETS: &str = "offset";

/// Name under which the schema of a stored segment lists the columns that were kept; after them, between tabs, the rule
/// and the version for which alone it is.
const KEPT: &str = "kept";

/// One byte for the plane, then an Arrow IPC stream.
///
/// # Errors
/// When Arrow can't write the rows.
pub fn encode(segment: &Segment, rows: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut bytes = vec![u8::try_from(segment.table.index()).unwrap_or(0)];
    let kept = (0..rows.num_columns()).filter(|column| segment.columns.contains(*column));
    let kept = kept.map(|column| column.to_string()).collect::<Vec<_>>().join(" ");
    let owner = segment.owner.as_ref().map(|owner| format!("\t{}\t{}", owner.rule, owner.version)).unwrap_or_default();
    let mut metadata: HashMap<String, String> = [(KEPT.to_owned(), kept + &owner)].into();
    let mut fields: Vec<FieldRef> = rows.schema().fields().iter().cloned().collect();
    let mut columns = rows.columns().to_vec();
    if let Some(from) = segment.origin() {
        metadata.insert(READ_FROM.to_owned(), format!("{} {}", from.partition, from.topic));
        fields.push(Arc::new(Field::new(OFFSETS, DataType::Int64, false)));
        columns.push(Arc::new(Int64Array::from(from.offsets.to_vec())));
    }
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields).with_metadata(metadata)), columns)?;
    let mut writer = StreamWriter::try_new(&mut bytes, &rows.schema())?;
    writer.write(&rows)?;
    writer.finish()?;
    drop(writer);
    Ok(bytes)
}

/// A segment as it was stored.
pub struct Decoded {
    /// Whose rows they are.
    pub plane: Plane,
    /// The rows.
    pub rows: RecordBatch,
    /// The columns that were kept.
    pub columns: ColumnSet,
    /// The one rule that they are for.
    pub owner: Option<Owner>,
    /// Where they were read.
    pub read_from: Option<ReadFrom>,
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// When it is damaged.
pub fn decode(value: &[u8]) -> Result<Decoded, ArrowError> {
    let damaged = || ArrowError::IpcError("a stored segment is incomplete".to_owned());
    let (plane, stream) = value.split_first().ok_or_else(damaged)?;
    let plane = *Plane::ALL.get(usize::from(*plane)).ok_or_else(damaged)?;
    let rows = StreamReader::try_new(Cursor::new(stream), None)?.next().ok_or_else(damaged)??;
    let metadata = rows.schema_ref().metadata();
    let mut kept = metadata.get(KEPT).ok_or_else(damaged)?.split('\t');
    let (columns, owner) = (kept.next().unwrap_or_default(), (kept.next(), kept.next()));
    let owner = match owner {
        (Some(rule), Some(version)) => Some(Owner { rule: rule.to_owned(), version: version.to_owned() }),
        _ => None,
    };
    let columns = columns.split_ascii_whitespace().filter_map(|column| column.parse::<usize>().ok());
    let columns = columns.filter(|column| *column < plane.columns().len()).collect();
    let read_from = read_from(&rows, plane);
    let own = rows.columns().get(..plane.columns().len()).ok_or_else(damaged)?;
    let rows = RecordBatch::try_new(plane.schema(), own.to_vec())?;
    Ok(Decoded { plane, rows, columns, owner, read_from })
}

/// Where stored rows were read, where they say so.
fn read_from(rows: &RecordBatch, plane: Plane) -> Option<ReadFrom> {
    let (partition, topic) = rows.schema_ref().metadata().get(READ_FROM)?.split_once(' ')?;
    let offsets = rows.columns().get(plane.columns().len())?.as_primitive_opt::<Int64Type>()?;
    Some(ReadFrom { topic: topic.into(), partition: partition.parse().ok()?, offsets: offsets.values()[..].into() })
}
