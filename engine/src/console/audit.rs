//! Who changed what: a file of JSON lines that only grows.
//!
//! A change has two lines. The first says who wants what of which object, and is on disk before the change is made: what can't be
//! written down is not done. The second says what became of it, and is on disk before the answer. A first line without a
//! second is a change during which the process ended; the incident or silence itself says whether it was made.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;
use watershed_schemas::Timestamp;

/// One line.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Entry<'a> {
    /// When, by the clock of the engine.
    pub(super) at: Timestamp,
    /// What ties the lines of one change together.
    pub(super) request: &'a str,
    /// Which line it is.
    #[serde(flatten)]
    pub(super) phase: Phase<'a>,
    /// Name of the token.
    pub(super) who: &'a str,
    /// Its role.
    pub(super) role: &'a str,
    /// The address that the request came from.
    pub(super) from: String,
    /// What was to be done, such as `close_incident`.
    pub(super) what: &'a str,
    /// Id of what it was to be done to.
    pub(super) object: &'a str,
}

/// Before or after.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "phase")]
pub(super) enum Phase<'a> {
    /// It is to be done.
    Asked {
        /// What the request said.
        body: &'a Value,
    },
    /// It is done.
    Done {
        /// What was so before.
        before: &'a Value,
        /// What is so now.
        after: &'a Value,
    },
    /// It was not done.
    Refused {
        /// Why.
        reason: &'a str,
    },
}

/// The file.
#[derive(Debug)]
pub(super) struct Audit {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl Audit {
    /// Opens the file, or makes it, readable by its owner alone.
    ///
    /// # Errors
    /// When it can't be written.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let audit = Audit { path: path.to_owned(), file: Mutex::new(None) };
        let file = audit.reopen()?;
        *audit.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        Ok(audit)
    }

    fn reopen(&self) -> io::Result<File> {
        if let Some(directory) = self.path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(&self.path)?;
        // A line that the process did not live to end is no part of the next one.
        if !ends_a_line(&mut file)? {
            file.write_all(b"\n")?;
        }
        Ok(file)
    }

    /// Writes a line and waits until it is on disk.
    ///
    /// # Errors
    /// When it is not: nobody knows whether all of it, some, or nothing is.
    pub(super) fn write(&self, entry: &Entry<'_>) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let mut held = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // After a failure it is opened anew: whoever moved the file, or made room on the disk, need not start the engine again.
        let mut file = match held.take() {
            Some(file) => file,
            None => self.reopen()?,
        };
        file.write_all(&line)?;
        file.sync_data()?;
        *held = Some(file);
        Ok(())
    }
}

fn ends_a_line(file: &mut File) -> io::Result<bool> {
    use std::io::{Read, Seek, SeekFrom};
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn write(audit: &Audit, object: &str) -> io::Result<()> {
        audit.write(&Entry {
            at: Timestamp::from_secs(1_700_000_000),
            request: "r1",
            phase: Phase::Asked { body: &json!({"note": "line\nbreak \u{202e} </script>"}) },
            who: "ada",
            role: "responder",
            from: "127.0.0.1".to_owned(),
            what: "close_incident",
            object,
        })
    }

    #[test]
    fn each_entry_is_one_line_whatever_it_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state/audit.jsonl");
        let audit = Audit::open(&path).expect("it is made");
        write(&audit, "in\nc-1").expect("written");
        write(&audit, "inc-2").expect("written");
        drop(audit);
        // The process was killed in the middle of a line.
        OpenOptions::new().append(true).open(&path).and_then(|mut file| file.write_all(b"{\"at\":")).expect("written");
        write(&Audit::open(&path).expect("it is there"), "inc-3").expect("written");
        let text = std::fs::read_to_string(&path).expect("readable");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        let objects: Vec<String> = [0, 1, 3]
            .map(|at| {
                serde_json::from_str::<Value>(lines[at]).expect("JSON")["object"].as_str().expect("text").to_owned()
            })
            .into();
        assert_eq!(objects, ["in\nc-1", "inc-2", "inc-3"]);
        let first: Value = serde_json::from_str(lines[0]).expect("JSON");
        assert_eq!((first["phase"].as_str(), first["who"].as_str()), (Some("asked"), Some("ada")));
        assert_eq!(first["body"]["note"], "line\nbreak \u{202e} </script>");
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_full_disk_is_an_error_and_a_mended_one_is_not() {
        let full = Path::new("/dev/full");
        if !full.exists() {
            return;
        }
        let audit = Audit { path: full.to_owned(), file: Mutex::new(None) };
        assert!(write(&audit, "inc-1").is_err());
        let folder = tempfile::tempdir().expect("a folder");
        let audit = Audit { path: folder.path().join("audit.jsonl"), file: audit.file };
        write(&audit, "inc-1").expect("there is room again");
    }
}
