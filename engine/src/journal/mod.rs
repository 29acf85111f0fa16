//! What no second reading of the log brings back: which incidents there were, under which ids, what people did with them and
//! what they have silenced; and what is known of identities, which may have been said longer ago than the log reaches back.
//!
//! A text file beside the store, to which each commit's changes of that kind are appended and synced before the store has
//! them. It is read only where the store is gone: incidents then keep their ids, revisions and states, and wait for the log
//! to bring their signals again.
//!
//! It is not: a copy of the store (positions, rules' memories and signals are not in it), or an audit log.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::store::{Commit, Pairs};

/// First bytes of the keys whose changes are kept: incidents, what the router knows of pages and silences, links between ids, and
/// state tables. Their values are JSON.
const KEPT: [&[u8]; 4] = [b"i/", b"n/", b"p/", b"v/"];
/// What a key that is no text begins with.
const HEX: &str = "hex:";

/// A journal grows by this much, and to [`GROWTH`] times what is in force, before it is written anew.
const SLACK: u64 = 16 << 20;
const GROWTH: u64 = 4;

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Size beyond which it is written anew.
    limit: u64,
}

/// What a journal said, and how many of its lines were damaged.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Keys and values, in key order.
    pub pairs: Pairs,
    /// Lines that can't be read. The last line is torn where the machine went down while it was written.
    pub damaged: usize,
}

impl Journal {
    /// Opens a journal, or makes one, and reads what it says.
    ///
    /// # Errors
    /// Where the file can't be read or made.
    pub fn open(path: &Path) -> io::Result<(Journal, Said)> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let said = read(&text);
        let journal = Journal { path: path.to_owned(), file: append_to(path)?, bytes: text.len() as u64, limit: 0 };
        Ok((journal, said))
    }

    /// Writes it anew from what is in force. It takes the place of the former whole or not at all.
    ///
    /// # Errors
    /// Where that can't be made durable; the former is then as it was.
    pub fn rewrite<'a>(&mut self, pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> io::Result<()> {
        let mut text = Vec::new();
        for (key, value) in pairs.filter(|(key, _)| is_kept(key)) {
            push(&mut text, key, Some(value));
        }
        let beside = self.path.with_extension("journal.new");
        let mut file = File::create(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        if let Some(directory) = self.path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            File::open(directory)?.sync_all()?;
        }
        self.file = append_to(&self.path)?;
        self.bytes = text.len() as u64;
        self.limit = self.bytes * GROWTH + SLACK;
        Ok(())
    }

    /// Appends what a commit changes of incidents and silences; when it returns, that is on the disk.
    ///
    /// # Errors
    /// Where it can't be written: what is not durable here must not be told.
    pub fn append(&mut self, commit: &Commit) -> io::Result<()> {
        let mut text = Vec::new();
        for (key, value) in commit.puts.iter().filter(|(key, _)| is_kept(key)) {
            push(&mut text, key, Some(value));
        }
        for key in commit.deletes.iter().filter(|key| is_kept(key)) {
            push(&mut text, key, None);
        }
        if text.is_empty() {
            return Ok(());
        }
        self.file.write_all(&text)?;
        self.file.sync_data()?;
        self.bytes += text.len() as u64;
        if self.bytes > self.limit {
            let said = read(&fs::read(&self.path)?);
            self.rewrite(said.pairs.iter().map(|(key, value)| (key.as_slice(), value.as_slice())))?;
        }
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn is_kept(key: &[u8]) -> bool {
    KEPT.iter().any(|space| key.starts_with(space))
}

/// One line: the key, and its value unless it is deleted.
fn push(text: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    let key = Value::from(spelled(key));
    text.extend_from_slice(format!("[{key}").as_bytes());
    if let Some(value) = value {
        text.push(b',');
        text.extend_from_slice(value);
    }
    text.extend_from_slice(b"]\n");
}

/// A key as text; what is no text, or would be taken for what stands for such a key, in hexadecimal digits.
fn spelled(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if !text.starts_with(HEX) => text.to_owned(),
        _ => key.iter().fold(HEX.to_owned(), |text, byte| text + &format!("{byte:02x}")),
    }
}

/// The key that is spelled so.
fn key_of(text: &str) -> Option<Vec<u8>> {
    let Some(digits) = text.strip_prefix(HEX) else { return Some(text.as_bytes().to_vec()) };
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn read(text: &[u8]) -> Said {
    let mut pairs: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut damaged = 0;
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line = serde_json::from_slice::<Vec<Value>>(line).unwrap_or_default();
        let key = line.first().and_then(Value::as_str).and_then(key_of);
        match (key, &line[..]) {
            (Some(key), [_, value]) => {
                pairs.insert(key, value.to_string().into_bytes());
            }
            (Some(key), [_]) => {
                pairs.remove(&key);
            }
            _ => damaged += 1,
        }
    }
    Said { pairs: pairs.into_iter().collect(), damaged }
}
