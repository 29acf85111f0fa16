//! The literals that conditions compare one text column with, all looked up at once.
//!
//! `=` and `IN` go through one hash table, `contains`, `LIKE '%x%'` and `ILIKE '%x%'` through one Aho-Corasick automaton.
//! What the automaton finds is a suspicion: the condition itself decides.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use datafusion::arrow::array::{Array, StringArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::common::{HashMap, ScalarValue};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, InListExpr, LikeExpr, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::conjunct::BatchConjunct;
use super::truth::{Bits, Truth};

/// Fewer conditions than this are evaluated one by one, which vectorises.
const WORTHWHILE: usize = 4;

/// What all conditions on one column look for.
#[derive(Default)]
pub(super) struct Literals {
    /// Conditions that hold where the value is one of some literals.
    equal: Vec<usize>,
    by_value: HashMap<Box<str>, Vec<usize>>,
    /// Conditions that can only hold where the value contains a literal, ascending, and the automaton of these.
    searched: Vec<usize>,
    automaton: Option<AhoCorasick>,
}

/// What a condition asks of its column.
enum Asks {
    IsOneOf(Vec<String>),
    Contains(String),
}

impl Literals {
    /// The literals of these conditions, all of which read one text column alone.
    pub(super) fn new(conditions: &[usize], all: &[BatchConjunct]) -> Self {
        let mut literals = Literals::default();
        let mut needles = Vec::new();
        for condition in conditions {
            match asks(all[*condition].expr()) {
                Some(Asks::IsOneOf(values)) => {
                    literals.equal.push(*condition);
                    for value in values {
                        literals.by_value.entry(value.into()).or_default().push(*condition);
                    }
                }
                Some(Asks::Contains(needle)) => {
                    literals.searched.push(*condition);
                    needles.push(needle);
                }
                None => {}
            }
        }
        if literals.equal.len() < WORTHWHILE {
            literals.equal.clear();
            literals.by_value.clear();
        }
        // Without regard to case, since some conditions have none.
        let mut builder = AhoCorasickBuilder::new();
        builder.ascii_case_insensitive(true).match_kind(MatchKind::Standard);
        match builder.build(&needles) {
            Ok(automaton) if needles.len() >= WORTHWHILE => literals.automaton = Some(automaton),
            _ => literals.searched.clear(),
        }
        literals
    }

    /// Decides `=` and `IN`.
    pub(super) fn judge(&self, texts: &StringArray, truths: &mut [Truth]) {
        if self.equal.is_empty() {
            return;
        }
        let mut bits: HashMap<usize, Bits> = HashMap::new();
        for (row, text) in texts.iter().enumerate() {
            let Some(conditions) = text.and_then(|text| self.by_value.get(text)) else { continue };
            for condition in conditions {
                bits.entry(*condition).or_insert_with(|| Bits::new(texts.len())).set(row);
            }
        }
        for condition in &self.equal {
            truths[*condition] = bits.remove(condition).map_or(Truth::Never, Bits::into_truth);
        }
    }

    /// The conditions that [`Literals::search`] decides.
    pub(super) fn searched(&self) -> &[usize] {
        &self.searched
    }

    /// Decides conditions on parts of the text at the rows that are left; elsewhere they count as not met.
    pub(super) fn search(
        &self,
        texts: &StringArray,
        left: &BooleanBuffer,
        all: &[BatchConjunct],
        truths: &mut [Truth],
    ) {
        let Some(automaton) = &self.automaton else { return };
        let mut suspects: Vec<Vec<u32>> = vec![Vec::new(); self.searched.len()];
        for row in left.set_indices().filter(|row| !texts.is_null(*row)) {
            let text = texts.value(row);
            let place = u32::try_from(row).unwrap_or(u32::MAX);
            if text.is_ascii() {
                for found in automaton.find_overlapping_iter(text) {
                    let suspects = &mut suspects[found.pattern().as_usize()];
                    if suspects.last() != Some(&place) {
                        suspects.push(place);
                    }
                }
            } else {
                // Letters beyond ASCII may equal others without regard to case.
                suspects.iter_mut().for_each(|suspects| suspects.push(place));
            }
        }
        for (condition, suspects) in self.searched.iter().zip(suspects) {
            truths[*condition] = if suspects.is_empty() {
                Truth::Never
            } else {
                let mut bits = Bits::new(texts.len());
                for row in all[*condition].of_texts(texts, &suspects) {
                    bits.set(row as usize);
                }
                bits.into_truth()
            };
        }
    }
}

fn asks(expr: &dyn PhysicalExpr) -> Option<Asks> {
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        let (column, literal) = match (text_of(binary.left()), text_of(binary.right())) {
            (None, Some(literal)) => (binary.left(), literal),
            (Some(literal), None) => (binary.right(), literal),
            _ => return None,
        };
        return (*binary.op() == Operator::Eq && is_column(column)).then(|| Asks::IsOneOf(vec![literal]));
    }
    if let Some(list) = expr.downcast_ref::<InListExpr>() {
        let values: Option<Vec<String>> = list.list().iter().map(text_of).collect();
        return values.filter(|_| !list.negated() && is_column(list.expr())).map(Asks::IsOneOf);
    }
    if let Some(like) = expr.downcast_ref::<LikeExpr>() {
        let pattern = text_of(like.pattern())?;
        let needle = pattern.strip_prefix('%')?.strip_suffix('%')?;
        let plain = !needle.is_empty() && !needle.contains(['%', '_', '\\']);
        return (plain && !like.negated() && is_column(like.expr())).then(|| Asks::Contains(needle.to_owned()));
    }
    let function = expr.downcast_ref::<ScalarFunctionExpr>()?;
    match function.args() {
        [column, needle] if function.name() == "contains" && is_column(column) => {
            text_of(needle).filter(|needle| !needle.is_empty()).map(Asks::Contains)
        }
        _ => None,
    }
}

pub(super) fn is_column(expr: &std::sync::Arc<dyn PhysicalExpr>) -> bool {
    expr.downcast_ref::<Column>().is_some()
}

pub(super) fn text_of(expr: &std::sync::Arc<dyn PhysicalExpr>) -> Option<String> {
    match expr.downcast_ref::<Literal>()?.value() {
        ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)) => {
            Some(text.clone())
        }
        _ => None,
    }
}
