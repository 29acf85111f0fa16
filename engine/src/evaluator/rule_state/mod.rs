//! What one rule remembers, and what it has said.

mod asleep;
mod keys;
mod lifetime;
mod lost;
mod probe;
mod rereading;
mod run;
mod signals;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use watershed_rules::{CompiledRule, Emit, EvaluateError, Speaks};
use watershed_schemas::{Mark, Plane, SignalReason, Timestamp};

use super::coverage::Coverage;
use super::key::KeyEncoder;
use super::limits::{Limits, Work};
use super::memory::Memory;
use super::plans::Plans;
use super::rows::{Picked, RowRef};
use super::said::{Said, Statement};
use super::span::Span;
use super::status::Tally;
use crate::watermark::Watermarks;

use asleep::{Asleep, Sleeping};
use keys::{Expiries, KeyState, Keys, SlotId};
use probe::Outcome;
use rereading::is_past;
use run::{Failure, is_sealed, say};

pub(super) use rereading::{Reading, Rereading, needed_since};
pub(super) use run::passed;

/// The state of one rule.
pub(super) struct RuleState {
    plans: Plans,
    encoders: Vec<KeyEncoder>,
    keys: Keys,
    /// Keys that changed since they were last evaluated, in the order in which they did.
    dirty: Vec<SlotId>,
    /// For each scan the keys by the times of their rows.
    expiries: Vec<Expiries>,
    /// Rows that nothing can come of yet.
    asleep: Asleep,
    /// Findings that are not final yet, oldest first.
    held: BTreeMap<(Timestamp, String), SlotId>,
    /// What was said of findings whose rows are not here: before a restart, or before the rule was stopped. Their
    /// numbering goes on.
    remembered: HashMap<String, Said>,
    /// What was said before a restart and can't change any more: to be taken out of the store.
    forgotten: Vec<String>,
    coverage: Coverage,
    /// What [`Coverage::warm_after`] says.
    warm_after: Timestamp,
    /// Whether its next statements are about the time before it came into force.
    backfilling: bool,
    /// While the log is read again for it.
    rereading: Option<Rereading>,
    /// Where the log was read again: since when each scan's rows are there without it. Others can be filled with those.
    donated: Option<Vec<Timestamp>>,
    /// Keys for which rows are missing.
    degraded_keys: usize,
    /// Times of outputs for which rows were not kept, of all keys: what a restart knows of it.
    lost: Option<Span>,
    /// The same from before the last restart, when it was known for each key.
    lost_before: Option<Span>,
    memory: Memory,
    work: Work,
    tally: Tally,
    stopped: Option<String>,
    /// Whether nobody was told yet that it was stopped.
    stop_untold: bool,
    /// Whether the store has an older record of it.
    unrecorded: bool,
}

/// The times of outputs that new rows can touch.
#[derive(Clone, Copy)]
struct Changed {
    all: Span,
    /// By rows that came after their plane's watermark.
    late: Option<Span>,
}

impl Changed {
    fn joined(touched: Span, late: bool, other: Option<Changed>) -> Changed {
        let late_before = other.and_then(|other| other.late);
        Changed {
            all: touched.joined(other.map(|other| other.all)),
            late: if late { Some(touched.joined(late_before)) } else { late_before },
        }
    }
}

/// What rows are taken in under.
#[derive(Clone, Copy)]
pub(super) struct Admission {
    pub(super) limits: Limits,
    /// Whether all rules together hold as much as they may.
    pub(super) full: bool,
    /// For each table (by [`watershed_schemas::Table::index`]) the time before which rows are late: the planes' watermarks
    /// before the present step; of signals either all or none.
    pub(super) reached: [Timestamp; 3],
    /// Whether the rows are of the past and only put where they belong.
    pub(super) past: bool,
}

/// What keys are evaluated under.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    /// The watermarks before the step: what they had closed can't change any more.
    pub(super) sealed: &'a Watermarks,
    pub(super) watermarks: &'a Watermarks,
    pub(super) limits: Limits,
}

impl Step<'_> {
    /// The newest event time heard.
    fn now_micros(&self) -> i64 {
        Plane::ALL.map(|plane| self.watermarks.heard(plane).micros()).into_iter().max().unwrap_or(i64::MIN)
    }
}

