//! The regular expressions that conditions hold against one text column, tried all at once.
//!
//! Evaluated by itself, a condition compiles its expression for every batch and walks every text once more. A set is
//! compiled once, and finds in one walk which of its expressions match. What it says is exact: it is the same crate that
//! evaluates the conditions, with the same flags.

use std::sync::Arc;

use datafusion::arrow::array::{Array, StringArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, IsNotNullExpr};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use regex::{RegexSet, RegexSetBuilder};

use super::conjunct::BatchConjunct;
use super::literals::{is_column, text_of};
use super::truth::{Bits, Truth};

/// Fewer conditions than this are evaluated one by one: each can leap to what its expression must contain.
const WORTHWHILE: usize = 4;
/// Most expressions of one set. More of them have more states at once, which the automaton can't keep.
const MOST: usize = 32;
/// Bytes that a compiled set may take, and as many again for the states that it remembers.
const SET_BYTES: usize = 4 << 20;

/// What all conditions on one column match against.
#[derive(Default)]
pub(super) struct Patterns {
    sets: Vec<PatternSet>,
}

/// Conditions that are tried together.
struct PatternSet {
    /// Positions among the plane's conditions, ascending, each with whether it holds where its expression does not match.
    conditions: Vec<(usize, bool)>,
    positions: Vec<usize>,
    set: RegexSet,
}

/// What a condition asks of its column.
struct Asks {
    pattern: String,
    negated: bool,
}

impl Patterns {
    /// The expressions of these conditions, all of which read one text column alone.
    pub(super) fn new(conditions: &[usize], all: &[BatchConjunct]) -> Self {
        let mut asked: Vec<(usize, Asks)> =
            conditions.iter().filter_map(|at| Some((*at, asks(all[*at].expr())?))).collect();
        asked.sort_unstable_by_key(|(at, _)| *at);
        if asked.len() < WORTHWHILE {
            return Patterns::default();
        }
        let mut patterns = Patterns::default();
        asked.chunks(MOST).for_each(|asked| patterns.add(asked));
        patterns
    }

    /// One set of these, or two of half as many where that is too big; one that is too big by itself is left alone.
    fn add(&mut self, asked: &[(usize, Asks)]) {
        if asked.len() < 2 {
            return;
        }
        let set = RegexSetBuilder::new(asked.iter().map(|(_, asks)| &asks.pattern))
            .size_limit(SET_BYTES)
            .dfa_size_limit(SET_BYTES)
            .build();
        match set {
            Ok(set) => self.sets.push(PatternSet {
                conditions: asked.iter().map(|(at, asks)| (*at, asks.negated)).collect(),
                positions: asked.iter().map(|(at, _)| *at).collect(),
                set,
            }),
            Err(_) => {
                let (first, second) = asked.split_at(asked.len() / 2);
                self.add(first);
                self.add(second);
            }
        }
    }

    /// Decides the conditions at the rows that are `left` to scans with one of them; elsewhere they count as not met.
    pub(super) fn search(
        &self,
        texts: &StringArray,
        left: impl Fn(&[usize]) -> Option<BooleanBuffer>,
        truths: &mut [Truth],
    ) {
        for set in &self.sets {
            if let Some(left) = left(&set.positions) {
                set.search(texts, &left, truths);
            }
        }
    }
}

impl PatternSet {
    fn search(&self, texts: &StringArray, left: &BooleanBuffer, truths: &mut [Truth]) {
        let mut bits: Vec<Option<Bits>> = self.conditions.iter().map(|_| None).collect();
        for row in left.set_indices().filter(|row| !texts.is_null(*row)) {
            let matched = self.set.matches(texts.value(row));
            for (at, (bits, (_, negated))) in bits.iter_mut().zip(&self.conditions).enumerate() {
                if matched.matched(at) != *negated {
                    bits.get_or_insert_with(|| Bits::new(texts.len())).set(row);
                }
            }
        }
        for (bits, (condition, _)) in bits.into_iter().zip(&self.conditions) {
            truths[*condition] = bits.map_or(Truth::Never, Bits::into_truth);
        }
    }
}

/// `~`, `~*` and their negations, which `regexp_like` becomes, and `regexp_match(…) IS NOT NULL`.
fn asks(expr: &dyn PhysicalExpr) -> Option<Asks> {
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        let (caseless, negated) = match binary.op() {
            Operator::RegexMatch => (false, false),
            Operator::RegexIMatch => (true, false),
            Operator::RegexNotMatch => (false, true),
            Operator::RegexNotIMatch => (true, true),
            _ => return None,
        };
        let pattern = text_of(binary.right()).filter(|_| is_column(binary.left()))?;
        return Some(Asks { pattern: if caseless { format!("(?i){pattern}") } else { pattern }, negated });
    }
    let found: &Arc<dyn PhysicalExpr> = expr.downcast_ref::<IsNotNullExpr>()?.arg();
    let function = found.downcast_ref::<ScalarFunctionExpr>().filter(|function| function.name() == "regexp_match")?;
    match function.args() {
        [column, pattern] if is_column(column) => text_of(pattern).map(|pattern| Asks { pattern, negated: false }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use watershed_rules::{ReferenceTables, RuleSource, compile};
    use watershed_schemas::Plane;

    use super::*;

    fn conjuncts(conditions: &[String]) -> Vec<BatchConjunct> {
        let compiled = conditions.iter().map(|condition| {
            let sql = format!(
                "/*---\nid: r\ntitle: r\nplane: model\nseverity: low\nkey: [e_event_id]\n---*/\n\
                 SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE {condition}"
            );
            let source = RuleSource::parse(Path::new("r.sql"), &sql).expect("a rule");
            let rule = compile(&source, &ReferenceTables::default()).expect("it compiles");
            assert_eq!(rule.scans[0].filters.len(), 1, "{condition}");
            BatchConjunct::new(&rule.scans[0].filters[0], Plane::Model)
        });
        compiled.collect()
    }

    #[test]
    fn every_way_of_asking_is_recognised() {
        let conditions = [
            "content ~ 'a.*b'",
            "content ~* 'a.*b'",
            "content !~ 'a.*b'",
            "content !~* 'a.*b'",
            "regexp_like(content, 'a+b')",
            "regexp_like(content, 'a+b', 'i')",
            "regexp_match(content, '(a+)b') IS NOT NULL",
        ]
        .map(str::to_owned);
        let all = conjuncts(&conditions);
        let patterns = Patterns::new(&(0..all.len()).collect::<Vec<_>>(), &all);
        assert_eq!(patterns.sets.len(), 1);
        assert_eq!(patterns.sets[0].positions, (0..all.len()).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_too_big_for_one_set_is_more_of_them() {
        // Letters of any script, many times: some hundred kilobytes each.
        let conditions: Vec<String> = (0..40).map(|at| format!("content ~ '^x{at}[[:alpha:]]\\w{{1,20}}y$'")).collect();
        let all = conjuncts(&conditions);
        let positions: Vec<usize> = (0..all.len()).collect();
        let patterns = Patterns::new(&positions, &all);
        let tried: Vec<usize> = patterns.sets.iter().flat_map(|set| set.positions.clone()).collect();
        assert!(patterns.sets.len() > 2 && patterns.sets.iter().all(|set| set.positions.len() < MOST));
        assert_eq!(tried, positions);
    }
}
