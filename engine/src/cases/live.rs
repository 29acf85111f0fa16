//! A case file in memory, and which parts of it the store has.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use watershed_schemas::Case;

use super::stored;
use crate::store::Commit;

/// A case file that may change.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) case: Case,
    /// What the store has of it: a hash of each part's value, by key.
    written: BTreeMap<Vec<u8>, u64>,
}

impl Live {
    /// A file that the store knows nothing of.
    pub(super) fn new(case: Case) -> Self {
        Live { case, written: BTreeMap::new() }
    }

    /// A file as the store has it.
    pub(super) fn stored(case: Case) -> Self {
        let parts = stored::parts(&case);
        let written = parts.into_iter().map(|(key, value)| (key, hash(&value))).collect();
        Live { case, written }
    }

    /// Puts the parts that have changed into the commit.
    pub(super) fn write(&mut self, commit: &mut Commit) {
        if commit.unkept {
            return;
        }
        let parts = stored::parts(&self.case);
        let mut written = BTreeMap::new();
        for (key, value) in parts {
            let hash = hash(&value);
            if self.written.get(&key) != Some(&hash) {
                commit.puts.push((key.clone(), value));
            }
            written.insert(key, hash);
        }
        let gone: Vec<Vec<u8>> = self.written.keys().filter(|key| !written.contains_key(*key)).cloned().collect();
        commit.forget(gone);
        self.written = written;
    }
}

fn hash(value: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
