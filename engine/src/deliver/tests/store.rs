//! A store in memory that can be told to fail.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::store::{Commit, Error, MemoryStore, Pairs, StateStore};

#[derive(Default)]
pub(super) struct TestStore {
    inner: MemoryStore,
    seq: AtomicU64,
    broken: AtomicBool,
}

impl TestStore {
    pub(super) fn put(&self, pair: (Vec<u8>, Vec<u8>)) {
        self.inner.commit(Commit { puts: vec![pair], ..Commit::default() }).expect("memory takes it");
    }

    /// Rows that are still stored.
    pub(super) fn len(&self) -> usize {
        self.inner.scan(b"").expect("memory is readable").len()
    }

    /// A position that no row ever had.
    pub(super) fn next_seq(&self) -> u64 {
        self.seq.fetch_add(1, Ordering::SeqCst)
    }

    /// Every further commit fails.
    pub(super) fn break_now(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }
}

impl StateStore for TestStore {
    fn commit(&self, commit: Commit) -> Result<(), Error> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(Error::Stop("the disk is gone".to_owned()));
        }
        self.inner.commit(commit)
    }

    fn scan(&self, prefix: &[u8]) -> Result<Pairs, Error> {
        self.inner.scan(prefix)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.inner.get(key)
    }

    fn size_on_disk(&self) -> u64 {
        0
    }
}
