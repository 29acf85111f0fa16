//! `evaluate`: what did the rules find?
//!
//! Matching rows join the keyed state of their (rule, scan). For the keys that changed the rule's cached plan runs over the
//! rows of just those keys, and the difference to what was said before becomes signals: new ones, corrected ones,
//! withdrawn ones. What isn't final yet is held until the watermark makes it so.

mod by_time;
mod coverage;
pub mod ipc;
mod key;
mod limits;
mod memory;
mod plans;
mod reading;
mod record;
mod reload;
mod renaming;
mod rows;
mod rule_state;
mod said;
mod signals;
mod span;
mod status;
mod thin;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watershed_connectors::Partition;
use watershed_rules::CompiledRule;
use watershed_schemas::{Plane, PlaneScores, Severity, Signal, Timestamp};

use crate::matcher::ScanId;
use crate::state::{Change, StateTables};
use crate::store::Commit;
use crate::watermark::Watermarks;

pub use limits::{Limits, ROWS_OF_A_RUN};
pub use reading::Wanted;
pub use record::RULE_PREFIX;
pub use reload::{Reload, Start};
pub use rows::{Owner, Picked, RowRef, Segment, Unreadable, gather, id_hash};
pub use said::SAID_PREFIX;
pub use signals::SIGNAL_PREFIX;
pub use status::{Backfilling, RuleChange, RuleNews, RuleStatus, Tally};
pub(crate) use thin::fingerprint_and_excerpt;
pub use thin::{EvidenceText, FINGERPRINTED, fingerprint, read_columns};

use rule_state::{Admission, RuleState, Step};
use said::StoredStatement;
use signals::Feeds;

/// A rule and how this installation has tuned it.
#[derive(Clone, Debug)]
pub struct RuleSetup {
    /// The rule.
    pub rule: Arc<CompiledRule>,
    /// Its severity here.
    pub severity: Severity,
    /// How much a finding counts for each plane here; absent: what the rule says.
    pub weights: Option<PlaneScores>,
    /// Signals only: no verdict, no page.
    pub shadow: bool,
    /// Whether it is given its past when it is added to a running engine: what other rules still remember, and where that
    /// is not all that it looks back to, the log, read again.
    pub backfill: bool,
    /// Digest of the reference tables that it reads: another one means that they say something else.
    pub reference: String,
}

impl RuleSetup {
    /// The rule as its author wrote it.
    pub fn as_written(rule: Arc<CompiledRule>) -> Self {
        RuleSetup {
            severity: rule.meta.severity,
            weights: None,
            rule,
            shadow: false,
            backfill: false,
            reference: String::new(),
        }
    }

    /// A rule as its author wrote it, after the rules on whose findings its own rest: they say what they find and count for
    /// nothing.
    pub fn with_strata(rule: &Arc<CompiledRule>) -> Vec<Self> {
        let below = rule.strata().into_iter().map(|rule| RuleSetup { shadow: true, ..RuleSetup::as_written(rule) });
        below.chain([RuleSetup::as_written(Arc::clone(rule))]).collect()
    }

    /// How much a finding counts for each plane.
    pub fn weights(&self) -> PlaneScores {
        self.weights.or(self.rule.meta.weights).unwrap_or_else(|| {
            let weight = |plane| if self.rule.meta.plane.planes().contains(&plane) { 1.0 } else { 0.0 };
            PlaneScores { model: weight(Plane::Model), access: weight(Plane::Access) }
        })
    }
}

/// A signal with what the correlator needs beside it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The signal.
    pub signal: Signal,
    /// Position of its rule in the rule set.
    pub rule: usize,
    /// The events that show it. Empty for a withdrawal.
    pub evidence: Vec<RowRef>,
}

/// Told which rule is being evaluated: the shell measures time, the core has no clock.
pub trait Meter: Send {
    /// The rule begins.
    fn enter(&mut self, rule: &str);
    /// It has ended.
    fn leave(&mut self);
}

