//! Rows of the log that are given to one rule alone: what was before it came into force.

use std::collections::BTreeMap;
use std::sync::Arc;

use watershed_schemas::{ColumnSet, EventBatch, Plane, Timestamp};

use super::Core;
use crate::acceptance;
use crate::evaluator::{Evaluator, Owner, Picked, Segment, Wanted};
use crate::matcher::{Matched, Matcher, ScanId};
use crate::store::Commit;

/// What has been read again.
#[derive(Debug)]
pub enum Past {
    /// Rows of before the rule came into force.
    Rows {
        /// The rows.
        batch: EventBatch,
        /// How much of the log was read with them, of a hundred.
        percent: u8,
    },
    /// There is nothing more. Of each plane every row later than `since` was there; [`Timestamp::MIN`]: all rows.
    End {
        /// [`Timestamp::MAX`] where nothing can be said.
        since: [Timestamp; 2],
        /// Why the log could not be read, where it could not.
        failed: Option<String>,
    },
}

/// A part of the log that a rule wants to be given, and the columns that its conditions read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backfill {
    /// Which part, for which rule.
    pub wanted: Wanted,
    /// For each plane the columns that must be decoded at once.
    pub columns: [ColumnSet; 2],
}

/// Finds what single rules can use.
#[derive(Default)]
pub(super) struct Readers {
    matchers: BTreeMap<Owner, Matcher>,
}

impl Readers {
    /// The matcher of one rule, and the rule's position.
    fn of(&mut self, owner: &Owner, evaluator: &Evaluator) -> Option<(usize, &mut Matcher)> {
        let position = evaluator.owner(owner)?;
        if !self.matchers.contains_key(owner) {
            let rule = Arc::clone(&evaluator.setups()[position].rule);
            self.matchers.insert(owner.clone(), Matcher::new(&[rule]));
        }
        Some((position, self.matchers.get_mut(owner)?))
    }

    /// Forgets what is not in use.
    pub(super) fn clear(&mut self) {
        self.matchers.clear();
    }
}

impl Core {
    /// What rules want to be given of the log. The same part is wanted until its end is given.
    pub fn backfills(&mut self) -> Vec<Backfill> {
        let wanted: Vec<Wanted> = self.evaluator.wanted().collect();
        let mut backfills = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            if let Some((_, matcher)) = self.readers.of(&wanted.owner, &self.evaluator) {
                backfills.push(Backfill { columns: Plane::ALL.map(|plane| matcher.columns(plane)), wanted });
            }
        }
        backfills
    }

    /// Whether some rule is being given its past.
    pub fn is_giving_pasts(&self) -> bool {
        self.evaluator.is_reading()
    }

    /// Takes in what was read again for a rule.
    pub(super) fn take_past(&mut self, rule: &str, ticket: u64, past: Past, commit: &mut Commit) {
        // It may be gone, or be another one now.
        let Some(position) = self.evaluator.reader(rule, ticket) else { return };
        match past {
            Past::Rows { batch, percent } => {
                let rows = self.add_past(position, &batch, commit);
                self.evaluator.has_read(position, rows, percent);
            }
            Past::End { since, failed } => {
                self.evaluator.end_reading(position, since, failed, &self.watermarks);
                self.readers.clear();
            }
        }
    }

    /// Returns how many of the rows the rule can use.
    fn add_past(&mut self, position: usize, batch: &EventBatch, commit: &mut Commit) -> usize {
        let rule = &self.evaluator.setups()[position].rule;
        let owner = Owner { rule: rule.meta.id.clone(), version: rule.version.clone() };
        // Which rows came too late then, the log does not tell.
        let accepted = acceptance::not_from_the_future(batch, self.settings.skew);
        let Some((_, matcher)) = self.readers.of(&owner, &self.evaluator) else { return 0 };
        let matches = matcher.find(batch, accepted.as_deref());
        if matches.rows.is_empty() {
            return 0;
        }
        let keep = self.kept[batch.plane.index()];
        let Some(segment) = self.segments.add_for(Some(owner), batch, &matches.rows, keep, commit) else { return 0 };
        for Matched { scans, rows } in matches.scans {
            let rows = Picked::new(&segment, super::within(&matches.rows, &rows));
            self.evaluator.add_past(&of(position, &scans), rows);
        }
        matches.rows.len()
    }

    /// After a restart: gives a rule what had been read again for it.
    pub(super) fn restore_past(&mut self, owner: &Owner, segment: &Arc<Segment>) {
        let Some((position, matcher)) = self.readers.of(owner, &self.evaluator) else { return };
        let Ok(Some(batch)) = segment.batch() else { return };
        for Matched { scans, rows } in matcher.find(&batch, None).scans {
            self.evaluator.add(&of(position, &scans), Picked::new(segment, rows));
        }
    }
}

/// The scans of a rule's own matcher as those of the rule at this position.
fn of(rule: usize, scans: &[ScanId]) -> Vec<ScanId> {
    scans.iter().map(|scan| ScanId { rule, ..*scan }).collect()
}
