//! One shared condition, evaluated on whole columns or on the few rows that are left.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, UInt32Array};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::{take, take_record_batch};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use watershed_rules::Conjunct;
use watershed_schemas::{ColumnType, Plane};

use super::truth::Truth;

/// Where fewer than one row in this many is left, the condition is evaluated on those alone.
const SPARSE: usize = 8;

/// A condition over just the columns that it reads.
pub(super) struct BatchConjunct {
    expr: Arc<dyn PhysicalExpr>,
    pub(super) columns: Vec<usize>,
}

impl BatchConjunct {
    pub(super) fn new(conjunct: &Conjunct, plane: Plane) -> Self {
        let mut columns: Vec<usize> = collect_columns(&conjunct.expr).iter().map(|column| column.index()).collect();
        columns.sort_unstable();
        let full = plane.schema();
        let narrow: SchemaRef = Arc::new(full.project(&columns).unwrap_or_else(|_| Schema::empty()));
        match reassign_expr_columns(Arc::clone(&conjunct.expr), &narrow) {
            Ok(expr) => BatchConjunct { expr, columns },
            Err(_) => BatchConjunct { expr: Arc::clone(&conjunct.expr), columns: (0..full.fields().len()).collect() },
        }
    }

    /// The condition over the columns that it reads.
    pub(super) fn expr(&self) -> &dyn PhysicalExpr {
        self.expr.as_ref()
    }

    /// The only column that it reads, where that is one of text.
    pub(super) fn text_column(&self, plane: Plane) -> Option<usize> {
        match self.columns.as_slice() {
            [column] if plane.columns()[*column].ty == ColumnType::Text => Some(*column),
            _ => None,
        }
    }

    /// The rows of `mask` (all where absent, `left` of them) that meet the condition.
    pub(super) fn narrow(
        &self,
        rows: &RecordBatch,
        mask: Option<&BooleanBuffer>,
        left: usize,
        known: &mut Truth,
    ) -> BooleanBuffer {
        if let (Truth::Unknown, Some(mask)) = (&*known, mask)
            && left * SPARSE < rows.num_rows()
        {
            return self.narrow_sparse(rows, mask);
        }
        if let Truth::Unknown = known {
            *known = Truth::At(true_bits(&self.truth(rows)));
        }
        match (known, mask) {
            (Truth::At(truth), Some(mask)) => mask & &*truth,
            (Truth::At(truth), None) => truth.clone(),
            (Truth::Never | Truth::Unknown, _) => BooleanBuffer::new_unset(rows.num_rows()),
        }
    }

    /// Where the condition on one column holds among these values. It holds where it fails, as everywhere.
    pub(super) fn of_values(&self, values: ArrayRef) -> BooleanBuffer {
        let schema = Arc::new(Schema::new(vec![Field::new("value", values.data_type().clone(), true)]));
        let evaluate = |values: ArrayRef| {
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![values]).ok()?;
            let truth = self.expr.evaluate(&batch).ok()?.into_array(batch.num_rows()).ok()?;
            truth.as_boolean_opt().map(true_bits)
        };
        evaluate(Arc::clone(&values)).unwrap_or_else(|| {
            let one = |value: usize| evaluate(values.slice(value, 1)).is_none_or(|truth| truth.value(0));
            (0..values.len()).map(one).collect()
        })
    }

    /// Those of these rows of its only column that meet the condition.
    pub(super) fn of_texts(&self, texts: &StringArray, rows: &[u32]) -> Vec<u32> {
        match take(texts, &UInt32Array::from(rows.to_vec()), None) {
            Ok(values) => self.of_values(values).set_indices().map(|at| rows[at]).collect(),
            Err(_) => rows.to_vec(),
        }
    }

    fn narrow_sparse(&self, rows: &RecordBatch, mask: &BooleanBuffer) -> BooleanBuffer {
        let positions: Vec<u32> = mask.set_indices().filter_map(|position| u32::try_from(position).ok()).collect();
        let few = rows
            .project(&self.columns)
            .and_then(|narrow| take_record_batch(&narrow, &UInt32Array::from(positions.clone())));
        let Ok(few) = few else { return mask.clone() };
        let truth = self.truth_of(&few);
        let mut next = vec![false; rows.num_rows()];
        for (position, holds) in positions.iter().zip(true_bits(&truth).iter()) {
            next[*position as usize] = holds;
        }
        BooleanBuffer::from(next)
    }

    fn truth(&self, rows: &RecordBatch) -> BooleanArray {
        match rows.project(&self.columns) {
            Ok(narrow) => self.truth_of(&narrow),
            Err(_) => BooleanArray::from(vec![true; rows.num_rows()]),
        }
    }

    fn truth_of(&self, narrow: &RecordBatch) -> BooleanArray {
        self.expr
            .evaluate(narrow)
            .and_then(|value| value.into_array(narrow.num_rows()))
            .ok()
            .and_then(|array| array.as_boolean_opt().cloned())
            .unwrap_or_else(|| BooleanArray::from(vec![true; narrow.num_rows()]))
    }
}

/// NULL is not true.
fn true_bits(truth: &BooleanArray) -> BooleanBuffer {
    match truth.nulls() {
        Some(nulls) => truth.values() & nulls.inner(),
        None => truth.values().clone(),
    }
}
