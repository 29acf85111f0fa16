//! Closed spans of event time: which outputs a row can touch, which rows an output can see.

use serde::{Deserialize, Serialize};
use watershed_schemas::Timestamp;

use super::rows::RowRef;

/// A closed span of event times, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    pub(super) least: i64,
    pub(super) most: i64,
}

impl Span {
    /// The times of outputs that a row of this time can take part in, where rows lie `around` their outputs.
    pub(super) fn touched_by(time: Timestamp, around: (i64, i64)) -> Span {
        Span { least: time.micros().saturating_sub(around.1), most: time.micros().saturating_sub(around.0) }
    }

    /// The times of rows that outputs of this span can see.
    pub(super) fn seen(self, around: (i64, i64)) -> Span {
        Span { least: self.least.saturating_add(around.0), most: self.most.saturating_add(around.1) }
    }

    pub(super) fn joined(self, other: Option<Span>) -> Span {
        match other {
            None => self,
            Some(other) => Span { least: self.least.min(other.least), most: self.most.max(other.most) },
        }
    }

    /// What both have; nothing where they do not meet.
    pub(super) fn common(self, other: Span) -> Option<Span> {
        let span = Span { least: self.least.max(other.least), most: self.most.min(other.most) };
        (span.least <= span.most).then_some(span)
    }

    pub(super) fn holds(self, time: Timestamp) -> bool {
        (self.least..=self.most).contains(&time.micros())
    }

    /// Whether all of `other` lies within.
    pub(super) fn covers(self, other: Span) -> bool {
        self.least <= other.least && other.most <= self.most
    }

    /// The rows within the span, of rows ordered by time.
    pub(super) fn slice(self, rows: &[RowRef]) -> &[RowRef] {
        let time = |row: &RowRef| row.segment.event_time(row.row).micros();
        let start = rows.partition_point(|row| time(row) < self.least);
        let end = rows.partition_point(|row| time(row) <= self.most);
        &rows[start..end.max(start)]
    }
}
