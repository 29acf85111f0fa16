//! One condition tried on concrete rows: what it said, of which values, and by how much it was missed.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use serde::Serialize;
use watershed_rules::explain::{Condition, Input, duration};
use watershed_schemas::tables::runtime;
use watershed_schemas::{Table, Timestamp};

use super::tuples::{Candidates, Tuple, shown};

/// A value that a condition looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Looked {
    /// Where it stands, such as `r.kind`.
    pub at: String,
    /// The value, made harmless.
    pub value: String,
}

/// By how much a bound in time was missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missed {
    /// By so many microseconds; 0 where the edge itself is excluded.
    pub by_us: i64,
    /// In words.
    pub text: String,
}

/// A condition, tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// As SQL.
    pub condition: String,
    /// Whether it holds; absent where it can't be tried on single rows.
    pub holds: Option<bool>,
    /// What it looked at.
    pub values: Vec<Looked>,
    /// By how much a bound in time was missed.
    pub missed: Option<Missed>,
}

/// What rows are called.
pub(super) struct Names<'a> {
    pub(super) tables: &'a [Table],
    pub(super) labels: &'a [String],
    /// As SQL, for each computed value.
    pub(super) computed: Vec<&'a str>,
}

impl Names<'_> {
    /// Where an input stands.
    pub(super) fn place(&self, input: Input) -> String {
        match input {
            Input::Column(scan, column) => {
                format!("{}.{}", self.labels[scan], self.tables[scan].columns()[column].name)
            }
            Input::Computed(at) => self.computed[at].to_owned(),
        }
    }

    /// The scan as the author names it: `runtime r`.
    pub(super) fn scan(&self, scan: usize) -> String {
        let (table, label) = (self.tables[scan].name(), &self.labels[scan]);
        if table == label { label.clone() } else { format!("{table} {label}") }
    }
}

/// Tries a condition on one tuple.
pub(super) fn check(condition: &Condition, tuple: &Tuple, candidates: &Candidates, names: &Names) -> Check {
    let looked = |input: &Input| Looked { at: names.place(*input), value: shown(&candidates.value(*input, tuple)) };
    let tried = candidates.tried(condition, std::slice::from_ref(tuple));
    let holds = tried.as_ref().map(|tried| tried.holds.value(0));
    let missed = tried.filter(|_| holds == Some(false)).and_then(|tried| {
        let [left, right] = tried.sides?;
        let side = |array| ScalarValue::try_from_array(array, 0).ok();
        missed(condition, &side(&left)?, &side(&right)?, tuple, candidates, names)
    });
    let values = condition.inputs.iter().map(looked).collect();
    Check { condition: condition.text.clone(), holds, values, missed }
}

/// By how much a comparison of moments, or of spans of time, was missed.
fn missed(
    condition: &Condition,
    left: &ScalarValue,
    right: &ScalarValue,
    tuple: &Tuple,
    candidates: &Candidates,
    names: &Names,
) -> Option<Missed> {
    let is_moment = matches!(left, ScalarValue::TimestampMicrosecond(..) | ScalarValue::TimestampNanosecond(..));
    let (left, right) = (micros(left)?, micros(right)?);
    let [read_left, read_right] = condition.sides.as_ref()?;
    // As `less <= more`, or `less < more`.
    let (less, more, reads, strict) = match condition.operator? {
        Operator::LtEq => (left, right, [read_left, read_right], false),
        Operator::Lt => (left, right, [read_left, read_right], true),
        Operator::GtEq => (right, left, [read_right, read_left], false),
        Operator::Gt => (right, left, [read_right, read_left], true),
        _ => return None,
    };
    let by_us = less.checked_sub(more)?;
    let time_of = |reads: &[Input]| {
        let mut scans = reads.iter().filter_map(|input| match input {
            Input::Column(scan, runtime::EVENT_TIME) => Some(*scan),
            _ => None,
        });
        let scan = scans.next()?;
        if scans.next().is_some() {
            return None;
        }
        event_of(scan, tuple, candidates).map(|(id, time)| (names.labels[scan].clone(), id, time))
    };
    let edge = if by_us == 0 && strict {
        "the edge itself is excluded".to_owned()
    } else {
        format!("missed by {}", duration(by_us))
    };
    let text = match (time_of(reads[0]), time_of(reads[1])) {
        // `a - b <= c`: how far apart they may lie.
        _ if reads[1].is_empty() && !is_moment => {
            format!("they are {} apart, and the rule wants at most {}: {edge}", duration(less), duration(more))
        }
        _ if reads[0].is_empty() && !is_moment => {
            format!("they are {} apart, and the rule wants at least {}: {edge}", duration(more), duration(less))
        }
        // `a <= b + c`: how far the first may lie after the second.
        (Some((a, a_id, a_time)), Some((b, b_id, b_time))) => {
            let apart = a_time.micros().saturating_sub(b_time.micros());
            let allowed = apart.saturating_sub(by_us);
            let how = match apart {
                0 => "at the same time as".to_owned(),
                apart if apart > 0 => format!("{} after", duration(apart)),
                apart => format!("{} before", duration(apart.saturating_neg())),
            };
            let wanted = match (allowed, strict) {
                (0, false) => "not after".to_owned(),
                (0, true) => "before".to_owned(),
                (allowed, false) if allowed > 0 => format!("at most {} after", duration(allowed)),
                (allowed, true) if allowed > 0 => format!("less than {} after", duration(allowed)),
                (allowed, false) => format!("at least {} before", duration(allowed.saturating_neg())),
                (allowed, true) => format!("more than {} before", duration(allowed.saturating_neg())),
            };
            format!("{a} {a_id} came {how} {b} {b_id}; the rule wants {a} {wanted} {b}: {edge}")
        }
        _ => edge,
    };
    Some(Missed { by_us, text })
}

/// The id and time of the row of a scan.
pub(super) fn event_of(scan: usize, tuple: &Tuple, candidates: &Candidates) -> Option<(String, Timestamp)> {
    tuple.rows[scan]?;
    let id = match candidates.value(Input::Column(scan, runtime::EVENT_ID), tuple) {
        ScalarValue::Utf8(Some(id)) => watershed_connectors::escape::one_line(&id, 80),
        _ => return None,
    };
    let time = micros(&candidates.value(Input::Column(scan, runtime::EVENT_TIME), tuple))?;
    Some((id, Timestamp::from_micros(time)))
}

/// A moment or a span of time, in microseconds.
fn micros(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::TimestampMicrosecond(Some(value), _) | ScalarValue::DurationMicrosecond(Some(value)) => {
            Some(*value)
        }
        ScalarValue::TimestampNanosecond(Some(value), _) | ScalarValue::DurationNanosecond(Some(value)) => {
            Some(value.div_euclid(1_000))
        }
        ScalarValue::IntervalMonthDayNano(Some(span)) if span.months == 0 => {
            i64::from(span.days).checked_mul(86_400_000_000)?.checked_add(span.nanoseconds / 1_000)
        }
        _ => None,
    }
}
