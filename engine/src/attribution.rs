//! How far the tool calls of a recording can be tied to what authorised them.
//!
//! It is a rule like any other, over the view `tool_calls`, that makes no incident: its rows are counted instead of written.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use watershed_rules::{LintFinding, ReferenceTables, RuleSource, compile};
use watershed_schemas::Signal;

use crate::evaluator::RuleSetup;

const TEXT: &str = include_str!("attribution.sql");
const RULE: &str = "attribution-of-tool-calls";
/// In the order of the view: what is known best comes first.
const LEVELS: [&str; 3] = ["full", "partial", "none"];

/// The rule, which says what it finds and counts for nothing.
///
/// # Errors
/// Where it can't be planned.
pub fn setup(reference: &ReferenceTables) -> Result<RuleSetup, Vec<LintFinding>> {
    let source = RuleSource::parse(Path::new("attribution.sql"), TEXT)?;
    let rule = Arc::new(compile(&source, reference)?);
    Ok(RuleSetup { shadow: true, ..RuleSetup::as_written(rule) })
}

/// The calls, each by the last that was said of it.
#[derive(Clone, Debug, Default)]
pub struct Attribution {
    calls: BTreeMap<String, (String, String)>,
}

impl Attribution {
    /// Takes the rule's own signals out of these.
    pub fn take(&mut self, signals: &mut Vec<Signal>) {
        signals.retain(|signal| {
            if signal.rule != RULE {
                return true;
            }
            if signal.withdrawn {
                self.calls.remove(&signal.signal_id);
            } else {
                let text = |name: &str| signal.details.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                self.calls.insert(signal.signal_id.clone(), (text("attribution"), text("missing")));
            }
            false
        });
    }

    /// How many calls there are of each level, best first.
    pub fn levels(&self) -> [(&'static str, usize); 3] {
        LEVELS.map(|level| (level, self.calls.values().filter(|(of, _)| of == level).count()))
    }

    /// What is missing, with how many calls miss it, most first.
    pub fn missing(&self) -> Vec<(&str, usize)> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for what in self.calls.values().flat_map(|(_, missing)| missing.split(", ")).filter(|what| !what.is_empty()) {
            *counts.entry(what).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }

    /// For a person.
    pub fn lines(&self) -> Vec<String> {
        let all = self.calls.len();
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        let share = |count: usize| 100.0 * count as f64 / all.max(1) as f64;
        let levels = self.levels().map(|(level, count)| format!("{count} {level} ({:.1} %)", share(count)));
        let mut lines = vec![format!("{all} tool calls by attribution: {}", levels.join(", "))];
        lines.extend(self.missing().into_iter().map(|(what, count)| format!("  {count} × {what}")));
        lines
    }

    /// For a program.
    pub fn json(&self) -> Value {
        let levels: BTreeMap<&str, usize> = self.levels().into_iter().collect();
        let missing: BTreeMap<&str, usize> = self.missing().into_iter().collect();
        json!({"tool_calls": self.calls.len(), "levels": levels, "missing": missing})
    }
}
