//! A rule's partition key: rows of different keys never influence each other.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::row::{RowConverter, SortField};
use watershed_rules::Scan;

/// The encoded values of a key. Equal for equal values, whichever scan they come from.
pub(super) type Key = Arc<[u8]>;

/// Encodes the key columns of one scan. NULL is a value of its own.
pub(super) struct KeyEncoder {
    columns: Vec<usize>,
    converter: RowConverter,
}

impl KeyEncoder {
    pub(super) fn new(scan: &Scan) -> Result<Self, ArrowError> {
        let schema = scan.table.schema();
        let fields = scan.key.iter().map(|column| SortField::new(schema.field(*column).data_type().clone())).collect();
        Ok(KeyEncoder { columns: scan.key.clone(), converter: RowConverter::new(fields)? })
    }

    /// The keys of these rows, in their order, of a batch in the table's full schema.
    pub(super) fn keys(&self, batch: &RecordBatch, rows: &[u32]) -> Result<Vec<Key>, ArrowError> {
        if self.columns.is_empty() {
            let global: Key = Arc::from([]);
            return Ok(vec![global; rows.len()]);
        }
        // A segment holds the rows of all rules; most scans use few of them.
        let all = rows.len() == batch.num_rows();
        let positions = UInt32Array::from_iter_values(rows.iter().copied());
        let column = |column: &usize| {
            let column = batch.column(*column);
            if all { Ok(Arc::clone(column)) } else { take(column, &positions, None) }
        };
        let columns: Vec<ArrayRef> = self.columns.iter().map(column).collect::<Result<_, _>>()?;
        let encoded = self.converter.convert_columns(&columns)?;
        Ok(encoded.iter().map(|row| Key::from(row.as_ref())).collect())
    }
}
