//! One shared condition, evaluated on whole columns or on the few rows that are left.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch, UInt32Array};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use watershed_rules::Conjunct;
use watershed_schemas::Plane;

/// Where fewer than one row in this many is left, the condition is evaluated on those alone.
const SPARSE: usize = 8;

/// A condition over just the columns that it reads.
pub(super) struct BatchConjunct {
    expr: Arc<dyn PhysicalExpr>,
    columns: Vec<usize>,
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

    /// The rows of `mask` (all where absent, `left` of them) that meet the condition.
    pub(super) fn narrow(
        &self,
        rows: &RecordBatch,
        mask: Option<&BooleanBuffer>,
        left: usize,
        known: &mut Option<BooleanArray>,
    ) -> BooleanBuffer {
        if let (None, Some(mask)) = (known.as_ref(), mask)
            && left * SPARSE < rows.num_rows()
        {
            return self.narrow_sparse(rows, mask);
        }
        let truth = known.get_or_insert_with(|| self.truth(rows));
        let truth = true_bits(truth);
        match mask {
            Some(mask) => mask & &truth,
            None => truth,
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
