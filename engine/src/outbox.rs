//! The durable queue between a decision and its delivery.
//!
//! A row is put in the same commit as the incident revision that it tells of, and deleted when its receiver has
//! accepted it. What is in the store after a crash is sent again under the same id.

use serde::{Deserialize, Serialize};
use watershed_schemas::Notification;

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

#[cfg(test)]
mod tests {
    use watershed_schemas::NotifyReason::Opened;

    use super::*;
    use crate::deliver::tests::notification;

    #[test]
    fn rows_read_back_and_their_keys_sort_like_their_positions() {
        // Beyond one byte, so that the order of keys is put to the test.
        let keys: Vec<Vec<u8>> = [7, 255, 256, u64::MAX]
            .into_iter()
            .map(|seq| {
                let row = OutboxRow { seq, notification: notification("r", "a", 1, Opened) };
                let (key, value) = row.encode().expect("encodes");
                assert_eq!(OutboxRow::decode(&value).expect("own output parses"), row);
                assert!(key.starts_with(PREFIX));
                key
            })
            .collect();
        assert!(keys.is_sorted());
    }
}
