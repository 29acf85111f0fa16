//! Rows that the parts of a rule put together.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::common::{Result, ScalarValue};
use watershed_rules::explain::{Anatomy, Computed, Condition, Input, Needs, Part, Tried, Value, Windows};

/// Most pairs that are put together at one join.
const MOST_PAIRS: usize = 200_000;

/// One row of each of some scans, and what was computed from it or, for a group, from all its members.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tuple {
    /// For each scan its row among the candidates.
    pub(super) rows: Vec<Option<u32>>,
    /// For each computed value, where it is known.
    pub(super) computed: Vec<Option<ScalarValue>>,
    /// The tuples of a group.
    pub(super) members: Vec<Tuple>,
}

/// The rows that can take part.
pub(super) struct Candidates<'a> {
    pub(super) anatomy: &'a Anatomy,
    /// For each scan its rows, in the plane's full schema.
    pub(super) rows: Vec<RecordBatch>,
    /// For each scan which of its rows are asked about.
    pub(super) asked: Vec<Vec<bool>>,
    /// Whether there was more than is looked at.
    pub(super) cut: Cell<bool>,
}

/// A part with the tuples that came out of it, and of those below it.
pub(super) struct Seen<'a> {
    pub(super) part: &'a Part,
    pub(super) out: Vec<Tuple>,
    pub(super) below: Vec<Seen<'a>>,
    /// For an absence which tuple was kept out by which.
    pub(super) prevented: Vec<(Tuple, Tuple)>,
}

