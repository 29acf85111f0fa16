//! What one rule remembers, and what it has said.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use watershed_rules::{CompiledRule, EvaluateError, Finding, Speaks};
use watershed_schemas::{Plane, Timestamp};

use super::key::{Key, KeyEncoder};
use super::rows::{RowRef, Segment, gather};
use super::{Said, Statement, Tally};
use crate::store::Commit;
use crate::watermark::Watermarks;

/// The state of one rule.
pub(super) struct RuleState {
    rule: Arc<CompiledRule>,
    encoders: Vec<KeyEncoder>,
    keys: HashMap<Key, KeyState>,
    /// Keys that changed since they were last evaluated, in the order in which they did.
    dirty: Vec<Key>,
    /// For each scan its rows' times with their keys, oldest first.
    expiries: Vec<BinaryHeap<Reverse<(Timestamp, Key)>>>,
    /// Findings that are not final yet, oldest first.
    held: BTreeMap<(Timestamp, String), Key>,
    /// What was said before a restart of findings that had been withdrawn: their numbering goes on.
    withdrawn_before: HashMap<String, Said>,
    /// What was said before a restart and can't change any more: to be taken out of the store.
    forgotten: Vec<String>,
    rows_per_key: usize,
    rows: usize,
    /// Keys that were full at some time.
    degraded_keys: u64,
    quarantined: Option<String>,
}

/// A closed span of event times, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    least: i64,
    most: i64,
}

impl Span {
    /// The times of outputs that a row of this time can take part in, where rows lie `around` their outputs.
    fn touched_by(time: Timestamp, around: (i64, i64)) -> Span {
        Span { least: time.micros().saturating_sub(around.1), most: time.micros().saturating_sub(around.0) }
    }

    /// The times of rows that outputs of this span can see.
    fn seen(self, around: (i64, i64)) -> Span {
        Span { least: self.least.saturating_add(around.0), most: self.most.saturating_add(around.1) }
    }

    fn joined(self, other: Option<Span>) -> Span {
        match other {
            None => self,
            Some(other) => Span { least: self.least.min(other.least), most: self.most.max(other.most) },
        }
    }

    fn holds(self, time: Timestamp) -> bool {
        (self.least..=self.most).contains(&time.micros())
    }

    /// The rows within the span, of rows ordered by time.
    fn slice(self, rows: &[RowRef]) -> &[RowRef] {
        let time = |row: &RowRef| row.segment.event_time(row.row).micros();
        let start = rows.partition_point(|row| time(row) < self.least);
        let end = rows.partition_point(|row| time(row) <= self.most);
        &rows[start..end.max(start)]
    }
}

#[derive(Default)]
struct KeyState {
    /// For each scan its rows, ordered by time and id.
    scans: Vec<Vec<RowRef>>,
    said: BTreeMap<String, Said>,
    last: BTreeMap<String, Finding>,
    held: BTreeMap<String, Finding>,
    /// The output times that rows which came since the last evaluation can touch.
    changed: Option<Span>,
    /// A scan was full: what must be complete to be true is not said for this key any more.
    degraded: bool,
}

