//! The store as a shelf: it has every segment for the next start.

use std::sync::Arc;

use super::{Error, Shelf};
use crate::core::segment_key;
use crate::store::StateStore;

/// Reads segments back from the store; writes nothing that the store does not get anyway.
pub struct StoreShelf(Arc<dyn StateStore>);

impl StoreShelf {
    /// A shelf of what is committed to this store.
    pub fn new(store: Arc<dyn StateStore>) -> Self {
        StoreShelf(store)
    }
}

impl Shelf for StoreShelf {
    fn put(&self, id: u64, _: &[u8]) -> Result<(), Error> {
        // It comes with the next commit.
        Err(Error::Later(id))
    }

    fn get(&self, id: u64) -> Result<Vec<u8>, Error> {
        let failed = |reason: String| Error::Failed { id, what: "read back", reason };
        let rows = self.0.get(&segment_key(id)).map_err(|error| failed(error.to_string()))?;
        rows.ok_or_else(|| failed("the store does not have them".to_owned()))
    }

    fn has(&self, id: u64) -> bool {
        self.0.get(&segment_key(id)).is_ok_and(|rows| rows.is_some())
    }

    fn keeps_all(&self) -> bool {
        true
    }
}
