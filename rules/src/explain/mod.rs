//! What a rule's author sees of the compiler's work: the rule in parts, each of which can be tried on concrete rows.
//!
//! * [`explain`]: compiles a rule and takes its plan apart.
//! * [`Part`]: scans, joins, absences, groups. [`Condition`]: what rows must meet, alone or together.
//! * [`Chain`]: why rows are kept as long as they are.

mod condition;
mod part;
mod walk;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use watershed_schemas::Table;

pub use condition::{Aggregate, Condition, Input, Tried, Value};
pub use part::{Needs, Part};
pub use window::Windows;

pub use crate::analyse::{Chain, ScanReach, Step, duration};

use crate::analyse::{self, words};
use crate::compile::compile_with;
use crate::compiled::{CompiledRule, Scan};
use crate::front_matter::RuleSource;
use crate::lint::LintFinding;
use crate::reference::ReferenceTables;
use crate::strata::Beside;

/// A compiled rule and its parts.
#[derive(Debug)]
pub struct Explained {
    /// The rule.
    pub rule: Arc<CompiledRule>,
    /// Its parts.
    pub anatomy: Anatomy,
}

/// A rule in parts.
#[derive(Debug)]
pub struct Anatomy {
    /// What to call each scan: its alias, with a number where two scans share it.
    pub labels: Vec<String>,
    /// The filters of each scan, in the order of [`Scan::filters`].
    pub filters: Vec<Vec<Condition>>,
    /// The plan.
    pub root: Part,
    /// Values that the rule computes from several rows.
    pub computed: Vec<Computed>,
    /// For each scan why its rows are kept as long as they are.
    pub reaches: Vec<ScanReach>,
    /// The optimised logical plan, indented.
    pub logical_plan: String,
    /// The physical plan that is run, indented.
    pub physical_plan: String,
}

/// A value that a rule computes from several rows.
#[derive(Clone, Debug)]
pub enum Computed {
    /// By an aggregate.
    Aggregate(Aggregate),
    /// Whether there is a partner, what a window function says of a row, or an element of a list.
    OfRow {
        /// As SQL.
        text: String,
    },
}

impl Computed {
    /// As SQL.
    pub fn text(&self) -> &str {
        match self {
            Computed::Aggregate(value) => &value.text,
            Computed::OfRow { text } => text,
        }
    }
}

/// Compiles a rule and takes its plan apart.
///
/// # Errors
/// As [`crate::compile`].
pub fn explain(source: &RuleSource, reference: &ReferenceTables) -> Result<Explained, Vec<LintFinding>> {
    explain_beside(source, reference, &Beside::default())
}

/// As [`explain`], beside the rules whose signals it may read.
///
/// # Errors
/// As [`crate::compile`].
pub fn explain_beside(
    source: &RuleSource,
    reference: &ReferenceTables,
    beside: &Beside,
) -> Result<Explained, Vec<LintFinding>> {
    compile_with(source, reference, beside, |rule, plan, state| {
        let anatomy = anatomy(&rule, plan, state);
        Explained { rule: Arc::new(rule), anatomy }
    })
}

fn anatomy(rule: &CompiledRule, plan: &LogicalPlan, state: &SessionState) -> Anatomy {
    let labels = labels(&rule.scans);
    let tables: Vec<Table> = rule.scans.iter().map(|scan| scan.table).collect();
    let texts = analyse::filter_texts(plan);
    let filters: Vec<Vec<Condition>> = rule
        .scans
        .iter()
        .enumerate()
        .map(|(at, scan)| {
            let label = &labels[at];
            let condition = |conjunct: &crate::compiled::Conjunct| {
                let expr = texts.get(&(at, conjunct.text.to_string()));
                let text = expr.map_or_else(
                    || conjunct.text.to_string(),
                    |expr| words(expr, &|column| format!("{label}.{}", column.name)),
                );
                Condition::of_scan(text, at, scan.table, Arc::clone(&conjunct.expr))
            };
            scan.filters.iter().map(condition).collect()
        })
        .collect();
    let mut walk = walk::Walk {
        state,
        tables: &tables,
        labels: &labels,
        filters: &filters,
        computed: Vec::new(),
        types: Vec::new(),
    };
    let root = walk.part(plan);
    let computed = walk.computed;
    let reaches = analyse::reaches(plan, &rule.reduction, &labels);
    Anatomy {
        reaches,
        logical_plan: plan.display_indent().to_string(),
        physical_plan: rule.physical_plan(),
        labels,
        filters,
        root,
        computed,
    }
}

/// What the author calls each scan.
fn labels(scans: &[Scan]) -> Vec<String> {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for scan in scans {
        *count.entry(&scan.alias).or_default() += 1;
    }
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    scans
        .iter()
        .map(|scan| {
            let number = seen.entry(&scan.alias).or_default();
            *number += 1;
            if count[scan.alias.as_str()] == 1 { scan.alias.clone() } else { format!("{}#{number}", scan.alias) }
        })
        .collect()
}

#[cfg(test)]
mod tests;
