//! The plan as written, before any rewriting, held against the lists.

use datafusion::logical_expr::LogicalPlan;

use crate::lint::LintFinding;
use crate::text::SqlText;

pub(crate) fn plan(_text: &SqlText, _plan: &LogicalPlan) -> Result<(), Vec<LintFinding>> {
    Ok(())
}
