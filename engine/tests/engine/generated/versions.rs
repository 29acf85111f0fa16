//! What becomes of a rule when the set is loaded again: it stays, is retitled, edited, removed, added later.

use std::cell::OnceCell;
use std::fmt;
use std::sync::Arc;

use rand::RngExt;
use watershed_engine::evaluator::RuleSetup;
use watershed_rules::{CompiledRule, ReferenceTables};

use super::compiled;
use super::grammar::{Luck, Rule, any};

/// What a set of rules has of one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Version {
    /// As it was drawn.
    #[default]
    First,
    /// With another title and severity, and laid out anew: it says the same.
    Retitled,
    /// It asks for something else under the same id.
    Edited,
    /// As it was drawn, and where it is new filled with what others remember.
    Filled,
    Absent,
}

/// A rule in each version that a set may have of it.
pub(crate) struct Versions {
    first: Arc<CompiledRule>,
    retitled: OnceCell<Arc<CompiledRule>>,
    edited: OnceCell<Arc<CompiledRule>>,
    source: Option<Source>,
}

/// What the other versions are compiled from.
struct Source {
    id: String,
    rule: Rule,
    /// Tried in turn.
    edits: Vec<Rule>,
    tables: ReferenceTables,
}

impl Versions {
    /// A rule that no set changes.
    pub(crate) fn only(first: Arc<CompiledRule>) -> Self {
        Versions { first, retitled: OnceCell::new(), edited: OnceCell::new(), source: None }
    }

    /// A rule of the grammar with edits of it.
    pub(crate) fn drawn(
        luck: &mut Luck,
        rule: &Rule,
        id: &str,
        first: Arc<CompiledRule>,
        tables: &ReferenceTables,
    ) -> Self {
        let edits = (0..4).map(|_| edit(luck, rule)).collect();
        let source = Source { id: id.to_owned(), rule: rule.clone(), edits, tables: tables.clone() };
        Versions { source: Some(source), ..Versions::only(first) }
    }

    pub(crate) fn id(&self) -> &str {
        &self.first.meta.id
    }

    pub(crate) fn first(&self) -> &Arc<CompiledRule> {
        &self.first
    }

    /// The rule in this version; nothing where the set doesn't have it.
    pub(crate) fn get(&self, version: Version) -> Option<&Arc<CompiledRule>> {
        match (version, &self.source) {
            (Version::Absent, _) => None,
            (Version::Retitled, Some(source)) => Some(self.retitled.get_or_init(|| source.retitled())),
            (Version::Edited, Some(source)) => {
                Some(self.edited.get_or_init(|| source.edited(&self.first.version).unwrap_or(Arc::clone(&self.first))))
            }
            _ => Some(&self.first),
        }
    }

    pub(crate) fn setup(&self, version: Version) -> Option<RuleSetup> {
        let rule = Arc::clone(self.get(version)?);
        Some(RuleSetup { backfill: version == Version::Filled, ..RuleSetup::as_written(rule) })
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.source, self.edited.get()) {
            (Some(source), Some(edited)) => {
                let edit = source.edits.iter().find(|edit| {
                    compiled(&edit.file(&source.id), &source.tables).is_ok_and(|rule| rule.version == edited.version)
                });
                writeln!(f, "edited to\n{}", edit.map_or("itself", |edit| &edit.sql))
            }
            _ => Ok(()),
        }
    }
}

impl Source {
    fn retitled(&self) -> Arc<CompiledRule> {
        let file = self.rule.file(&self.id).replace("title: ", "title: another ");
        let file =
            file.replace("severity: low", "severity: critical").replace("\nFROM ", "\n  -- laid out anew\n  FROM ");
        compiled(&file, &self.tables).expect("what compiles does so under another title")
    }

    fn edited(&self, version: &str) -> Option<Arc<CompiledRule>> {
        let mut edits = self.edits.iter().filter_map(|edit| compiled(&edit.file(&self.id), &self.tables).ok());
        edits.find(|edit| edit.version != version)
    }
}

/// The rule with another span, kind or threshold, so that much of what was remembered for it is of use; or another one.
fn edit(luck: &mut Luck, rule: &Rule) -> Rule {
    let sql = match luck.random_range(0..6) {
        0..=2 => respanned(luck, &rule.sql),
        3 => rekinded(luck, &rule.sql),
        4 => rule.sql.replace(">= 2", ">= 3").replace("<= 2", "<= 1"),
        _ => return Rule { early: rule.early, ..rule.shape.draw(luck) },
    };
    Rule { sql, ..rule.clone() }
}

/// One of its intervals is some minutes longer or shorter.
fn respanned(luck: &mut Luck, sql: &str) -> String {
    let spans: Vec<(usize, i64)> = sql
        .match_indices("INTERVAL '")
        .filter_map(|(at, start)| {
            let number = sql[at + start.len()..].split_once(" minutes'")?.0;
            Some((at + start.len(), number.parse().ok()?))
        })
        .collect();
    if spans.is_empty() {
        return sql.to_owned();
    }
    let (at, minutes) = any(luck, &spans);
    let other = any(luck, &[minutes + 15, minutes + 2, (minutes - 1).max(1), (minutes - 3).max(1)]);
    format!("{}{other}{}", &sql[..at], &sql[at + minutes.to_string().len()..])
}

/// One of its conditions on a kind asks for another one, or for any.
fn rekinded(luck: &mut Luck, sql: &str) -> String {
    let Some((before, rest)) = sql.split_once("kind = '") else { return sql.to_owned() };
    let Some((_, after)) = rest.split_once('\'') else { return sql.to_owned() };
    match any(luck, &["", "tool_call", "authentication"]) {
        "" => format!("{before}kind IS NOT NULL{after}"),
        kind => format!("{before}kind = '{kind}'{after}"),
    }
}
