//! Dead letters: what could not become a row, and rows that came too late, with the reason.
//!
//! Nothing disappears silently: each is one JSON line of a file, or one record of a Kafka topic that holds the raw
//! payload as its value and the rest as headers.

mod file;
mod kafka;

pub use file::FileDeadLetters;
pub use kafka::KafkaDeadLetters;

use bytes::Bytes;
use serde::Serialize;
use watershed_schemas::{Plane, Timestamp};

/// Bytes of a payload that a dead letter shows.
pub const SHOWN_BYTES: usize = 256;

/// One record, or part of one, that did not become history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Why, in one sentence.
    pub reason: String,
    /// The plane of its stream.
    pub plane: Plane,
    /// Its topic, or file.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset, or line.
    pub offset: i64,
    /// Which part of the record (span, list element) where the others went on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<usize>,
    /// The id of the event, where it was decoded: rows that came too late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The time of the event, where it was decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_time: Option<Timestamp>,
    /// The beginning of the payload, escaped to printable ASCII: see [`shown`].
    pub first_bytes: String,
    /// When it was received; [`Timestamp::MIN`] (`-infinity`) where nobody knows.
    pub received: Timestamp,
    /// The raw payload, as far as it is still there. Kafka keeps it whole; a file has only `first_bytes`.
    #[serde(skip)]
    pub payload: Bytes,
}

/// Why dead letters could not be written.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// Worth another try.
    #[error("{0}")]
    Retry(String),
    /// Needs a person: bad settings, a full disk, a topic that may not be written.
    #[error("{0}")]
    Stop(String),
}

/// A place for dead letters.
pub trait DeadLetters: Send {
    /// Takes one. It is durable after the next [`DeadLetters::flush`].
    fn write(&mut self, entry: &DeadLetter) -> Result<(), DeadLetterError>;
    /// Makes durable what was written; the engine calls it before it commits positions.
    fn flush(&mut self) -> Result<(), DeadLetterError>;
}

/// The first [`SHOWN_BYTES`] of a payload as printable ASCII: line breaks, control characters and bytes beyond ASCII
/// are escaped, so that the text can't forge log lines or terminal commands.
pub fn shown(payload: &[u8]) -> String {
    payload[..payload.len().min(SHOWN_BYTES)].escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_bytes_are_shown_harmless_and_cut() {
        assert_eq!(shown(b"a\n\x1b[31m\xff"), "a\\n\\x1b[31m\\xff");
        assert_eq!(shown(&[b'x'; 1_000]).len(), SHOWN_BYTES);
    }
}
