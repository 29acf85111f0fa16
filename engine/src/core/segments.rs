//! The rows that rules remember, as they stand in the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use watershed_schemas::{ColumnSet, EventBatch, Plane, Timestamp};

use crate::evaluator::{EvidenceText, Owner, Segment, ipc};
use crate::principals::InForce;
use crate::shelf::{self, Cold, ColdCounts, Shelf};
use crate::store::Commit;
use crate::watermark::Watermarks;

/// First bytes of the keys that hold segments.
pub(super) const PREFIX: &[u8] = b"s/";
/// Holds the number of the next segment: one is never used twice, as rules begin with the first that they saw.
pub(super) const NEXT_KEY: &[u8] = b"m/next-segment";

/// Every segment that some rule may still hold rows of.
#[derive(Default)]
pub(super) struct Segments {
    live: Vec<Arc<Segment>>,
    next: u64,
    /// Segments that were there at the last look: looking is worth it when their number has doubled.
    looked_at: usize,
    /// Bytes of all of them.
    bytes: usize,
    /// Nobody keeps commits: segments need not be encoded.
    forgetful: bool,
    /// Where rows go that are hardly needed; nowhere unless there is one.
    cold: Option<Arc<Cold>>,
    /// Most bytes of rows that stay in memory while there is a shelf.
    budget: usize,
    /// Bytes in memory.
    hot: usize,
    /// Segments on the shelf, with what they would take in memory.
    shelved: BTreeMap<u64, usize>,
    /// What the ids in their rows are called.
    called: InForce,
    /// What is kept of texts that no rule reads.
    texts: EvidenceText,
    /// Segments added since the shelf was last thought of.
    fresh: usize,
    /// Steps for which a disk that failed is left alone.
    rest: u32,
}

/// So many new segments at least are worth a look at all of them.
const FRESH: usize = 64;
/// Steps for which a disk that failed is left alone.
const REST: u32 = 256;

impl Segments {
    /// Segments whose ids are read by these names, and that keep so much of texts that no rule reads.
    pub(super) fn called(called: InForce, texts: EvidenceText) -> Self {
        Segments { called, texts, ..Segments::default() }
    }

    /// States that nobody keeps commits.
    pub(super) fn forget(&mut self) {
        self.forgetful = true;
    }

    /// Copies these columns of these rows of a batch into a segment of their own.
    pub(super) fn add(
        &mut self,
        batch: &EventBatch,
        rows: &[u32],
        keep: ColumnSet,
        commit: &mut Commit,
    ) -> Option<Arc<Segment>> {
        self.add_for(None, batch, rows, keep, commit)
    }

    /// The same for rows that are for one rule alone.
    pub(super) fn add_for(
        &mut self,
        owner: Option<Owner>,
        batch: &EventBatch,
        rows: &[u32],
        keep: ColumnSet,
        commit: &mut Commit,
    ) -> Option<Arc<Segment>> {
        let segment = Segment::new(self.next, batch.plane, batch.whole(rows).ok()?, keep, self.texts);
        let segment = segment.read_from(batch.read_from.as_ref().map(|from| from.pick(rows)));
        let segment = Arc::new(segment.owned_by(owner).called(self.called.clone()));
        self.next += 1;
        commit.puts.push((NEXT_KEY.to_vec(), self.next.to_be_bytes().to_vec()));
        if !self.forgetful
            && let Ok(rows) = segment.rows()
            && let Ok(value) = ipc::encode(&segment, &rows)
        {
            commit.puts.push((key(segment.id), value));
        }
        self.bytes += segment.bytes;
        self.hot += segment.bytes;
        self.fresh += 1;
        self.live.push(Arc::clone(&segment));
        Some(segment)
    }

    /// Forgets the segments that no rule holds a row of any more.
    pub(super) fn expire(&mut self, commit: &mut Commit) {
        if self.live.len() >= 2 * self.looked_at.max(32) {
            self.sweep(commit);
        }
    }

    /// The same, however few there are.
    pub(super) fn sweep(&mut self, commit: &mut Commit) {
        self.live.retain(|segment| {
            let held = Arc::strong_count(segment) > 1;
            if !held {
                commit.deletes.push(key(segment.id));
                if self.shelved.remove(&segment.id).is_some()
                    && let Some(cold) = &self.cold
                {
                    cold.remove(segment.id);
                }
            }
            held
        });
        self.looked_at = self.live.len();
        self.count();
    }

    fn count(&mut self) {
        let in_memory = |segment: &Arc<Segment>| if segment.is_cold() { segment.head_bytes() } else { segment.bytes };
        self.bytes = self.live.iter().map(|segment| segment.bytes).sum();
        self.hot = self.live.iter().map(in_memory).sum();
    }

