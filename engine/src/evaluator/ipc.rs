//! A segment as bytes: in the store, and on a shelf.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use watershed_schemas::{ColumnSet, Plane};

use super::rows::{Owner, Segment};

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
    let metadata: HashMap<String, String> = [(KEPT.to_owned(), kept + &owner)].into();
    let schema = rows.schema().as_ref().clone().with_metadata(metadata);
    let rows = rows.clone().with_schema(Arc::new(schema))?;
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
    let columns = columns.filter(|column| *column < rows.num_columns()).collect();
    let rows = RecordBatch::try_new(plane.schema(), rows.columns().to_vec())?;
    Ok(Decoded { plane, rows, columns, owner })
}
