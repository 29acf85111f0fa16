//! Dead letters as lines of a file.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{DeadLetter, DeadLetterError, DeadLetters};

/// Appends one JSON object a line.
pub struct FileDeadLetters {
    path: PathBuf,
    output: BufWriter<File>,
}

impl FileDeadLetters {
    /// Opens the file to append, and makes it and its directory where they are absent.
    pub fn open(path: &Path) -> Result<Self, DeadLetterError> {
        let stop =
            |error| DeadLetterError::Stop(format!("dead letter file `{}` can't be opened: {error}", path.display()));
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(stop)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(stop)?;
        Ok(FileDeadLetters { path: path.to_owned(), output: BufWriter::new(file) })
    }

    fn stop(&self, error: &std::io::Error) -> DeadLetterError {
        DeadLetterError::Stop(format!("dead letter file `{}` can't be written: {error}", self.path.display()))
    }
}

impl DeadLetters for FileDeadLetters {
    fn write(&mut self, entry: &DeadLetter) -> Result<(), DeadLetterError> {
        let written = serde_json::to_writer(&mut self.output, entry)
            .map_err(std::io::Error::from)
            .and_then(|()| self.output.write_all(b"\n"));
        written.map_err(|error| self.stop(&error))
    }

    fn flush(&mut self) -> Result<(), DeadLetterError> {
        let flushed = self.output.flush().and_then(|()| self.output.get_ref().sync_data());
        flushed.map_err(|error| self.stop(&error))
    }
}

#[cfg(test)]
mod tests {
    use watershed_schemas::{Plane, Timestamp};

    use super::*;

    #[test]
    fn a_letter_is_one_line_whatever_it_holds() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("new/dlq.jsonl");
        let letter = DeadLetter {
            reason: "not JSON".into(),
            plane: Plane::Access,
            topic: "okta".into(),
            partition: 3,
            offset: 7,
            part: None,
            event_id: None,
            event_time: None,
            first_bytes: super::super::shown(b"{\n"),
            received: Timestamp::from_secs(0),
            payload: "{\n".into(),
        };
        for _ in 0..2 {
            let mut letters = FileDeadLetters::open(&path).expect("opens");
            letters.write(&letter).expect("writes");
            letters.flush().expect("flushes");
        }
        let text = std::fs::read_to_string(&path).expect("readable");
        let line = r#"{"reason":"not JSON","plane":"access","topic":"okta","partition":3,"offset":7,"first_bytes":"{\\n","received":"1970-01-01T00:00:00Z"}"#;
        assert_eq!(text, format!("{line}\n{line}\n"));
    }
}
