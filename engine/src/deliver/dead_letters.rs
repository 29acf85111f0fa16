//! The file that keeps what nobody took.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use watershed_connectors::escape;
use watershed_connectors::sinks::append_line;
use watershed_schemas::Timestamp;

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// When it was given up.
    pub time: Timestamp,
    /// The receiver that should have had it.
    pub receiver: String,
    /// Why it was given up.
    pub reason: String,
    /// The notification; where a stored row could not be read, its text.
    pub notification: Value,
}

/// Appends to the file, one line at a time.
pub(super) struct DeadLetters {
    path: PathBuf,
    turn: Mutex<()>,
}

impl DeadLetters {
    pub(super) fn new(path: PathBuf) -> Self {
        DeadLetters { path, turn: Mutex::default() }
    }

    /// Writes one line; when it returns, the line is on the disk.
    pub(super) fn append(&self, letter: &DeadLetter) -> std::io::Result<()> {
        let line = escape::json_line(letter)?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        append_line(&self.path, &line).map_err(|error| {
            std::io::Error::new(error.kind(), format!("can't append to `{}`: {error}", self.path.display()))
        })
    }
}
