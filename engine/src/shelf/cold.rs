//! The way to the shelf and back, with what was loaded last.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::RecordBatch;

use super::{Error, Shelf};

/// Segments that were loaded and are kept for whoever asks next.
const MOST_SEGMENTS: usize = 64;
/// And what they may take together.
const MOST_BYTES: usize = 16 << 20;

/// A shelf with a few of its segments at hand.
pub struct Cold {
    shelf: Box<dyn Shelf>,
    at_hand: Mutex<AtHand>,
    loads: AtomicU64,
    unreadable: AtomicU64,
    unwritten: AtomicU64,
}

/// What happened between memory and shelf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColdCounts {
    /// Segments that were loaded.
    pub loads: u64,
    /// Segments that could not be loaded.
    pub unreadable: u64,
    /// Segments that could not be put on the shelf and stay in memory.
    pub unwritten: u64,
}

#[derive(Default)]
struct AtHand {
    /// The one used last comes last.
    segments: VecDeque<(u64, Arc<RecordBatch>, usize)>,
    bytes: usize,
}

impl AtHand {
    fn find(&mut self, id: u64) -> Option<Arc<RecordBatch>> {
        let at = self.segments.iter().rposition(|(known, ..)| *known == id)?;
        let found = self.segments.remove(at)?;
        let rows = Arc::clone(&found.1);
        self.segments.push_back(found);
        Some(rows)
    }

    fn keep(&mut self, id: u64, rows: &Arc<RecordBatch>, bytes: usize) {
        self.segments.push_back((id, Arc::clone(rows), bytes));
        self.bytes += bytes;
        while self.segments.len() > MOST_SEGMENTS || (self.bytes > MOST_BYTES && self.segments.len() > 1) {
            let Some((.., bytes)) = self.segments.pop_front() else { return };
            self.bytes -= bytes;
        }
    }
}

impl Cold {
    /// Nothing is on this shelf yet.
    pub fn new(shelf: Box<dyn Shelf>) -> Self {
        Cold {
            shelf,
            at_hand: Mutex::default(),
            loads: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
            unwritten: AtomicU64::new(0),
        }
    }

    /// Whether everything comes onto the shelf in any case.
    pub fn keeps_all(&self) -> bool {
        self.shelf.keeps_all()
    }

    /// Puts a segment there, unless it is there; `encode` gives its rows.
    pub fn put(&self, id: u64, encode: impl FnOnce() -> Option<Vec<u8>>) -> Result<(), Error> {
        if self.shelf.has(id) {
            return Ok(());
        }
        let unencoded = || Error::Failed { id, what: "written", reason: "they can't be encoded".to_owned() };
        let put = encode().ok_or_else(unencoded).and_then(|rows| self.shelf.put(id, &rows));
        if let Err(error @ Error::Failed { .. }) = &put {
            self.unwritten.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, "rows stay in memory");
        }
        put
    }

    /// The rows of a segment, of so many bytes; nothing where they can't be had back.
    pub fn load(
        &self,
        id: u64,
        bytes: usize,
        decode: impl FnOnce(&[u8]) -> Option<RecordBatch>,
    ) -> Option<Arc<RecordBatch>> {
        let mut at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rows) = at_hand.find(id) {
            return Some(rows);
        }
        self.loads.fetch_add(1, Ordering::Relaxed);
        let unreadable = |error: Error| {
            self.unreadable.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "rows are lost; the rules that need them are degraded");
        };
        let damaged = || Error::Failed { id, what: "read back", reason: "they are damaged".to_owned() };
        let read = self.shelf.get(id).and_then(|read| decode(&read).ok_or_else(damaged));
        let rows = Arc::new(read.map_err(unreadable).ok()?);
        at_hand.keep(id, &rows, bytes);
        Some(rows)
    }

    /// Nobody needs the segment any more.
    pub fn remove(&self, id: u64) {
        let mut at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = at_hand.segments.iter().position(|(known, ..)| *known == id)
            && let Some((.., bytes)) = at_hand.segments.remove(at)
        {
            at_hand.bytes -= bytes;
        }
        self.shelf.remove(id);
    }

    /// What happened so far.
    pub fn counts(&self) -> ColdCounts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ColdCounts { loads: count(&self.loads), unreadable: count(&self.unreadable), unwritten: count(&self.unwritten) }
    }
}
