//! Conditions that read one text column alone.
//!
//! Most such columns hold few different values (kinds, tools, verdicts): each value is asked every condition once, and
//! after that a row costs one look into a dictionary, however many rules there are. A column with many values (texts,
//! ids) is looked up among the literals and patterns of all conditions instead.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch, StringArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::common::HashMap;

use super::conjunct::BatchConjunct;
use super::literals::Literals;
use super::patterns::Patterns;
use super::truth::{Bits, Truth};

/// Most values of a column that are remembered.
const MOST_VALUES: usize = 4_096;
/// Bytes of the longest value that is remembered.
const LONGEST_VALUE: usize = 128;

/// One text column and the conditions that read nothing else.
pub(super) struct TextColumn {
    column: usize,
    /// Positions among the plane's conditions.
    conditions: Vec<usize>,
    values: Values,
}

enum Values {
    Few(Dictionary),
    Many(Literals, Patterns),
}

/// What is known of each value.
struct Dictionary {
    codes: HashMap<Box<str>, usize>,
    /// For each value the conditions that hold for it, as positions among the plane's; the first is NULL.
    holds: Vec<Vec<usize>>,
}

impl TextColumn {
    /// A column that no condition reads yet.
    pub(super) fn new(column: usize) -> Self {
        let values = Values::Few(Dictionary { codes: HashMap::new(), holds: Vec::new() });
        TextColumn { column, conditions: Vec::new(), values }
    }

    pub(super) fn column(&self) -> usize {
        self.column
    }

    pub(super) fn add(&mut self, condition: usize) {
        self.conditions.push(condition);
    }

    /// Decides what can be decided of these conditions by looking at each row once.
    pub(super) fn judge(&mut self, rows: &RecordBatch, all: &[BatchConjunct], truths: &mut [Truth]) {
        let Some(texts) = rows.column(self.column).as_string_opt::<i32>() else { return };
        if let Values::Few(dictionary) = &mut self.values {
            if let Some(codes) = dictionary.codes_of(texts, &self.conditions, all) {
                dictionary.judge(&codes, &self.conditions, truths);
                return;
            }
            self.values = Values::Many(Literals::new(&self.conditions, all), Patterns::new(&self.conditions, all));
        }
        if let Values::Many(literals, _) = &self.values {
            literals.judge(texts, truths);
        }
    }

    /// Decides conditions on parts of the text, for rows that are left to scans with such a condition.
    pub(super) fn search(
        &self,
        rows: &RecordBatch,
        left: impl Fn(&[usize]) -> Option<BooleanBuffer>,
        all: &[BatchConjunct],
        truths: &mut [Truth],
    ) {
        let texts = rows.column(self.column).as_string_opt::<i32>();
        if let (Values::Many(literals, patterns), Some(texts)) = (&self.values, texts) {
            if let Some(left) = left(literals.searched()) {
                literals.search(texts, &left, all, truths);
            }
            patterns.search(texts, left, truths);
        }
    }
}

impl Dictionary {
    /// The code of each row's value; none once there are too many values to remember.
    fn codes_of(&mut self, texts: &StringArray, conditions: &[usize], all: &[BatchConjunct]) -> Option<Vec<usize>> {
        if self.holds.is_empty() {
            self.learn(&StringArray::new_null(1), conditions, all);
        }
        let mut fresh: Vec<&str> = Vec::new();
        let mut codes = Vec::with_capacity(texts.len());
        for text in texts {
            let Some(text) = text else {
                codes.push(0);
                continue;
            };
            if let Some(code) = self.codes.get(text) {
                codes.push(*code);
                continue;
            }
            if text.len() > LONGEST_VALUE || self.codes.len() == MOST_VALUES {
                return None;
            }
            let code = self.holds.len() + fresh.len();
            self.codes.insert(text.into(), code);
            fresh.push(text);
            codes.push(code);
        }
        if !fresh.is_empty() {
            self.learn(&StringArray::from(fresh), conditions, all);
        }
        Some(codes)
    }

    /// Asks each condition about new values.
    fn learn(&mut self, values: &StringArray, conditions: &[usize], all: &[BatchConjunct]) {
        let first = self.holds.len();
        self.holds.resize(first + values.len(), Vec::new());
        for condition in conditions {
            let truth = all[*condition].of_values(Arc::new(values.clone()));
            for value in truth.set_indices() {
                self.holds[first + value].push(*condition);
            }
        }
    }

    fn judge(&self, codes: &[usize], conditions: &[usize], truths: &mut [Truth]) {
        let mut bits: HashMap<usize, Bits> = HashMap::new();
        for (row, code) in codes.iter().enumerate() {
            for condition in &self.holds[*code] {
                bits.entry(*condition).or_insert_with(|| Bits::new(codes.len())).set(row);
            }
        }
        for condition in conditions {
            truths[*condition] = bits.remove(condition).map_or(Truth::Never, Bits::into_truth);
        }
    }
}
