//! Rows as events: those that rules remember, and those that become history.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{Array, AsArray, RecordBatch, StringArray};
use watershed_schemas::tables::runtime;
use watershed_schemas::{EventBatch, Plane, StateTable, Timestamp};

use super::Deeds;
use super::did::{Event, LeftOut};
use crate::acceptance::event_times;
use crate::evaluator::Segment;
use crate::principals::Names;
use crate::verify::Witness;
use crate::watermark::Watermarks;

/// Most remembered rows that are looked at for one answer.
pub(crate) const ROWS: u64 = 200_000;

/// Columns that are looked at in every row, whoever's it is.
const EVERY_ROW: [&str; 8] =
    ["tenant", "event_id", "kind", "principal", "on_behalf_of", "session_id", "credential_id", "agent_id"];

/// The columns of a batch that hold text.
struct Texts<'a> {
    plane: Plane,
    rows: &'a RecordBatch,
    known: Vec<(&'static str, Option<(usize, &'a StringArray)>)>,
}

impl<'a> Texts<'a> {
    fn of(plane: Plane, rows: &'a RecordBatch) -> Self {
        let mut texts = Texts { plane, rows, known: Vec::new() };
        texts.known = EVERY_ROW.iter().map(|name| (*name, texts.look_up(name))).collect();
        texts
    }

    fn column(&self, name: &str) -> Option<(usize, &'a StringArray)> {
        match self.known.iter().find(|(known, _)| *known == name) {
            Some((_, column)) => *column,
            None => self.look_up(name),
        }
    }

    fn look_up(&self, name: &str) -> Option<(usize, &'a StringArray)> {
        let at = self.plane.column(name)?;
        Some((at, self.rows.column(at).as_string_opt::<i32>()?))
    }

    fn at(&self, name: &str, row: usize) -> Option<(usize, &'a str)> {
        let (at, texts) = self.column(name)?;
        (row < texts.len() && !texts.is_null(row)).then(|| (at, texts.value(row)))
    }
}

impl Deeds {
    /// Counts what rules still remember, and takes what it looks at from the budget.
    pub(super) fn remembered(&mut self, segments: &[Arc<Segment>], budget: &mut u64) -> LeftOut {
        let mut left_out = LeftOut::default();
        for segment in segments {
            let Some(plane) = segment.table.plane() else { continue };
            let (oldest, newest) = segment.span();
            if newest < *self.window.start() || oldest > *self.window.end() {
                continue;
            }
            let count = segment.row_count() as u64;
            if count > *budget {
                left_out.rows += count;
                continue;
            }
            *budget -= count;
            let Ok(rows) = segment.rows() else {
                left_out.unreadable += count;
                continue;
            };
            let called = |column: usize, row: u32, text: &str| match segment.called_in(column, row, text) {
                Cow::Borrowed(_) => None,
                Cow::Owned(called) => Some(called),
            };
            self.batch(plane, &rows, 0..segment.row_count(), &called);
        }
        left_out
    }

    /// Counts these rows of a batch; `called` gives what the id in a column is called, where it is another name.
    fn batch(
        &mut self,
        plane: Plane,
        rows: &RecordBatch,
        which: impl Iterator<Item = usize>,
        called: &dyn Fn(usize, u32, &str) -> Option<String>,
    ) {
        let texts = Texts::of(plane, rows);
        let times = event_times(rows);
        for row in which {
            let event_time = Timestamp::from_micros(times.value(row));
            if !self.window.contains(&event_time) || texts.at("tenant", row).is_none_or(|(_, name)| name != self.tenant)
            {
                continue;
            }
            let (Some((_, event_id)), Some((_, kind))) = (texts.at("event_id", row), texts.at("kind", row)) else {
                continue;
            };
            let text = |name: &str| -> Option<Cow<'_, str>> {
                let (column, text) = texts.at(name, row)?;
                let renamed = u32::try_from(row).ok().and_then(|row| called(column, row, text));
                Some(renamed.map_or(Cow::Borrowed(text), Cow::Owned))
            };
            self.see(&Event { plane, event_id, event_time, kind, text: &text });
        }
    }
}

/// Counts over all rows that become history, for who asks of one subject alone.
#[derive(Clone, Debug)]
pub struct Collector(Arc<Mutex<(Deeds, Names)>>);

impl Collector {
    /// Counts with these deeds, ids read by these names.
    pub fn new(deeds: Deeds, names: Names) -> Self {
        Collector(Arc::new(Mutex::new((deeds, names))))
    }

    /// What was counted so far.
    pub fn deeds(&self) -> Deeds {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

impl Witness for Collector {
    fn accepted(&mut self, batch: &EventBatch, rows: Option<&[u32]>, _: &Watermarks) {
        let all: Vec<u32> = match rows {
            Some(rows) => rows.to_vec(),
            None => (0..).take(batch.rows.num_rows()).collect(),
        };
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (deeds, names) = &mut *guard;
        let times = event_times(&batch.rows);
        let inside = |row: &u32| deeds.window.contains(&Timestamp::from_micros(times.value(*row as usize)));
        let wanted: Vec<u32> = all.into_iter().filter(inside).collect();
        if wanted.is_empty() {
            return;
        }
        let Ok(whole) = batch.whole(&wanted) else { return };
        let principals = batch.plane.principal_columns();
        let tenants = whole.column(runtime::TENANT).as_string_opt::<i32>().cloned();
        let called = |column: usize, row: u32, id: &str| {
            let tenants = tenants.as_ref().filter(|_| principals.contains(&column))?;
            let called = names.canonical(tenants.value(row as usize), id);
            (called != id).then(|| called.to_owned())
        };
        deeds.batch(batch.plane, &whole, 0..whole.num_rows(), &called);
    }

    fn folded(&mut self, _: StateTable, _: RecordBatch) {}
}

/// The earliest event of a batch among its accepted rows.
pub(crate) fn oldest(batch: &EventBatch, accepted: Option<&[u32]>) -> Option<Timestamp> {
    let times = event_times(&batch.rows);
    let oldest = match accepted {
        None => times.values().iter().min().copied(),
        Some(rows) => rows.iter().filter_map(|row| times.values().get(*row as usize)).min().copied(),
    };
    oldest.map(Timestamp::from_micros)
}
