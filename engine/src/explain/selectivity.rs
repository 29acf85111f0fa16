//! How many rows the filters of a scan leave, and what they cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{RecordBatch, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::error::ArrowError;
use watershed_rules::explain::{Condition, Input};

/// How many rows a scan's filters leave.
#[derive(Clone, Debug, Default)]
pub struct Selectivity {
    /// Rows of the plane.
    pub seen: u64,
    /// Rows left after each filter, in their order.
    pub left: Vec<u64>,
    /// How long each filter took, on the rows that the ones before it had left.
    pub took: Vec<Duration>,
}

impl Selectivity {
    /// Of a scan with so many filters, before any row.
    pub fn of(filters: usize) -> Self {
        Selectivity { seen: 0, left: vec![0; filters], took: vec![Duration::ZERO; filters] }
    }

    /// Rows that meet all filters.
    pub fn matched(&self) -> u64 {
        self.left.last().copied().unwrap_or(self.seen)
    }
}

/// The rows of a batch that meet all the filters. A filter that fails on a value lets its rows pass, as in production.
pub(crate) fn select(filters: &[Condition], rows: &RecordBatch, selectivity: &mut Selectivity) -> Vec<u32> {
    let all = u32::try_from(rows.num_rows()).unwrap_or(u32::MAX);
    let mut left: Vec<u32> = (0..all).collect();
    selectivity.seen += u64::from(all);
    for (at, filter) in filters.iter().enumerate() {
        let started = Instant::now();
        let positions = UInt32Array::from(left.clone());
        let whole = left.len() == rows.num_rows();
        let column = |input: &Input| match input {
            Input::Column(_, column) if whole => Ok(Arc::clone(rows.column(*column))),
            Input::Column(_, column) => take(rows.column(*column), &positions, None),
            Input::Computed(_) => Err(ArrowError::ComputeError("a filter reads columns only".to_owned())),
        };
        let columns: Result<Vec<_>, _> = filter.inputs.iter().map(column).collect();
        if let Some(tried) = columns.ok().and_then(|columns| filter.on(columns, left.len()).ok()) {
            left = left
                .into_iter()
                .zip(tried.holds.iter())
                .filter(|(_, holds)| *holds == Some(true))
                .map(|(row, _)| row)
                .collect();
        }
        selectivity.took[at] += started.elapsed();
        selectivity.left[at] += left.len() as u64;
    }
    left
}