impl Candidates<'_> {
    fn blank(&self) -> Tuple {
        Tuple { rows: vec![None; self.rows.len()], computed: vec![None; self.anatomy.computed.len()], members: vec![] }
    }

    /// Whether an event that is asked about takes part.
    pub(super) fn is_asked(&self, tuple: &Tuple) -> bool {
        self.count_asked(tuple) > 0
    }

    /// How many of the events that are asked about take part.
    pub(super) fn count_asked(&self, tuple: &Tuple) -> usize {
        if !tuple.members.is_empty() {
            return tuple.members.iter().map(|member| self.count_asked(member)).sum();
        }
        let asked = |(scan, row): (usize, &Option<u32>)| row.is_some_and(|row| self.asked[scan][row as usize]);
        tuple.rows.iter().enumerate().filter(|row| asked(*row)).count()
    }

    /// The values that a condition reads, for each tuple.
    fn columns(&self, inputs: &[Input], tuples: &[Tuple]) -> Result<Vec<ArrayRef>> {
        let column = |input: &Input| match *input {
            Input::Column(scan, column) => {
                let rows: UInt32Array = tuples.iter().map(|tuple| tuple.rows[scan]).collect();
                Ok(take(self.rows[scan].column(column), &rows, None)?)
            }
            Input::Computed(at) => {
                let values = tuples.iter().map(|tuple| tuple.computed[at].clone().unwrap_or(ScalarValue::Null));
                ScalarValue::iter_to_array(values)
            }
        };
        inputs.iter().map(column).collect()
    }

    /// Tries a condition on tuples; absent where it can't be.
    pub(super) fn tried(&self, condition: &Condition, tuples: &[Tuple]) -> Option<Tried> {
        if !condition.can_be_tried() || tuples.is_empty() {
            return None;
        }
        condition.on(self.columns(&condition.inputs, tuples).ok()?, tuples.len()).ok()
    }

    /// The value of an input in a tuple.
    pub(super) fn value(&self, input: Input, tuple: &Tuple) -> ScalarValue {
        match input {
            Input::Computed(at) => tuple.computed[at].clone().unwrap_or(ScalarValue::Null),
            Input::Column(scan, column) => tuple.rows[scan]
                .and_then(|row| ScalarValue::try_from_array(self.rows[scan].column(column), row as usize).ok())
                .unwrap_or(ScalarValue::Null),
        }
    }

    /// What each row of a part, and of the parts below it, is made of.
    pub(super) fn look<'a>(&self, part: &'a Part) -> Seen<'a> {
        let seen = |out, below| Seen { part, out, below, prevented: Vec::new() };
        match part {
            Part::Scan(scan) => {
                let rows = u32::try_from(self.rows[*scan].num_rows()).unwrap_or(u32::MAX);
                let one = |row| {
                    let mut tuple = self.blank();
                    tuple.rows[*scan] = Some(row);
                    tuple
                };
                seen((0..rows).map(one).collect(), Vec::new())
            }
            Part::Reference(_) => seen(vec![self.blank()], Vec::new()),
            Part::Where { input, conditions } => {
                let below = self.look(input);
                seen(self.kept(conditions, below.out.clone()).1, vec![below])
            }
            Part::Groups { input, by, aggregates } => {
                let below = self.look(input);
                seen(self.grouped(&below.out, by, aggregates), vec![below])
            }
            Part::Windowed { input, windows, values } => {
                let below = self.look(input);
                let out = self.windowed(&below.out, windows, values);
                seen(out, vec![below])
            }
            Part::Each { input, list, element } => {
                let below = self.look(input);
                let out = self.each(&below.out, list, *element);
                seen(out, vec![below])
            }
            Part::AnyOf(parts) => {
                let below: Vec<Seen> = parts.iter().map(|part| self.look(part)).collect();
                let out = below.iter().flat_map(|seen| seen.out.iter().cloned()).collect();
                seen(out, below)
            }
            Part::Opaque { input, .. } => {
                let below = self.look(input);
                seen(below.out.clone(), vec![below])
            }
            Part::Join { left, right, conditions, needs } => {
                let (left, right) = (self.look(left), self.look(right));
                let (out, prevented) = self.joined(&left.out, &right.out, conditions, *needs);
                Seen { part, out, below: vec![left, right], prevented }
            }
        }
    }

    /// The tuples that meet all conditions, and which ones they were; a condition that can't be tried is taken to hold.
    fn kept(&self, conditions: &[Condition], mut tuples: Vec<Tuple>) -> (Vec<usize>, Vec<Tuple>) {
        let mut which: Vec<usize> = (0..tuples.len()).collect();
        for condition in conditions {
            if let Some(tried) = self.tried(condition, &tuples) {
                let holds = |at: usize| tried.holds.value(at);
                which = which.into_iter().enumerate().filter(|(at, _)| holds(*at)).map(|(_, which)| which).collect();
                tuples = tuples.into_iter().enumerate().filter(|(at, _)| holds(*at)).map(|(_, tuple)| tuple).collect();
            }
        }
        (which, tuples)
    }

    /// Every pair of tuples of the two sides, as one tuple, with the position of its left side; only those with events that
    /// are asked about where it gets too much.
    fn put_together(&self, left: &[Tuple], right: &[Tuple]) -> (Vec<usize>, Vec<Tuple>) {
        let all = left.len().saturating_mul(right.len()) <= MOST_PAIRS;
        let (mut from, mut pairs) = (Vec::new(), Vec::new());
        for (at, a) in left.iter().enumerate() {
            let wanted = all || self.is_asked(a);
            for b in right.iter().filter(|b| wanted || self.is_asked(b)) {
                if pairs.len() == MOST_PAIRS {
                    self.cut.set(true);
                    return (from, pairs);
                }
                from.push(at);
                pairs.push(merged(a, b));
            }
        }
        if !all {
            self.cut.set(true);
        }
        (from, pairs)
    }

    /// Every pair of tuples of the two sides, as one tuple.
    pub(super) fn pairs(&self, left: &[Tuple], right: &[Tuple]) -> Vec<Tuple> {
        self.put_together(left, right).1
    }

    fn joined(
        &self,
        left: &[Tuple],
        right: &[Tuple],
        conditions: &[Condition],
        needs: Needs,
    ) -> (Vec<Tuple>, Vec<(Tuple, Tuple)>) {
        let (from, pairs) = self.put_together(left, right);
        let (which, together) = self.kept(conditions, pairs);
        if needs == Needs::Both {
            return (together, Vec::new());
        }
        let mut partners: Vec<Vec<Tuple>> = vec![Vec::new(); left.len()];
        for (pair, tuple) in which.into_iter().zip(together) {
            partners[from[pair]].push(tuple);
        }
        let (mut out, mut prevented) = (Vec::new(), Vec::new());
        for (tuple, partners) in left.iter().zip(partners) {
            // The partner that is asked about tells more.
            let partner = partners.iter().max_by_key(|pair| self.count_asked(pair)).cloned();
            match (needs, partner) {
                (Needs::Perhaps, Some(_)) => out.extend(partners),
                (Needs::Presence, Some(pair)) => out.push(pair),
                (Needs::Absence, Some(pair)) => prevented.push((tuple.clone(), pair)),
                (Needs::Absence | Needs::Perhaps, None) => out.push(tuple.clone()),
                (Needs::Known(at), partner) => {
                    let found = partner.is_some();
                    let mut tuple = partner.unwrap_or_else(|| tuple.clone());
                    tuple.computed[at] = Some(ScalarValue::Boolean(Some(found)));
                    out.push(tuple);
                }
                _ => {}
            }
        }
        (out, prevented)
    }

    fn grouped(&self, tuples: &[Tuple], by: &[Option<Value>], aggregates: &[usize]) -> Vec<Tuple> {
        if tuples.is_empty() {
            return Vec::new();
        }
        let mut names: Vec<Vec<String>> = vec![Vec::new(); tuples.len()];
        for value in by.iter().flatten() {
            let columns = self.columns(&value.inputs, tuples);
            let Ok(values) = columns.and_then(|columns| value.of(columns, tuples.len())) else { continue };
            for (row, name) in names.iter_mut().enumerate() {
                name.push(
                    ScalarValue::try_from_array(&values, row).map_or_else(|_| String::new(), |value| value.to_string()),
                );
            }
        }
        let mut groups: BTreeMap<Vec<String>, Vec<Tuple>> = BTreeMap::new();
        for (name, tuple) in names.into_iter().zip(tuples) {
            groups.entry(name).or_default().push(tuple.clone());
        }
        groups.into_values().map(|members| self.group(members, aggregates)).collect()
    }

    /// The tuples, each with what the functions say of it; nothing is known where they fail.
    fn windowed(&self, tuples: &[Tuple], windows: &Windows, values: &[usize]) -> Vec<Tuple> {
        let mut out = tuples.to_vec();
        if out.is_empty() {
            return out;
        }
        let columns = self.columns(&windows.inputs, tuples);
        let Ok(added) = columns.and_then(|columns| windows.over(columns, tuples.len())) else { return out };
        for (at, column) in values.iter().zip(&added) {
            for (row, tuple) in out.iter_mut().enumerate() {
                tuple.computed[*at] = ScalarValue::try_from_array(column, row).ok();
            }
        }
        out
    }

    /// Each tuple once for every element of its list.
    fn each(&self, tuples: &[Tuple], list: &Value, element: usize) -> Vec<Tuple> {
        if tuples.is_empty() {
            return Vec::new();
        }
        let columns = self.columns(&list.inputs, tuples);
        let Ok(lists) = columns.and_then(|columns| list.of(columns, tuples.len())) else { return tuples.to_vec() };
        let Some(lists) = lists.as_list_opt::<i32>() else { return tuples.to_vec() };
        let mut out = Vec::new();
        for (tuple, list) in tuples.iter().zip(lists.iter()) {
            let Some(list) = list else { continue };
            for at in 0..list.len() {
                let mut tuple = tuple.clone();
                tuple.computed[element] = ScalarValue::try_from_array(&list, at).ok();
                out.push(tuple);
            }
        }
        out
    }

    fn group(&self, members: Vec<Tuple>, aggregates: &[usize]) -> Tuple {
        let mut tuple = members.first().cloned().unwrap_or_else(|| self.blank());
        tuple.members = Vec::new();
        for &at in aggregates {
            let Computed::Aggregate(value) = &self.anatomy.computed[at] else { continue };
            let columns = self.columns(&value.inputs, &members);
            tuple.computed[at] = columns.and_then(|columns| value.over(columns, members.len())).ok().flatten();
        }
        tuple.members = members;
        tuple
    }
}

