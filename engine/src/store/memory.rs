//! A store that forgets everything when the process ends.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::{Commit, Error, Pairs, StateStore};

/// A map in memory, for replays and tests.
#[derive(Debug, Default)]
pub struct MemoryStore {
    pairs: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        MemoryStore::default()
    }
}

impl StateStore for MemoryStore {
    fn commit(&self, commit: Commit) -> Result<(), Error> {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        for key in commit.deletes {
            pairs.remove(&key);
        }
        pairs.extend(commit.puts);
        Ok(())
    }

    fn scan(&self, prefix: &[u8]) -> Result<Pairs, Error> {
        let pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(pairs
            .range(prefix.to_vec()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.pairs.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn size_on_disk(&self) -> u64 {
        0
    }
}