impl RuleState {
    pub(super) fn new(rule: Arc<CompiledRule>, reference: String, coverage: Coverage) -> Self {
        let encoders: Result<Vec<_>, _> = rule.scans.iter().map(KeyEncoder::new).collect();
        let (encoders, stopped) = match encoders {
            Ok(encoders) => (encoders, None),
            Err(error) => (Vec::new(), Some(format!("its key can't be encoded: {error}"))),
        };
        RuleState {
            encoders,
            keys: Keys::default(),
            dirty: Vec::new(),
            expiries: rule.scans.iter().map(|_| Expiries::default()).collect(),
            asleep: Asleep::new(rule.scans.len()),
            held: BTreeMap::new(),
            remembered: HashMap::new(),
            forgotten: Vec::new(),
            warm_after: coverage.warm_after(&rule.scans),
            coverage,
            backfilling: false,
            rereading: None,
            donated: None,
            degraded_keys: 0,
            lost: None,
            lost_before: None,
            memory: Memory::default(),
            work: Work::default(),
            tally: Tally::default(),
            stop_untold: stopped.is_some(),
            stopped,
            unrecorded: true,
            plans: Plans::new(rule, reference),
        }
    }

    fn rule(&self) -> &Arc<CompiledRule> {
        &self.plans.current
    }

    pub(super) fn compiled(&self) -> &CompiledRule {
        &self.plans.current
    }

    pub(super) fn id(&self) -> &str {
        &self.rule().meta.id
    }

    pub(super) fn version(&self) -> &str {
        &self.rule().version
    }

    pub(super) fn rows(&self) -> usize {
        self.memory.rows()
    }

    pub(super) fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Bytes that no other rule shares.
    pub(super) fn own_bytes(&self) -> usize {
        self.memory.own_bytes(self.keys.len())
    }

