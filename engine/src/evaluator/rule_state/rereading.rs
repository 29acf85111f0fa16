//! A rule that reads the log again: rows of before it came into force are given to it while the present goes on.
//!
//! Until the log is read to where the rule came into force, its rows are only put where they belong: nothing is said of
//! them, and what the present brings is judged as for any rule that is warming. Then its keys are looked at once, some
//! in each step, and what is found is what a rule that was always there would say.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watershed_connectors::Partition;
use watershed_rules::{CompiledRule, Finding, Scan, Speaks};
use watershed_schemas::{Plane, Timestamp};

use super::keys::{Kept, SlotId};
use super::run::{evidence, passed};
use super::{Changed, RuleState, Step};
use crate::evaluator::coverage::Coverage;
use crate::evaluator::rows::Segment;
use crate::evaluator::span::Span;
use crate::watermark::{Snapshot, Watermarks};

/// Most rows of keys that are looked at in one step, once the log has been read.
const ROWS_OF_A_STEP: usize = 16_384;

/// What the store knows of a rule that reads the log again: after a restart it begins anew.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::evaluator) struct Reading {
    /// How far the log had been read when the rule came into force.
    pub(in crate::evaluator) until: Vec<(Partition, i64)>,
    /// The watermarks then.
    pub(in crate::evaluator) began: Snapshot,
    /// The first segment of the present.
    pub(in crate::evaluator) first_live: u64,
}

/// A reading that goes on.
pub(in crate::evaluator) struct Rereading {
    /// Tells its rows from those of an earlier reading of the same rule.
    pub(in crate::evaluator) ticket: u64,
    pub(in crate::evaluator) reading: Reading,
    /// The watermarks when the rule came into force: what they had closed is not judged.
    began: Arc<Watermarks>,
    /// How much of the log was read, of a hundred.
    percent: u8,
    /// Rows that it brought.
    rows: u64,
    /// Once it is read: keys that were not looked at since, and what the rule has seen when they all are.
    joining: Option<(BTreeSet<SlotId>, Coverage)>,
}

impl Rereading {
    pub(in crate::evaluator) fn new(ticket: u64, reading: Reading, present: &Watermarks) -> Self {
        let mut began = present.clone();
        began.restore(reading.began.clone());
        Rereading { ticket, reading, began: Arc::new(began), percent: 0, rows: 0, joining: None }
    }

    /// For each scan the event time after which it needs every row: earlier ones take part in nothing that was open.
    pub(in crate::evaluator) fn needs(&self, scans: &[Scan]) -> Vec<Timestamp> {
        scans.iter().map(|scan| needed_since(scan, &self.began)).collect()
    }

    /// A key's first look after the log was read goes over everything that it has.
    pub(super) fn touched(&mut self, key: SlotId, touched: Span) -> Span {
        let joins = self.joining.as_mut().is_some_and(|(keys, _)| keys.remove(&key));
        if joins { EVERYTHING } else { touched }
    }

    /// How much of the log was read, of a hundred, and the rows that it brought.
    pub(super) fn progress(&self) -> (u8, u64) {
        (self.percent, self.rows)
    }

    fn is_live(&self, segment: &Segment) -> bool {
        segment.owner.is_none() && segment.id >= self.reading.first_live
    }
}

const EVERYTHING: Span = Span { least: i64::MIN, most: i64::MAX };

/// The event time after which a scan needs every row for the outputs that are still open.
pub(in crate::evaluator) fn needed_since(scan: &Scan, watermarks: &Watermarks) -> Timestamp {
    let newest = Plane::ALL.map(|plane| watermarks.heard(plane)).into_iter().max().unwrap_or(Timestamp::MIN);
    let reached = |plane: Plane| match (watermarks.of(plane), watermarks.heard(plane)) {
        // A plane without a source, or at the end of all input, waits for nobody.
        (Timestamp::MAX, _) => newest,
        // Some partition of it is not heard yet: what the others say is as far as anybody can look back from.
        (Timestamp::MIN, Timestamp::MIN) => newest.minus(watermarks.out_of_orderness(plane)),
        (Timestamp::MIN, heard) => heard.minus(watermarks.out_of_orderness(plane)),
        (reached, _) => reached,
    };
    let open = Plane::ALL.into_iter().filter_map(|plane| {
        let keep = scan.keep[plane.index()]?;
        Some(reached(plane).plus_micros(-watermarks.lateness_micros(plane)).plus_micros(-keep).plus_micros(-1))
    });
    open.min().unwrap_or(newest)
}