/// All rules and what they remember.
pub struct Evaluator {
    rules: Vec<RuleState>,
    setups: Vec<RuleSetup>,
    /// What rules say, for those that read it.
    feeds: Feeds,
    limits: Limits,
    /// Whether what came before the first row counts as unseen.
    cold: bool,
    /// Whether rows that come now are not kept, because all rules together hold as much as they may.
    full: bool,
    /// The planes' watermarks after the last step.
    reached: [Timestamp; 2],
    /// What rules that are gone have done.
    past: Tally,
    /// Positions of rules whose state the store knows, between a restart and the first step.
    known: BTreeSet<usize>,
    /// Keys of the store that belong to rules which are gone.
    orphans: Vec<Vec<u8>>,
    news: Vec<RuleNews>,
    /// How far the log was read when the present set of rules came, where it can be read again.
    log: Option<Vec<(Partition, i64)>>,
    /// The ticket of the next reading.
    next_ticket: u64,
    meter: Option<Box<dyn Meter>>,
}

impl Evaluator {
    /// Rules that remember nothing yet. `cold`: what came before the first row is unseen, and not simply absent.
    pub fn new(setups: Vec<RuleSetup>, limits: Limits, cold: bool) -> Self {
        let state = |setup: &RuleSetup| {
            let since = if cold { Timestamp::MAX } else { Timestamp::MIN };
            let coverage = signals::uncovered(&setup.rule, since);
            RuleState::new(Arc::clone(&setup.rule), setup.reference.clone(), coverage)
        };
        Evaluator {
            rules: setups.iter().map(state).collect(),
            feeds: Feeds::new(&setups),
            setups,
            limits,
            cold,
            full: false,
            reached: [Timestamp::MIN; 2],
            past: Tally::default(),
            known: BTreeSet::new(),
            orphans: Vec::new(),
            news: Vec::new(),
            log: None,
            next_ticket: 0,
            meter: None,
        }
    }

    /// The rules with their tuning, in rule set order.
    pub fn setups(&self) -> &[RuleSetup] {
        &self.setups
    }

    /// Who is told which rule is being evaluated.
    pub fn set_meter(&mut self, meter: Box<dyn Meter>) {
        self.meter = Some(meter);
    }

    /// What happened so far, to all rules together.
    pub fn tally(&self) -> Tally {
        let mut all = self.past.clone();
        for state in &self.rules {
            all.add(state.tally());
        }
        all
    }

    /// Rows remembered by each rule, in rule set order.
    pub fn rows(&self) -> impl Iterator<Item = (&str, usize)> {
        self.rules.iter().map(|state| (state.id(), state.rows()))
    }

    /// Keys of each rule that were full at some time, in rule set order.
    pub fn degraded(&self) -> impl Iterator<Item = (&str, u64)> {
        self.rules.iter().map(|state| (state.id(), state.tally().degraded))
    }

    /// Why each stopped rule stopped.
    pub fn quarantined(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rules.iter().filter_map(|state| Some((state.id(), state.stopped()?)))
    }

    /// How each rule stands, in rule set order.
    pub fn statuses<'a>(&'a self, watermarks: &'a Watermarks) -> impl Iterator<Item = RuleStatus> + 'a {
        self.rules.iter().map(move |state| state.status(watermarks))
    }

    /// Bytes that all rules hold beside the segments of events that they share.
    pub fn own_bytes(&self) -> usize {
        self.feeds.bytes() + self.rules.iter().map(RuleState::own_bytes).sum::<usize>()
    }

    /// What a rule holds of these segments, given with their bytes.
    pub fn bytes_of(&self, rule: usize, segments: &BTreeMap<u64, usize>) -> usize {
        self.rules[rule].bytes_of(segments)
    }

    /// Rows of a segment that a rule needs can't be had.
    pub fn lose(&mut self, rule: usize, segment: &Segment) {
        self.rules[rule].lose_segment(segment);
    }

    /// What changed for rules since it was last asked.
    pub fn take_news(&mut self) -> Vec<RuleNews> {
        std::mem::take(&mut self.news)
    }

    /// What the segments take now, counted once, decides whether rows of this step may be kept.
    pub fn begin_step(&mut self, segment_bytes: usize) {
        self.full = segment_bytes + self.own_bytes() >= self.limits.state_bytes;
    }

