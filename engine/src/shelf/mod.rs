//! Where remembered rows go that are hardly needed any more: out of memory, onto a disk.
//!
//! Rows that only late events can still join, and beyond a budget of memory those that are needed last, are put on a
//! shelf. Whoever needs them loads them back. What is found never depends on where rows are: the core asks a [`Shelf`] and
//! knows no files.
//!
//! * [`FileShelf`]: files of their own. * [`StoreShelf`]: the store, which has every row anyway.

mod cold;
mod file;
mod store;

pub use cold::{Cold, ColdCounts};
pub use file::FileShelf;
pub use store::StoreShelf;

/// Memory for remembered rows unless a configuration says otherwise.
pub const ROW_MEMORY: usize = 1 << 30;

/// Keeps the rows of segments, encoded, by the segments' numbers.
pub trait Shelf: Send + Sync {
    /// Keeps these. After it has returned, they can be had back until they are removed.
    ///
    /// # Errors
    /// When they are not kept: they stay in memory.
    fn put(&self, id: u64, rows: &[u8]) -> Result<(), Error>;

    /// Gives back what was put.
    ///
    /// # Errors
    /// When it can't be had: whoever needs it knows that it lacks something.
    fn get(&self, id: u64) -> Result<Vec<u8>, Error>;

    /// Whether the rows are kept already, so that they need not be put.
    fn has(&self, id: u64) -> bool {
        let _ = id;
        false
    }

    /// Whether all rows are kept sooner or later without being put: leaving them there costs nothing.
    fn keeps_all(&self) -> bool {
        false
    }

    /// Nobody needs these any more.
    fn remove(&self, id: u64) {
        let _ = id;
    }
}

/// Why rows are not on a shelf, or can't be had back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not yet: ask again later.
    #[error("the rows of segment {0} are not durable yet")]
    Later(u64),
    /// The disk, or what is on it.
    #[error("the rows of segment {id} can't be {what}: {reason}; look at the disk that holds the state")]
    Failed {
        /// The segment.
        id: u64,
        /// `written` or `read back`.
        what: &'static str,
        /// What happened.
        reason: String,
    },
}
