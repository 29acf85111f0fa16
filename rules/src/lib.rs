//! Rules: SQL with a front matter, compiled into what the engine needs to run them over streams.
//!
//! A rule means its result over the whole history ([`batch`]). [`compile`] proves from the plan what a stream must
//! remember, by which key, and when it may speak; what it can't prove it refuses, with the place in the SQL and the way out.
//!
//! * [`RuleSource`]: a rule file as read. [`LintFinding`]: what is wrong with it, and [`render`] to show it.
//! * [`CompiledRule`]: the narrow seam to the engine.
//! * [`ReferenceTables`]: what rules may join besides the two streams.
//! * [`explain`](mod@explain): a rule in parts, for its author.
//! * [`catalog`]: the rules that come with Watershed. [`test_runner`]: what `.test.yaml` files mean.
//!
//! It is not: I/O over streams, state, incidents. It reads rule files and nothing else.

mod analyse;
mod batch;
pub mod catalog;
mod compile;
mod compiled;
mod evaluate;
pub mod explain;
mod finding;
mod front_matter;
mod functions;
mod lint;
pub mod reference;
mod sandbox;
mod session;
mod signals;
mod slot;
mod state;
mod strata;
pub mod test_runner;
mod text;
pub mod timeline;
mod version;
mod views;

pub use batch::{batch, batch_over};
pub use compile::{compile, compile_beside, plannings, signals_read};
pub use compiled::{Asked, CompiledRule, Conjunct, EvaluateError, Lookup, Scan, Speaks, Upstream};
pub use evaluate::{Apart, Owner};
pub use finding::Finding;
pub use front_matter::{Emit, FirstMove, Parameter, RuleMeta, RuleSource};
pub use lint::{Code, Example, Level, LintFinding, RuleReport, Sample, page as lint_page, render, report};
pub use reference::{Alias, Aliases, ReferenceTables};
pub use signals::rows as signal_rows;
pub use state::{state_over, state_sql};
pub use strata::{Beside, Missing, Outcome, Strata, compile_set, in_strata, strata};
pub use views::view;
