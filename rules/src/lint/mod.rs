//! What is wrong with a rule, where, and what to write instead.

mod code;
mod examples;
mod page;
mod render;
mod report;

use std::ops::Range;

pub use code::Code;
pub use examples::{Example, Sample};
pub use page::page;
pub use render::render;
pub use report::{RuleReport, report};

/// Whether a finding refuses the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The rule doesn't compile.
    Error,
    /// The rule compiles, but its author should look.
    Warning,
}

/// One finding about one rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LintFinding {
    /// Stable code.
    pub code: Code,
    /// Whether it refuses the rule.
    pub level: Level,
    /// Line in the file, from 1.
    pub line: usize,
    /// Column in the line, in characters from 1.
    pub column: usize,
    /// The bytes of the file that it is about.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl LintFinding {
    /// A finding about these bytes of this file.
    pub(crate) fn new(
        code: Code,
        text: &str,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        let start = floor_boundary(text, span.start);
        let end = floor_boundary(text, span.end.max(start));
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        LintFinding {
            code,
            level: code.level(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            span: start..end,
            message: message.into(),
            help: help.into(),
        }
    }
}

impl std::fmt::Display for LintFinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}: {}", self.line, self.column, self.code, self.message)?;
        if !self.help.is_empty() {
            write!(f, "; {}", self.help)?;
        }
        Ok(())
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
