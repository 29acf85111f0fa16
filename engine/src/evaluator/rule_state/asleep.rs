//! Rows that nothing can come of yet.
//!
//! A rule that joins what happens all the time with what hardly ever happens finds nothing while the rare side is missing
//! altogether. Until it comes the rows of the other side are only counted: not put to their keys, not looked at. They
//! wake when the last side that was missing has a row, and expire as if they were awake.

use std::collections::VecDeque;
use std::sync::Arc;

use watershed_rules::Scan;
use watershed_schemas::Timestamp;

use crate::evaluator::rows::Picked;

/// The rows of one rule that are asleep, and how many it has of each scan.
pub(super) struct Asleep {
    scans: Vec<VecDeque<Sleeping>>,
    /// For each scan its rows, asleep or awake.
    present: Vec<usize>,
}

/// Rows that came together.
pub(super) struct Sleeping {
    pub(super) rows: Arc<Picked>,
    /// Their plane's watermark when they came.
    pub(super) reached: Timestamp,
}

impl Asleep {
    pub(super) fn new(scans: usize) -> Self {
        Asleep { scans: std::iter::repeat_with(VecDeque::new).take(scans).collect(), present: vec![0; scans] }
    }

    /// Whether another scan than this one must have rows for any output to be possible, and has none.
    pub(super) fn lacks_another(&self, scans: &[Scan], scan: usize) -> bool {
        let needed = scans.iter().zip(&self.present).enumerate();
        needed.into_iter().any(|(at, (needed, present))| at != scan && needed.min_rows > 0 && *present == 0)
    }

    /// Puts rows to sleep.
    pub(super) fn put(&mut self, scan: usize, rows: Arc<Picked>, reached: Timestamp) {
        self.present[scan] += rows.rows.len();
        self.scans[scan].push_back(Sleeping { rows, reached });
    }

    /// Takes out all rows, in the order in which those of each scan came.
    pub(super) fn wake(&mut self) -> Vec<(usize, Sleeping)> {
        let mut awake = Vec::new();
        for (scan, sleeping) in self.scans.iter_mut().enumerate() {
            self.present[scan] -= sleeping.iter().map(|sleeping| sleeping.rows.rows.len()).sum::<usize>();
            awake.extend(sleeping.drain(..).map(|sleeping| (scan, sleeping)));
        }
        awake
    }

    /// Counts rows that were put to their keys.
    pub(super) fn added(&mut self, scan: usize, rows: usize) {
        self.present[scan] += rows;
    }

    /// Counts rows that have gone from their keys.
    pub(super) fn removed(&mut self, scan: usize, rows: usize) {
        self.present[scan] = self.present[scan].saturating_sub(rows);
    }

    /// Forgets the rows of a scan that came first, where the newest of them has `passed`.
    pub(super) fn pop_if(&mut self, scan: usize, passed: impl Fn(Timestamp) -> bool) -> Option<Arc<Picked>> {
        if !passed(self.scans[scan].front()?.rows.newest) {
            return None;
        }
        let gone = self.scans[scan].pop_front()?;
        self.removed(scan, gone.rows.rows.len());
        Some(gone.rows)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Asleep::new(self.scans.len());
    }
}
