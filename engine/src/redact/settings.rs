//! What a configuration says about redaction, and the key that it may leave to the store.

use std::collections::BTreeMap;

use ring::rand::{SecureRandom as _, SystemRandom};
use watershed_schemas::Plane;

use super::{Key, Overrides, Policy, Redaction, Sight};
use crate::store::{self, Commit, StateStore};

/// Where the store keeps the key that it was given when nobody named one.
const STORED_KEY: &[u8] = b"m/redaction_key";

/// What a configuration says about redaction.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The key that it names.
    pub key: Option<Key>,
    /// What receivers are shown beyond the default, by name.
    pub receivers: BTreeMap<String, Overrides>,
}

impl Settings {
    /// What a receiver, which may show the evidence of these planes, may see.
    pub fn sight(&self, receiver: &str, planes: &[Plane]) -> Sight {
        let policy = Policy::of(planes);
        let policy = self.receivers.get(receiver).map_or(policy, |overrides| policy.with(overrides));
        Sight { policy, ..Sight::of(planes) }
    }

    /// For an engine with this store: without a key of its own the store gets a random one, once. A store that is lost takes
    /// it along: fingerprints before and after can't be compared.
    ///
    /// # Errors
    /// When the store can't be read or written, or the system has no random numbers.
    pub fn with_store(&self, store: &dyn StateStore) -> Result<Redaction, store::Error> {
        let key = match &self.key {
            Some(key) => key.clone(),
            None => stored_key(store)?,
        };
        Ok(Redaction { key, receivers: self.receivers.clone() })
    }

    /// For a replay: without a key of its own it uses the one that everybody knows, so that the same input gives the same
    /// messages.
    pub fn for_replay(&self) -> Redaction {
        Redaction { key: self.key.clone().unwrap_or_else(Key::public), receivers: self.receivers.clone() }
    }
}

fn stored_key(store: &dyn StateStore) -> Result<Key, store::Error> {
    if let Some(bytes) = store.get(STORED_KEY)? {
        return Ok(Key::new(&bytes));
    }
    let mut bytes = [0; 32];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| {
        store::Error::Stop(
            "the system gives no random numbers for the key of fingerprints; name one in `redaction.key`".into(),
        )
    })?;
    store.commit(Commit { puts: vec![(STORED_KEY.to_vec(), bytes.to_vec())], ..Commit::default() })?;
    Ok(Key::new(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn a_store_keeps_its_key_and_no_other_store_has_it() {
        let fingerprint = |store: &MemoryStore, settings: &Settings| {
            settings.with_store(store).expect("a key").key.fingerprint("203.0.113.7")
        };
        let (one, other, none) = (MemoryStore::new(), MemoryStore::new(), Settings::default());
        assert_eq!(fingerprint(&one, &none), fingerprint(&one, &none));
        assert_ne!(fingerprint(&one, &none), fingerprint(&other, &none));
        let named = Settings { key: Some(Key::new(b"shared")), ..Settings::default() };
        assert_eq!(fingerprint(&one, &named), fingerprint(&other, &named));
        assert_eq!(none.for_replay().key.fingerprint("x"), Key::public().fingerprint("x"));
    }
}
