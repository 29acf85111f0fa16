//! Rules that ask to be given what the log said before they came into force.

use watershed_connectors::sources::Positions;
use watershed_schemas::Timestamp;

use super::coverage::Coverage;
use super::reload::Start;
use super::rows::{Owner, Picked};
use super::rule_state::{Reading, Rereading, RuleState, needed_since};
use super::status::{RuleChange, RuleNews};
use super::{Evaluator, RuleSetup};
use crate::matcher::ScanId;
use crate::watermark::Watermarks;

/// A part of the log that a rule wants to be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The rule, in the version that asks.
    pub owner: Owner,
    /// Goes with every row: rows for an earlier reading of the same rule are not taken.
    pub ticket: u64,
    /// Of each plane that the rule reads the event time after which it needs every row.
    pub since: [Option<Timestamp>; 2],
    /// Where each partition's log ends for this: what comes from there on the rule gets with all others.
    pub until: Positions,
}

impl Evaluator {
    /// How far the log has been read, where it can be read again for rules that come now.
    pub fn log_read_to(&mut self, log: Positions) {
        self.log = Some(log.into_iter().collect());
    }

    /// What rules want to be given of the log.
    pub fn wanted(&self) -> impl Iterator<Item = Wanted> {
        self.rules.iter().filter(|state| state.wants_more()).filter_map(|state| {
            let reading = state.rereading()?;
            let scans = &state.compiled().scans;
            let mut since = [None::<Timestamp>; 2];
            for (scan, needed) in scans.iter().zip(reading.needs(scans)) {
                let Some(plane) = scan.table.plane() else { continue };
                let since = &mut since[plane.index()];
                *since = Some(since.map_or(needed, |known| known.min(needed)));
            }
            Some(Wanted {
                owner: owner(state),
                ticket: reading.ticket,
                since,
                until: reading.reading.until.iter().cloned().collect(),
            })
        })
    }

    /// Whether some rule has not got all of its past yet.
    pub fn is_reading(&self) -> bool {
        self.rules.iter().any(|state| state.rereading().is_some())
    }

    /// Gives a rule rows of before it came into force.
    pub fn add_past(&mut self, scans: &[ScanId], rows: Picked) {
        self.admit(scans, rows, true);
    }

    /// So much of its log was read for a rule, and it brought so many rows.
    pub fn has_read(&mut self, rule: usize, rows: usize, percent: u8) {
        self.rules[rule].has_read(rows, percent);
    }

    /// The log was read for a rule: every row later than `since`, of each plane, was in it.
    pub fn end_reading(&mut self, rule: usize, since: [Timestamp; 2], failed: Option<String>, watermarks: &Watermarks) {
        let state = &mut self.rules[rule];
        state.end_reading(since);
        if failed.is_some() {
            let told = news(state, failed, watermarks);
            self.news.push(told);
        }
    }

    /// The position of the rule of which this reading is.
    pub fn reader(&self, rule: &str, ticket: u64) -> Option<usize> {
        let reads = |state: &RuleState| state.rereading().is_some_and(|reading| reading.ticket == ticket);
        self.rules.iter().position(|state| state.id() == rule && state.wants_more() && reads(state))
    }

    /// The position of a version of a rule.
    pub fn owner(&self, owner: &Owner) -> Option<usize> {
        self.rules.iter().position(|state| state.id() == owner.rule && state.version() == owner.version)
    }

    /// The reading of a rule that begins, where it asks for one, can have one, and needs one.
    pub(super) fn reading(&mut self, setup: &RuleSetup, coverage: &Coverage, start: &Start<'_>) -> Option<Rereading> {
        let until = self.log.clone().filter(|log| setup.backfill && !log.is_empty())?;
        let needed = setup.rule.scans.iter().map(|scan| needed_since(scan, start.watermarks));
        if needed.zip(&coverage.since).all(|(needed, since)| *since <= needed) {
            return None;
        }
        let reading = Reading { until, began: start.watermarks.snapshot(), first_live: start.next_segment };
        Some(Rereading::new(self.ticket(), reading, start.watermarks))
    }

    /// A reading that a restart has broken off begins anew.
    pub(super) fn read_anew(&mut self, rule: usize, reading: Reading, watermarks: &Watermarks) {
        let ticket = self.ticket();
        self.rules[rule].begin_reading(Rereading::new(ticket, reading, watermarks));
    }

    fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }
}

fn owner(state: &RuleState) -> Owner {
    Owner { rule: state.id().to_owned(), version: state.version().to_owned() }
}

/// That a rule has its past.
pub(super) fn news(state: &RuleState, failed: Option<String>, watermarks: &Watermarks) -> RuleNews {
    RuleNews {
        rule: state.id().to_owned(),
        version: state.version().to_owned(),
        change: RuleChange::Backfilled { failed },
        warming_until: state.warming_until(watermarks),
    }
}