    /// From now on rows may go to this shelf: those that only late rows can join, and beyond so many bytes in memory
    /// those that are needed last.
    pub(super) fn keep_cold(&mut self, shelf: Box<dyn Shelf>, budget: usize) {
        self.cold = Some(Arc::new(Cold::new(shelf)));
        self.budget = budget;
    }

    /// Puts on the shelf what belongs there.
    pub(super) fn shelve(&mut self, watermarks: &Watermarks) {
        let Some(cold) = self.cold.clone() else { return };
        let over = self.hot > self.budget;
        let enough = self.fresh >= FRESH.max((self.live.len() - self.shelved.len()) / 4);
        if !(over || cold.keeps_all() && enough) {
            return;
        }
        if self.rest > 0 {
            self.rest -= 1;
            return;
        }
        self.fresh = 0;
        // What nobody holds any more goes with the next sweep.
        let hot = self.live.iter().filter(|segment| !segment.is_cold() && Arc::strong_count(segment) > 1);
        let mut hot: Vec<(i64, Arc<Segment>)> =
            hot.map(|segment| (wait(segment, watermarks), Arc::clone(segment))).collect();
        hot.sort_by_key(|(wait, segment)| (*wait, segment.id));
        // Somewhat less than what it may be, so that it is not for every row.
        let enough = self.budget / 4 * 3;
        for (wait, segment) in hot {
            let only_late = wait < 0 && cold.keeps_all();
            if !only_late && (!over || self.hot <= enough) {
                return;
            }
            match segment.shelve(&cold) {
                Ok(()) => {
                    self.shelved.insert(segment.id, segment.bytes);
                    self.hot = self.hot.saturating_sub(segment.bytes) + segment.head_bytes();
                }
                Err(shelf::Error::Later(_)) => {}
                Err(shelf::Error::Failed { .. }) => {
                    self.rest = REST;
                    return;
                }
            }
        }
    }

    /// Bytes of rows that only late rows can need.
    pub(super) fn late_bytes(&self, watermarks: &Watermarks) -> usize {
        if watermarks.low() == Timestamp::MAX {
            // At the end of all input nothing is late.
            return 0;
        }
        let held = self.live.iter().filter(|segment| Arc::strong_count(segment) > 1);
        held.filter(|segment| wait(segment, watermarks) < 0).map(|segment| segment.bytes).sum()
    }

    /// Segments on the shelf, with the bytes that they would take in memory.
    pub(super) fn shelved(&self) -> &BTreeMap<u64, usize> {
        &self.shelved
    }

    /// Bytes of rows in memory, and on the shelf.
    pub(super) fn hot_and_cold(&self) -> [usize; 2] {
        [self.hot, self.shelved.values().sum()]
    }

    /// What happened between memory and shelf.
    pub(super) fn cold_counts(&self) -> ColdCounts {
        self.cold.as_ref().map(|cold| cold.counts()).unwrap_or_default()
    }

    /// What they all take in memory, each counted once.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Every segment that some rule may hold rows of, oldest first.
    pub(super) fn live(&self) -> &[Arc<Segment>] {
        &self.live
    }

    /// For each plane the columns that all of them have kept.
    pub(super) fn columns(&self) -> [ColumnSet; 2] {
        Plane::ALL.map(|plane| {
            let own = self.live.iter().filter(|segment| segment.table.plane() == Some(plane));
            own.fold(ColumnSet::ALL, |columns, segment| columns.common(segment.columns))
        })
    }

    /// The number of the next segment.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Reads back what was durable.
    pub(super) fn restore(&mut self, stored: &[(Vec<u8>, Vec<u8>)], next: &[(Vec<u8>, Vec<u8>)]) {
        let number = |value: &Vec<u8>| value.as_slice().try_into().ok().map(u64::from_be_bytes);
        self.next = next.first().and_then(|(_, value)| number(value)).unwrap_or(0);
        for (key, value) in stored {
            let id = key.strip_prefix(PREFIX).and_then(|id| id.try_into().ok()).map(u64::from_be_bytes);
            if let (Some(id), Ok(stored)) = (id, ipc::decode(value)) {
                self.live.push(Arc::new(Segment::restored(id, stored).called(self.called.clone())));
                self.next = self.next.max(id + 1);
            }
        }
        self.count();
    }
}

/// How long it takes until only late rows can need the segment, in microseconds of its slowest plane; negative where it
/// is so.
fn wait(segment: &Segment, watermarks: &Watermarks) -> i64 {
    let due = Plane::ALL.into_iter().zip(segment.due());
    let waits = due.filter_map(|(plane, due)| {
        let reached = watermarks.of(plane);
        Some(due?.micros().saturating_sub(reached.micros()))
    });
    // Equal is not beyond.
    waits.max().unwrap_or(-1)
}

/// The key of a segment in the store.
pub fn key(id: u64) -> Vec<u8> {
    [PREFIX, &id.to_be_bytes()].concat()
}
