//! The statement as parsed.

use datafusion::common::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement};

use crate::lint::{Code, LintFinding};
use crate::text::SqlText;

/// Parses the file's one statement.
pub(crate) fn statement(text: &SqlText) -> Result<Statement, Vec<LintFinding>> {
    let parsed = DFParserBuilder::new(text.sql.as_str()).build().and_then(|mut parser| parser.parse_statements());
    let mut statements = parsed.map_err(|error| vec![planning_error(text, &error)])?;
    match (statements.pop_front(), statements.len()) {
        (Some(statement), 0) => Ok(statement),
        (None, _) => Err(vec![text.finding(Code::NotOneSelect, text.start(), "the file holds no query", "write one SELECT after the front matter")]),
        (Some(_), more) => {
            let message = format!("the file holds {} statements", more + 1);
            Err(vec![text.finding(Code::NotOneSelect, text.start(), message, "write one SELECT; put further ones into files of their own")])
        }
    }
}

/// What the planner refused, with the place that it names.
pub(crate) fn planning_error(text: &SqlText, error: &DataFusionError) -> LintFinding {
    text.finding(Code::Planning, text.start(), error.strip_backtrace(), "")
}