impl RuleState {
    pub(super) fn new(rule: Arc<CompiledRule>, rows_per_key: usize) -> Self {
        let encoders: Result<Vec<_>, _> = rule.scans.iter().map(KeyEncoder::new).collect();
        let (encoders, quarantined) = match encoders {
            Ok(encoders) => (encoders, None),
            Err(error) => (Vec::new(), Some(format!("its key can't be encoded: {error}"))),
        };
        let expiries = rule.scans.iter().map(|_| BinaryHeap::new()).collect();
        RuleState {
            rule,
            encoders,
            keys: HashMap::new(),
            dirty: Vec::new(),
            expiries,
            held: BTreeMap::new(),
            withdrawn_before: HashMap::new(),
            forgotten: Vec::new(),
            rows_per_key,
            rows: 0,
            degraded_keys: 0,
            quarantined,
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.rule.meta.id
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn degraded_keys(&self) -> u64 {
        self.degraded_keys
    }

    pub(super) fn quarantined(&self) -> Option<&str> {
        self.quarantined.as_deref()
    }

    pub(super) fn add(&mut self, scan: usize, segment: &Arc<Segment>, rows: &[u32], tally: &mut Tally) {
        if self.quarantined.is_some() {
            return;
        }
        let keys = match self.encoders[scan].keys(&segment.rows, rows) {
            Ok(keys) => keys,
            Err(error) => return self.quarantine(format!("its key can't be encoded: {error}")),
        };
        for (row, key) in rows.iter().zip(&keys) {
            let scans = self.rule.scans.len();
            let state = self
                .keys
                .entry(Arc::clone(key))
                .or_insert_with(|| KeyState { scans: vec![Vec::new(); scans], ..KeyState::default() });
            let kept = &mut state.scans[scan];
            if kept.len() >= self.rows_per_key {
                self.degraded_keys += u64::from(!state.degraded);
                state.degraded = true;
                tally.capped += 1;
                continue;
            }
            let new = RowRef { segment: Arc::clone(segment), row: *row };
            let at = kept.partition_point(|row| row.order() <= new.order());
            kept.insert(at, new);
            self.rows += 1;
            self.expiries[scan].push(Reverse((segment.event_time(*row), Arc::clone(key))));
            if state.changed.is_none() {
                self.dirty.push(Arc::clone(key));
            }
            let touched = Span::touched_by(segment.event_time(*row), self.rule.scans[scan].around);
            state.changed = Some(touched.joined(state.changed));
        }
    }

    /// Runs the plan for the changed keys.
    pub(super) fn evaluate(
        &mut self,
        sealed: &Watermarks,
        watermarks: &Watermarks,
        statements: &mut Vec<Statement>,
        tally: &mut Tally,
    ) {
        for key in std::mem::take(&mut self.dirty) {
            if let Err(error) = self.evaluate_key(&key, sealed, watermarks, statements, tally) {
                return self.quarantine(error.reason);
            }
        }
    }

    fn evaluate_key(
        &mut self,
        key: &Key,
        sealed: &Watermarks,
        watermarks: &Watermarks,
        statements: &mut Vec<Statement>,
        tally: &mut Tally,
    ) -> Result<(), EvaluateError> {
        let Some(state) = self.keys.get_mut(key) else { return Ok(()) };
        let Some(span) = state.changed.take() else { return Ok(()) };
        let findings = run(&self.rule, state, span, tally)?;
        let standing = state.said.iter().filter(|(_, said)| !said.withdrawn && span.holds(said.event_time));
        let mut gone: BTreeSet<String> = standing.map(|(id, _)| id.clone()).collect();
        let held = &mut self.held;
        state.held.retain(|id, finding| {
            let affected = span.holds(finding.event_time);
            if affected {
                held.remove(&(finding.event_time, id.clone()));
            }
            !affected
        });
        for finding in findings {
            gone.remove(&finding.signal_id);
            if is_sealed(&self.rule, finding.event_time, sealed) {
                continue;
            }
            let known = state.said.get(&finding.signal_id);
            // The least row of a key stands for it: one said before the span is not replaced by a later one.
            if known.is_some_and(|said| {
                !said.withdrawn && said.event_time < finding.event_time && !span.holds(said.event_time)
            }) {
                continue;
            }
            let waits = match &self.rule.speaks {
                Speaks::AtOnce { .. } => false,
                Speaks::AtWatermark { .. } if state.degraded => continue,
                Speaks::AtWatermark { lookahead, .. } => {
                    !matches!(self.rule.meta.emit, watershed_rules::Emit::Early)
                        && known.is_none_or(|said| said.withdrawn)
                        && !passed(finding.event_time, lookahead, watermarks, false)
                }
            };
            if waits {
                self.held.insert((finding.event_time, finding.signal_id.clone()), Arc::clone(key));
                state.held.insert(finding.signal_id.clone(), finding);
            } else {
                say(&self.rule, state, finding, &mut self.withdrawn_before, statements);
            }
        }
        for id in gone {
            let Some(said) = state.said.get_mut(&id) else { continue };
            if is_sealed(&self.rule, said.event_time, sealed) {
                continue;
            }
            let Some(finding) = state.last.get(&id).cloned() else { continue };
            said.withdrawn = true;
            said.revision += 1;
            statements.push(Statement { finding, said: said.clone(), evidence: Vec::new() });
        }
        Ok(())
    }

    /// Says what the watermark has made final.
    pub(super) fn release(&mut self, watermarks: &Watermarks, statements: &mut Vec<Statement>) {
        let Speaks::AtWatermark { lookahead, .. } = &self.rule.speaks else { return };
        while let Some(((time, _), _)) = self.held.first_key_value() {
            if !passed(*time, lookahead, watermarks, false) {
                return;
            }
            let Some(((_, id), key)) = self.held.pop_first() else { return };
            let Some(state) = self.keys.get_mut(&key) else { continue };
            let finding = state.held.remove(&id);
            // Since it was found a row was cut that might have made it false.
            if let Some(finding) = finding.filter(|_| !state.degraded) {
                say(&self.rule, state, finding, &mut self.withdrawn_before, statements);
            }
        }
    }

    /// Forgets rows, and what was said of findings that nothing can change any more.
    pub(super) fn expire(&mut self, watermarks: &Watermarks, commit: &mut Commit) {
        let rule = &self.rule;
        let mut forgotten = std::mem::take(&mut self.forgotten);
        self.withdrawn_before.retain(|id, said| {
            let sealed = is_sealed(rule, said.event_time, watermarks);
            if sealed {
                forgotten.push(id.clone());
            }
            !sealed
        });
        // Their order must not reach the store.
        forgotten.sort_unstable();
        commit.deletes.extend(forgotten.iter().map(|id| Statement::key(&rule.meta.id, id)));
        let mut touched: BTreeMap<Key, ()> = BTreeMap::new();
        for (scan, expiries) in self.rule.scans.iter().zip(&mut self.expiries) {
            while let Some(Reverse((time, _))) = expiries.peek() {
                if !passed(*time, &scan.keep, watermarks, true) {
                    break;
                }
                if let Some(Reverse((_, key))) = expiries.pop() {
                    touched.insert(key, ());
                }
            }
        }
        for key in touched.into_keys() {
            let Some(state) = self.keys.get_mut(&key) else { continue };
            for (scan, rows) in self.rule.scans.iter().zip(&mut state.scans) {
                let before = rows.len();
                let live =
                    rows.partition_point(|row| passed(row.segment.event_time(row.row), &scan.keep, watermarks, true));
                rows.drain(..live);
                self.rows -= before - rows.len();
            }
            let rule = &self.rule;
            let last = &mut state.last;
            state.said.retain(|id, said| {
                let sealed = is_sealed(rule, said.event_time, watermarks);
                if sealed {
                    last.remove(id);
                    commit.deletes.push(Statement::key(&rule.meta.id, id));
                }
                !sealed
            });
            if state.scans.iter().all(Vec::is_empty) && state.held.is_empty() {
                for id in state.said.keys() {
                    commit.deletes.push(Statement::key(&rule.meta.id, id));
                }
                self.keys.remove(&key);
            }
        }
    }

    /// Takes up what had been said before a restart. All rows are back, none is new.
    pub(super) fn resume(&mut self, mut said: HashMap<String, Said>, watermarks: &Watermarks, tally: &mut Tally) {
        let mut again = Vec::new();
        for key in std::mem::take(&mut self.dirty) {
            let Some(state) = self.keys.get_mut(&key) else { continue };
            let Some(span) = state.changed.take() else { continue };
            let mut unsaid = false;
            let findings = match run(&self.rule, state, span, tally) {
                Ok(findings) => findings,
                Err(error) => return self.quarantine(error.reason),
            };
            for finding in findings {
                let stands = said.get(&finding.signal_id).map(|said| !said.withdrawn);
                if let Some(said) = said.remove(&finding.signal_id) {
                    state.said.insert(finding.signal_id.clone(), said);
                    state.last.insert(finding.signal_id.clone(), finding.clone());
                }
                // One that was withdrawn, and is true again, waits to be said again.
                if stands == Some(true) || is_sealed(&self.rule, finding.event_time, watermarks) {
                    continue;
                }
                match self.rule.speaks {
                    Speaks::AtOnce { .. } => unsaid = true,
                    Speaks::AtWatermark { .. } if state.degraded => {}
                    Speaks::AtWatermark { .. } => {
                        self.held.insert((finding.event_time, finding.signal_id.clone()), Arc::clone(&key));
                        state.held.insert(finding.signal_id.clone(), finding);
                    }
                }
            }
            if unsaid {
                state.changed = Some(span);
                again.push(key);
            }
        }
        self.dirty = again;
        // What was not found again and stands is sealed: its rows have gone.
        self.forgotten = said.iter().filter(|(_, said)| !said.withdrawn).map(|(id, _)| id.clone()).collect();
        said.retain(|_, said| said.withdrawn);
        self.withdrawn_before = said;
    }

    fn quarantine(&mut self, reason: String) {
        self.quarantined = Some(reason);
        self.keys.clear();
        self.dirty.clear();
        self.held.clear();
        self.expiries.iter_mut().for_each(BinaryHeap::clear);
        self.rows = 0;
    }
}

/// Runs the plan over the rows of one key that outputs of the span can see, unless a guard shows that it can't yield
/// anything. Outputs beyond the span may lack rows and are left out.
fn run(rule: &CompiledRule, state: &KeyState, span: Span, tally: &mut Tally) -> Result<Vec<Finding>, EvaluateError> {
    let slices: Vec<&[RowRef]> =
        rule.scans.iter().zip(&state.scans).map(|(scan, rows)| span.seen(scan.around).slice(rows)).collect();
    if rule.scans.iter().zip(&slices).any(|(scan, rows)| rows.len() < scan.min_rows) {
        tally.guarded += 1;
        return Ok(Vec::new());
    }
    tally.evaluations += 1;
    let inputs: Result<Vec<RecordBatch>, _> =
        rule.scans.iter().zip(&slices).map(|(scan, rows)| gather(scan.plane, &scan.projection, rows)).collect();
    let inputs = inputs.map_err(|error| EvaluateError { rule: rule.meta.id.clone(), reason: error.to_string() })?;
    let mut findings = rule.evaluate(&inputs)?;
    findings.retain(|finding| span.holds(finding.event_time));
    Ok(findings)
}

/// Says a finding, or corrects what was said of it; says nothing where nothing changed.
fn say(
    rule: &CompiledRule,
    state: &mut KeyState,
    finding: Finding,
    withdrawn_before: &mut HashMap<String, Said>,
    statements: &mut Vec<Statement>,
) {
    let fingerprint = fingerprint(&finding);
    let before = state.said.remove(&finding.signal_id).or_else(|| withdrawn_before.remove(&finding.signal_id));
    let unchanged = before.as_ref().is_some_and(|said| !said.withdrawn && said.fingerprint == fingerprint);
    let said = Said {
        revision: before.map_or(1, |said| if unchanged { said.revision } else { said.revision + 1 }),
        withdrawn: false,
        fingerprint,
        event_time: finding.event_time,
    };
    state.said.insert(finding.signal_id.clone(), said.clone());
    if !unchanged {
        let evidence = evidence(rule, state, &finding);
        state.last.insert(finding.signal_id.clone(), finding.clone());
        statements.push(Statement { finding, said, evidence });
    }
}

/// The rows behind a finding's evidence ids, once each, ordered by time and id.
fn evidence(rule: &CompiledRule, state: &KeyState, finding: &Finding) -> Vec<RowRef> {
    let moment = Span { least: finding.event_time.micros(), most: finding.event_time.micros() };
    let mut rows: Vec<RowRef> = Vec::new();
    for (scan, kept) in rule.scans.iter().zip(&state.scans) {
        for row in moment.seen(scan.around).slice(kept) {
            let id = row.segment.event_id(row.row);
            if finding.evidence.binary_search_by(|known| known.as_str().cmp(id)).is_ok() {
                rows.push(row.clone());
            }
        }
    }
    // Several scans may have kept the same row.
    let order = |a: &RowRef, b: &RowRef| (a.order(), a.segment.plane).cmp(&(b.order(), b.segment.plane));
    rows.sort_by(order);
    rows.dedup_by(|a, b| order(a, b).is_eq());
    rows
}

fn fingerprint(finding: &Finding) -> u64 {
    // `DefaultHasher::new` has fixed keys: the same finding has the same fingerprint after a restart.
    let mut hasher = DefaultHasher::new();
    (&finding.principal, &finding.session_id, finding.event_time, &finding.evidence).hash(&mut hasher);
    serde_json::to_string(&finding.details).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

/// Whether no acceptable row can change an output of this time any more.
fn is_sealed(rule: &CompiledRule, event_time: Timestamp, watermarks: &Watermarks) -> bool {
    passed(event_time, &rule.lookahead, watermarks, true)
}

/// Whether every named plane's watermark (less the allowed lateness, where `late` rows count) has passed the time by its bound.
fn passed(time: Timestamp, bounds: &[Option<i64>; 2], watermarks: &Watermarks, late: bool) -> bool {
    Plane::ALL.into_iter().all(|plane| match bounds[plane.index()] {
        None => true,
        Some(bound) => {
            let lateness = if late { watermarks.lateness_micros(plane) } else { 0 };
            watermarks.of(plane).plus_micros(-lateness) > time.plus_micros(bound)
        }
    })
}