impl RuleState {
    /// From now on rows of the log are given to it.
    pub(in crate::evaluator) fn begin_reading(&mut self, rereading: Rereading) {
        self.donated = Some(self.coverage.since.clone());
        self.rereading = Some(rereading);
        self.unrecorded = true;
    }

    pub(in crate::evaluator) fn rereading(&self) -> Option<&Rereading> {
        self.rereading.as_ref().filter(|_| self.stopped.is_none())
    }

    /// Whether it wants to be given more of the log.
    pub(in crate::evaluator) fn wants_more(&self) -> bool {
        self.rereading().is_some_and(|reading| reading.joining.is_none())
    }

    /// So much of the log was read, and it brought so many rows.
    pub(in crate::evaluator) fn has_read(&mut self, rows: usize, percent: u8) {
        if let Some(reading) = &mut self.rereading {
            reading.rows += rows as u64;
            reading.percent = percent.min(99);
        }
    }

    /// The log was read. It held, of each plane, every row later than `since`.
    pub(in crate::evaluator) fn end_reading(&mut self, since: [Timestamp; 2]) {
        let rule = Arc::clone(self.rule());
        let Some(reading) = &mut self.rereading else { return };
        let needs = reading.needs(&rule.scans);
        let seen = rule.scans.iter().zip(&needs).map(|(scan, needed)| match scan.table.plane() {
            Some(plane) => since[plane.index()].max(*needed),
            // What other rules say is not in the log.
            None => Timestamp::MAX,
        });
        let whole = seen.zip(&self.coverage.since).map(|(seen, before)| seen.min(*before)).collect();
        let coverage = Coverage { since: whole, ..self.coverage.clone() };
        self.warm_after = coverage.warm_after(&rule.scans);
        reading.joining = Some((self.keys.slots().collect(), coverage));
    }

    /// Marks some more of the keys that were not looked at since the log was read as changed; at the end of all input
    /// the rest of them.
    pub(in crate::evaluator) fn join(&mut self, watermarks: &Watermarks) {
        let Some((waiting, _)) = self.rereading.as_mut().and_then(|reading| reading.joining.as_mut()) else { return };
        let all = watermarks.low() == Timestamp::MAX;
        let mut rows = 0;
        while all || rows < ROWS_OF_A_STEP {
            let Some(key) = waiting.pop_first() else { return };
            let Some(state) = self.keys.get_mut(key) else { continue };
            rows += 1 + state.scans.iter().map(|kept| kept.rows.len()).sum::<usize>();
            if state.changed.is_none() {
                self.dirty.push(key);
            }
            state.changed = Some(Changed::joined(EVERYTHING, false, state.changed));
        }
    }

    /// Goes on as any other rule once every key was looked at. Returns whether it does so from now on.
    pub(in crate::evaluator) fn joined(&mut self) -> bool {
        let is_done = |reading: &mut Rereading| reading.joining.as_ref().is_some_and(|(keys, _)| keys.is_empty());
        let Some((_, coverage)) = self.rereading.take_if(is_done).and_then(|reading| reading.joining) else {
            return false;
        };
        self.set_coverage(coverage);
        true
    }

    /// The step as it is for this rule: while it looks at its past, what was open when it came into force still is.
    pub(super) fn as_it_began<'a>(&self, step: &Step<'a>, began: &'a Option<Arc<Watermarks>>) -> Step<'a> {
        Step { sealed: began.as_deref().unwrap_or(step.sealed), ..*step }
    }

    /// The watermarks when it came into force, while it looks at what was before.
    pub(super) fn began(&self) -> Option<Arc<Watermarks>> {
        self.rereading.as_ref().map(|reading| Arc::clone(&reading.began))
    }
}

/// Whether a rule that was always there would have said this before the rule came into force.
pub(super) fn is_past(rule: &CompiledRule, scans: &[Kept], finding: &Finding, reading: Option<&Rereading>) -> bool {
    let Some(reading) = reading else { return false };
    let was_final = match &rule.speaks {
        Speaks::AtOnce { .. } => true,
        Speaks::AtWatermark { lookahead, .. } => passed(finding.event_time, lookahead, &reading.began, false),
    };
    let evidence = evidence(rule, scans, finding);
    let heard = Plane::ALL.map(|plane| reading.began.heard(plane)).into_iter().max();
    was_final
        && !evidence.iter().any(|row| reading.is_live(&row.segment))
        && (!evidence.is_empty() || heard.is_some_and(|heard| finding.event_time <= heard))
}