    /// Whether all rules together held as much as they may when the step began.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Adds rows to the state of scans.
    pub fn add(&mut self, scans: &[ScanId], rows: Picked) {
        self.admit(scans, rows, false);
    }

    fn admit(&mut self, scans: &[ScanId], rows: Picked, past: bool) {
        let admission = self.admission(past);
        let rows = Arc::new(rows);
        for scan in scans {
            self.rules[scan.rule].add(scan.scan, &rows, &admission);
        }
    }

    fn admission(&self, past: bool) -> Admission {
        let [model, access] = self.reached;
        Admission { limits: self.limits, full: self.full, reached: [model, access, Timestamp::MIN], past }
    }

    /// Runs every rule for its changed keys, each after those whose signals it reads. `sealed` are the watermarks before
    /// the rows of this step came: what they had
    /// closed can't change any more, and what they hadn't is still whole in memory.
    /// `known` is what is known of identities, and what of it has changed.
    pub fn evaluate(
        &mut self,
        sealed: &Watermarks,
        watermarks: &Watermarks,
        known: (&StateTables, &[Change]),
        commit: &mut Commit,
    ) -> Vec<Found> {
        let mut found = Vec::new();
        let (state, changes) = known;
        let step = Step { sealed, watermarks, limits: self.limits, known: state };
        let reached = self.reached[Plane::Access.index()];
        for position in self.feeds.order().iter().copied() {
            self.rules[position].begin(watermarks);
            self.rules[position].join(watermarks);
            self.follow(position);
            self.rules[position].state_changed(changes, reached);
            self.rules[position].lose_state(state);
            let state = &mut self.rules[position];
            let mut statements = Vec::new();
            if !state.is_idle() {
                let measured = state.has_changes();
                if let Some(meter) = self.meter.as_mut().filter(|_| measured) {
                    meter.enter(state.id());
                }
                state.evaluate(&step, &mut statements);
                state.release(watermarks, &mut statements);
                if let Some(meter) = self.meter.as_mut().filter(|_| measured) {
                    meter.leave();
                }
            }
            self.show_evidence(position, &mut statements);
            self.feed(position, &statements, sealed, watermarks, commit);
            let state = &mut self.rules[position];
            for statement in statements {
                statement.persist(state.id(), commit);
                found.push(Found {
                    signal: statement.signal(&self.setups[position]),
                    rule: position,
                    evidence: statement.evidence,
                });
            }
            state.end_backfill();
            if state.joined() {
                self.news.push(reading::news(state, None, watermarks));
            }
            if let Some(reason) = state.stop_to_tell() {
                self.news.push(RuleNews {
                    rule: state.id().to_owned(),
                    version: state.version().to_owned(),
                    change: RuleChange::Stopped { reason },
                    warming_until: None,
                });
            }
            if let Some(record) = state.record() {
                record.put(commit);
            }
        }
        self.set_reached(watermarks);
        found.sort_by(|a, b| {
            let order = |found: &Found| (found.signal.event_time, found.rule);
            order(a).cmp(&order(b)).then_with(|| a.signal.signal_id.cmp(&b.signal.signal_id))
        });
        found
    }

    /// Forgets the rows that nothing acceptable can join any more.
    pub fn expire(&mut self, watermarks: &Watermarks, commit: &mut Commit) {
        commit.deletes.append(&mut self.orphans);
        self.feeds.expire(watermarks, commit);
        for state in &mut self.rules {
            state.expire(watermarks, commit);
        }
    }

    /// Stops one rule: the shell has measured that it takes too long.
    pub fn stop(&mut self, rule: &str, reason: &str) {
        if let Some(state) = self.rules.iter_mut().find(|state| state.id() == rule && state.stopped().is_none()) {
            state.stop(reason.to_owned());
        }
    }

    fn set_reached(&mut self, watermarks: &Watermarks) {
        self.reached = Plane::ALL.map(|plane| watermarks.of(plane));
    }
}

/// The newest event time heard on any plane.
fn newest(watermarks: &Watermarks) -> Timestamp {
    Plane::ALL.map(|plane| watermarks.heard(plane)).into_iter().max().unwrap_or(Timestamp::MIN)
}
