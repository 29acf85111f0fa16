//! Running a rule's cached plan over a few rows.

mod failure;
mod json;
mod reduce;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use futures::TryStreamExt;
use tokio::runtime::Runtime;

pub(crate) use failure::{panic_text, printable};
pub use reduce::{Apart, Owner};
pub(crate) use reduce::{OwnerColumns, Reduction};

use crate::slot::Slot;

/// A physical plan that was made once and is executed many times, each time over the rows in its slots.
pub(crate) struct CachedPlan {
    /// Never executed itself: each execution runs a copy with fresh operator state.
    template: Arc<dyn ExecutionPlan>,
    slots: Vec<Slot>,
    context: Arc<TaskContext>,
    /// Operators may spawn tasks; they run on this thread.
    runtime: Runtime,
}

impl CachedPlan {
    pub(crate) fn new(
        template: Arc<dyn ExecutionPlan>,
        slots: Vec<Slot>,
        context: Arc<TaskContext>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        Ok(CachedPlan { template, slots, context, runtime })
    }

    /// The columns of the result.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.template.schema()
    }

    /// Runs the plan over these rows, one batch per scan.
    pub(crate) fn run(&self, rows: &[RecordBatch]) -> Result<Vec<RecordBatch>, String> {
        if rows.len() != self.slots.len() {
            return Err(format!("{} batches for {} scans", rows.len(), self.slots.len()));
        }
        for (at, (slot, rows)) in self.slots.iter().zip(rows).enumerate() {
            let same = slot.schema().fields().len() == rows.num_columns()
                && slot
                    .schema()
                    .fields()
                    .iter()
                    .zip(rows.schema_ref().fields())
                    .all(|(a, b)| a.data_type() == b.data_type());
            if !same {
                self.clear();
                return Err(format!("the batch of scan {at} has other columns than its projection"));
            }
            // The batch may carry other nullability or metadata; its columns are what counts.
            let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
            let rows = RecordBatch::try_new_with_options(Arc::clone(slot.schema()), rows.columns().to_vec(), &options)
                .map_err(|error| error.to_string());
            match rows {
                Ok(rows) => slot.set(Some(rows)),
                Err(error) => {
                    self.clear();
                    return Err(error);
                }
            }
        }
        let result = catch_unwind(AssertUnwindSafe(|| on_plain_thread(|| self.execute())));
        self.clear();
        match result {
            Ok(batches) => batches.map_err(|error| failure::reason(&error)),
            Err(panic) => Err(format!("panicked: {}", panic_text(panic.as_ref()))),
        }
    }

    fn execute(&self) -> datafusion::common::Result<Vec<RecordBatch>> {
        let plan = reset_plan_states(Arc::clone(&self.template))?;
        let mut batches = Vec::new();
        for partition in 0..plan.properties().partitioning.partition_count() {
            let part: Vec<RecordBatch> = self
                .runtime
                .block_on(async { plan.execute(partition, Arc::clone(&self.context))?.try_collect().await })?;
            batches.extend(part);
        }
        Ok(batches)
    }

    fn clear(&self) {
        for slot in &self.slots {
            slot.set(None);
        }
    }
}

impl std::fmt::Display for CachedPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", displayable(self.template.as_ref()).indent(false))
    }
}

/// A runtime can't be driven from a thread that drives another: then on a thread of its own.
pub(crate) fn on_plain_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if tokio::runtime::Handle::try_current().is_err() {
        return work();
    }
    match std::thread::scope(|scope| scope.spawn(work).join()) {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