    /// Whether some of its keys have changed since they were evaluated.
    pub(super) fn has_changes(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Whether a step has nothing to do for it.
    pub(super) fn is_idle(&self) -> bool {
        self.dirty.is_empty() && self.held.is_empty()
    }

    /// Takes rows into a scan's memory.
    pub(super) fn add(&mut self, scan: usize, rows: &Arc<Picked>, admission: &Admission) {
        if self.stopped.is_some() || rows.segment.id < self.coverage.first_segment {
            return;
        }
        let full = admission.full || self.memory.bytes(self.keys.len()) >= admission.limits.rule_bytes;
        let reached = admission.reached[rows.segment.table.index()];
        let rule = Arc::clone(self.rule());
        rows.segment.needed_for(&rule.scans[scan].keep);
        if !full && self.rereading.is_none() && self.asleep.lacks_another(&rule.scans, scan) {
            if rows.segment.table.plane().is_none() {
                // Signals are few, and may be taken back.
                return self.take_in(scan, rows, admission, reached);
            }
            self.memory.hold(&rows.segment, rows.rows.len());
            self.asleep.put(scan, Arc::clone(rows), reached);
            return;
        }
        for (scan, Sleeping { rows, reached }) in self.asleep.wake() {
            self.memory.let_go(&rows.segment, rows.rows.len());
            self.take_in(scan, &rows, &Admission { full: false, ..*admission }, reached);
        }
        self.take_in(scan, rows, &Admission { full, ..*admission }, reached);
    }

    /// Puts rows to their keys.
    fn take_in(&mut self, scan: usize, rows: &Picked, admission: &Admission, reached: Timestamp) {
        if self.stopped.is_some() {
            return;
        }
        let Picked { segment, rows, .. } = rows;
        let Ok(batch) = segment.rows() else { return self.lose_segment(segment) };
        let keys = match self.encoders[scan].keys(&batch, rows) {
            Ok(keys) => keys,
            Err(error) => return self.stop(format!("its key can't be encoded: {error}")),
        };
        let rule = Arc::clone(self.rule());
        let mut held = 0;
        for (position, row) in rows.iter().enumerate() {
            let time = segment.event_time(*row);
            let touched = Span::touched_by(time, rule.scans[scan].around);
            let slot = self.keys.slot(keys.get(position), rule.scans.len());
            let Some(state) = self.keys.get_mut(slot) else { continue };
            let kept = &mut state.scans[scan];
            // Also for a row that is not kept: its key is looked at again when the row would have gone.
            self.expiries[scan].list(time, slot, kept);
            if admission.full || kept.rows.len() >= admission.limits.rows_per_key {
                self.tally.capped += 1;
                if state.degraded.is_some_and(|degraded| degraded.covers(touched)) {
                    continue;
                }
                self.degraded_keys += usize::from(state.degraded.is_none());
                self.tally.degraded += u64::from(state.degraded.is_none());
                state.degraded = Some(touched.joined(state.degraded));
                self.lost = Some(touched.joined(self.lost));
                self.unrecorded = true;
            } else {
                let new = RowRef { segment: Arc::clone(segment), row: *row };
                // Rows mostly come in order.
                match kept.rows.last() {
                    Some(last) if last.order() >= new.order() => {
                        let at = kept.rows.partition_point(|row| row.order() < new.order());
                        // What was read again may come again, or have come.
                        if kept.rows[at].order() == new.order() {
                            continue;
                        }
                        kept.rows.insert(at, new);
                    }
                    _ => kept.rows.push(new),
                }
                held += 1;
            }
            if admission.past {
                continue;
            }
            let touched = self.rereading.as_mut().map_or(touched, |reading| reading.touched(slot, touched));
            if state.changed.is_none() {
                self.dirty.push(slot);
            }
            state.changed = Some(Changed::joined(touched, time < reached, state.changed));
        }
        self.memory.hold(segment, held);
        self.asleep.added(scan, held);
    }

    /// Runs the plan for the changed keys.
    pub(super) fn evaluate(&mut self, step: &Step<'_>, statements: &mut Vec<Statement>) {
        let began = self.began();
        let step = &self.as_it_began(step, &began);
        let dirty = std::mem::take(&mut self.dirty);
        let Some(encoder) = self.encoders.first() else { return };
        let outcomes = probe::outcomes(&self.plans, encoder, &self.keys, &dirty);
        for (slot, outcome) in dirty.into_iter().zip(outcomes) {
            match self.evaluate_key(slot, outcome, step, statements) {
                Err(error) => return self.stop(error.reason),
                Ok(done) if done > step.limits.rule_work => {
                    return self.stop(format!(
                        "its plans read {done} rows within an hour of event time, the budget is {}; narrow its filters \
                         or windows, or raise `limits.rule_work`",
                        step.limits.rule_work
                    ));
                }
                Ok(_) => {}
            }
        }
        let bytes = self.memory.bytes(self.keys.len());
        if bytes > step.limits.rule_bytes_stop {
            self.stop(format!(
                "it holds {bytes} bytes, the budget is {}; narrow its filters or windows, or raise `limits.rule_memory_stop`",
                step.limits.rule_bytes_stop
            ));
        }
    }

    /// Evaluates one key; returns the rule's work of the present hour.
    fn evaluate_key(
        &mut self,
        slot: SlotId,
        outcome: Outcome,
        step: &Step<'_>,
        statements: &mut Vec<Statement>,
    ) -> Result<u64, EvaluateError> {
        let rule = Arc::clone(self.rule());
        let Some(state) = self.keys.get_mut(slot) else { return Ok(0) };
        let Some(changed) = state.changed.take() else { return Ok(0) };
        let span = changed.all;
        let (read, evaluations) = (self.tally.rows_read, self.tally.evaluations);
        let findings = match outcome {
            Outcome::Alone => match run::run(&self.plans, state, span, &mut self.tally) {
                Ok(findings) => findings,
                Err(Failure::Plan(error)) => return Err(error),
                Err(Failure::Unreadable) => {
                    self.lose(slot, span);
                    return Ok(0);
                }
            },
            Outcome::Guarded => {
                self.tally.guarded += 1;
                Vec::new()
            }
            Outcome::Found { rows, findings } => {
                self.tally.evaluations += 1;
                self.tally.rows_read += rows;
                findings
            }
        };
        let mut done = 0;
        if self.tally.evaluations > evaluations {
            done = self.work.add(self.tally.rows_read - read, step.now_micros());
        }
        if findings.is_empty() && state.spoken.is_none() {
            return Ok(done);
        }
        state.spoken_mut();
        let KeyState { spoken: Some(spoken), scans, degraded, .. } = state else { return Ok(done) };
        let degraded = *degraded;
        let judged = |time: Timestamp| span.holds(time) && self.plans.judges(time);
        let stands = |id: &str| spoken.said.get(id).is_some_and(|said| !said.withdrawn);
        let mut gone: BTreeSet<String> = spoken
            .said
            .within(span)
            .filter(|(time, id)| self.plans.judges(*time) && stands(id))
            .map(|(_, id)| id.to_owned())
            .collect();
        let affected: Vec<String> = spoken.held.within(span).map(|(_, id)| id.to_owned()).collect();
        for id in affected {
            if let Some(finding) = spoken.held.remove(&id) {
                self.memory.forget(&finding);
                self.held.remove(&(finding.event_time, id));
            }
        }
        for finding in findings {
            gone.remove(&finding.signal_id);
            let time = finding.event_time;
            if is_sealed(&rule, time, step.sealed) {
                continue;
            }
            let known = spoken.said.get(&finding.signal_id);
            let stands = known.is_some_and(|said| !said.withdrawn);
            // The least row of a key stands for it: one said before the span is not replaced by a later one.
            if known.is_some_and(|said| !said.withdrawn && said.event_time < time && !judged(said.event_time)) {
                continue;
            }
            if spoken.held.get(&finding.signal_id).is_some_and(|held| held.event_time < time) {
                continue;
            }
            let past = self.backfilling || is_past(&rule, scans, &finding, self.rereading.as_ref());
            let marks = marks(degraded, self.lost_before, self.warm_after, past, time);
            let mut waits = false;
            if let Speaks::AtWatermark { lookahead, .. } = &rule.speaks
                && !stands
            {
                // What is not there can't be told from what was not kept, or not seen.
                if marks.contains(&Mark::Degraded) {
                    self.tally.suppressed += 1;
                    continue;
                }
                if marks.contains(&Mark::Partial) {
                    self.tally.held_back += 1;
                    continue;
                }
                waits = rule.meta.emit != Emit::Early && !passed(time, lookahead, step.watermarks, false);
            }
            if waits {
                self.held.insert((time, finding.signal_id.clone()), slot);
                self.memory.remember(&finding);
                if let Some(later) = spoken.held.insert(finding.signal_id.clone(), finding) {
                    self.memory.forget(&later);
                    self.held.remove(&(later.event_time, later.signal_id));
                }
            } else {
                let late = changed.late.is_some_and(|late| late.holds(time));
                say(&rule, scans, spoken, finding, marks, late, &mut self.remembered, &mut self.memory, statements);
            }
        }
        for id in gone {
            let Some(finding) = spoken.last.get(&id).cloned() else { continue };
            let Some(mut said) = spoken.said.get(&id).cloned() else { continue };
            if is_sealed(&rule, said.event_time, step.sealed) {
                continue;
            }
            said.withdrawn = true;
            said.revision += 1;
            spoken.said.insert(id, said.clone());
            let late = changed.late.is_some_and(|late| late.holds(finding.event_time));
            statements.push(Statement {
                said,
                reason: if late { SignalReason::LateEvidence } else { SignalReason::Disproved },
                marks: marks(degraded, self.lost_before, self.warm_after, self.backfilling, finding.event_time),
                evidence: Vec::new(),
                finding,
            });
        }
        Ok(done)
    }

    /// Says what the watermark has made final.
    pub(super) fn release(&mut self, watermarks: &Watermarks, statements: &mut Vec<Statement>) {
        let rule = Arc::clone(self.rule());
        let Speaks::AtWatermark { lookahead, .. } = &rule.speaks else { return };
        while let Some(((time, _), _)) = self.held.first_key_value() {
            if !passed(*time, lookahead, watermarks, false) {
                return;
            }
            let Some(((time, id), slot)) = self.held.pop_first() else { return };
            let Some(KeyState { spoken: Some(spoken), scans, degraded, .. }) = self.keys.get_mut(slot) else {
                continue;
            };
            let Some(finding) = spoken.held.remove(&id) else { continue };
            self.memory.forget(&finding);
            let marks = marks(*degraded, self.lost_before, self.warm_after, self.backfilling, time);
            if marks.contains(&Mark::Degraded) {
                self.tally.suppressed += 1;
                continue;
            }
            say(&rule, scans, spoken, finding, marks, false, &mut self.remembered, &mut self.memory, statements);
        }
    }
}

/// What was not whole behind an output of this time.
fn marks(
    degraded: Option<Span>,
    lost_before: Option<Span>,
    warm_after: Timestamp,
    backfilling: bool,
    time: Timestamp,
) -> BTreeSet<Mark> {
    let lost = [degraded, lost_before].into_iter().flatten().any(|span| span.holds(time));
    let partial = warm_after != Timestamp::MIN && time <= warm_after;
    [(partial, Mark::Partial), (lost, Mark::Degraded), (backfilling, Mark::Backfilled)]
        .into_iter()
        .filter_map(|(holds, mark)| holds.then_some(mark))
        .collect()
}
