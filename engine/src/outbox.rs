//! The durable queue between a decision and its delivery.
//!
//! A row is put in the same commit as the incident revision that it tells of, and deleted when its receiver has
//! accepted it. What is in the store after a crash is sent again under the same id.

use serde::{Deserialize, Serialize};
use watershed_schemas::Notification;

use crate::store::{self, StateStore};

/// First bytes of every outbox key.
pub const PREFIX: &[u8] = b"o/";

/// One notification that waits for its receiver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutboxRow {
    /// Position in the queue: rows of one receiver are sent in this order.
    pub seq: u64,
    /// The message.
    pub notification: Notification,
}

impl OutboxRow {
    /// The row's key in the store.
    pub fn key(seq: u64) -> Vec<u8> {
        [PREFIX, &seq.to_be_bytes()].concat()
    }

    /// The row as the pair that a commit puts.
    pub fn encode(&self) -> Result<(Vec<u8>, Vec<u8>), serde_json::Error> {
        Ok((OutboxRow::key(self.seq), serde_json::to_vec(self)?))
    }

    /// Reads what [`OutboxRow::encode`] wrote.
    pub fn decode(value: &[u8]) -> Result<OutboxRow, serde_json::Error> {
        serde_json::from_slice(value)
    }
}

/// The first position that no stored row has.
pub fn next_seq(store: &dyn StateStore) -> Result<u64, store::Error> {
    let last = store.scan(PREFIX)?.pop();
    let seq = last.and_then(|(key, _)| key.get(PREFIX.len()..)?.try_into().ok()).map(u64::from_be_bytes);
    Ok(seq.map_or(0, |seq| seq + 1))
}
