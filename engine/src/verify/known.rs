//! Which events were accepted before, by (tenant, source, event id): the first of them is history.
//!
//! Written apart from the core's own de-duplication, which looks only at rows that some rule can use.

use std::collections::{BTreeMap, HashSet};

use datafusion::arrow::array::{AsArray, RecordBatch};
use sha2::{Digest, Sha256};
use watershed_schemas::Timestamp;
use watershed_schemas::tables::runtime;

use crate::acceptance::event_times;

/// Ids of one plane are forgotten in steps of this much event time.
const STEP_MICROS: i64 = 60_000_000;

/// The ids of one plane's accepted rows that a repeat could still follow.
#[derive(Default)]
pub(super) struct Known {
    ids: HashSet<u128>,
    /// Which ids go when their step of event time can't be accepted any more.
    steps: BTreeMap<i64, Vec<u128>>,
}

impl Known {
    /// Whether the row is the first of its id.
    pub(super) fn is_first(&mut self, rows: &RecordBatch, row: usize) -> bool {
        let mut hash = Sha256::new();
        for column in [runtime::TENANT, runtime::SOURCE, runtime::EVENT_ID] {
            let text = rows.column(column).as_string::<i32>().value(row);
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        let mut half = [0; 16];
        half.copy_from_slice(&hash.finalize()[..16]);
        let id = u128::from_le_bytes(half);
        if !self.ids.insert(id) {
            return false;
        }
        let time = event_times(rows).value(row);
        self.steps.entry(time.div_euclid(STEP_MICROS)).or_default().push(id);
        true
    }

    /// Forgets ids of rows so old that a repeat would be refused as too late.
    pub(super) fn forget_before(&mut self, oldest_accepted: Timestamp) {
        while let Some(first) = self.steps.first_entry() {
            if (*first.key() + 1).saturating_mul(STEP_MICROS) > oldest_accepted.micros() {
                return;
            }
            for id in first.remove() {
                self.ids.remove(&id);
            }
        }
    }
}
