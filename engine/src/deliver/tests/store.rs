//! A store in memory that can be told to fail.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::store::{Commit, Error, StateStore};

#[derive(Default)]
pub(super) struct MemoryStore {
    pairs: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    seq: AtomicU64,
    broken: AtomicBool,
}

impl MemoryStore {
    pub(super) fn put(&self, (key, value): (Vec<u8>, Vec<u8>)) {
        self.pairs.lock().expect("not poisoned").insert(key, value);
    }

    /// Rows that are still stored.
    pub(super) fn len(&self) -> usize {
        self.pairs.lock().expect("not poisoned").len()
    }

    pub(super) fn values(&self) -> Vec<Vec<u8>> {
        self.pairs.lock().expect("not poisoned").values().cloned().collect()
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

impl StateStore for MemoryStore {
    fn commit(&self, commit: Commit) -> Result<(), Error> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(Error::Stop("the disk is gone".to_owned()));
        }
        let mut pairs = self.pairs.lock().expect("not poisoned");
        for key in commit.deletes {
            pairs.remove(&key);
        }
        pairs.extend(commit.puts);
        Ok(())
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
        let pairs = self.pairs.lock().expect("not poisoned");
        let found = pairs.iter().filter(|(key, _)| key.starts_with(prefix));
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.pairs.lock().expect("not poisoned").get(key).cloned())
    }

    fn size_on_disk(&self) -> u64 {
        0
    }
}