fn merged(a: &Tuple, b: &Tuple) -> Tuple {
    let rows = a.rows.iter().zip(&b.rows).map(|(a, b)| a.or(*b)).collect();
    let computed = a.computed.iter().zip(&b.computed).map(|(a, b)| a.clone().or_else(|| b.clone())).collect();
    let members = if a.members.is_empty() { b.members.clone() } else { a.members.clone() };
    Tuple { rows, computed, members }
}

/// The text of a column that always has one.
pub(super) fn raw(rows: &RecordBatch, column: usize, row: usize) -> &str {
    rows.column(column).as_string_opt::<i32>().map_or("", |texts| texts.value(row))
}

/// A column of every row, as a person reads it.
pub(super) fn texts(rows: &RecordBatch, column: usize) -> Vec<String> {
    let column: &ArrayRef = rows.column(column);
    let text = |row| ScalarValue::try_from_array(column, row).map_or_else(|_| String::new(), |value| shown(&value));
    (0..rows.num_rows()).map(text).collect()
}

/// A value as a person reads it, with nothing hostile in it.
pub(super) fn shown(value: &ScalarValue) -> String {
    use watershed_connectors::escape::one_line;
    match value {
        value if value.is_null() => "NULL".to_owned(),
        ScalarValue::Utf8(Some(text)) => format!("'{}'", one_line(text, 80)),
        ScalarValue::TimestampMicrosecond(Some(micros), _) => {
            watershed_schemas::Timestamp::from_micros(*micros).to_string()
        }
        ScalarValue::List(list) => {
            let values: Vec<String> = list
                .iter()
                .flatten()
                .flat_map(|values| {
                    let values = Arc::clone(&values);
                    (0..values.len())
                        .filter_map(move |at| ScalarValue::try_from_array(&values, at).ok())
                        .collect::<Vec<_>>()
                })
                .map(|value| shown(&value))
                .collect();
            format!("[{}]", values.join(", "))
        }
        other => one_line(&other.to_string(), 80),
    }
}
