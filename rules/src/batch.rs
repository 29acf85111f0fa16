//! What a rule means: its SQL over the whole history, by plain DataFusion.

use std::panic::{AssertUnwindSafe, catch_unwind};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::physical_plan::{collect, displayable};

use crate::compiled::{CompiledRule, EvaluateError};
use crate::evaluate::{on_plain_thread, panic_text};
use crate::finding::Finding;
use crate::session;

/// The rule's findings over these rows of `runtime` and `identity`, in their canonical schemas. None of the rule's
/// analysis takes part in it, nor its cached plan: it is the truth that streams are held against.
///
/// # Errors
/// When an expression fails on these rows, or the history is larger than memory allows.
pub fn batch(rule: &CompiledRule, runtime: RecordBatch, identity: RecordBatch) -> Result<Vec<Finding>, EvaluateError> {
    let result = catch_unwind(AssertUnwindSafe(|| on_plain_thread(|| run(rule, [runtime, identity]))));
    let (schema, rows) = match result {
        Ok(result) => result.map_err(|error| rule.failed(error.strip_backtrace()))?,
        Err(panic) => return Err(rule.failed(format!("panicked: {}", panic_text(panic.as_ref())))),
    };
    rule.reduction.reduce(&schema, &rows).map_err(|reason| rule.failed(reason))
}

fn run(rule: &CompiledRule, history: [RecordBatch; 2]) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let context = session::over_history(&rule.reference, history)?;
        let plan = context.sql(&rule.sql).await?.create_physical_plan().await?;
        tracing::trace!(rule = rule.meta.id, plan = %displayable(plan.as_ref()).indent(false), "batch");
        let schema = plan.schema();
        Ok((schema, collect(plan, context.task_ctx()).await?))
    })
}
