//! The store's record of itself: what must be in it.
//!
//! sled falls back to an older state when the end of its log is unreadable, and says nothing. So each commit writes,
//! within its own batch, how many commits there were, how many keys there are and the sum of their checksums; and after
//! the batch is on the disk the number of the commit goes into a file of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Version of everything that the store writes. A store of another version is set aside.
pub(super) const FORMAT: u32 = 1;

/// Key of the record within sled.
pub(super) const RECORD_KEY: &[u8] = b"record";
const LENGTH: usize = 4 + 8 + 8 + 8 + 8;

/// What is in the store after a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Commits so far.
    pub(super) generation: u64,
    /// Keys of the user.
    pub(super) keys: u64,
    /// Further pieces of long values.
    pub(super) pieces: u64,
    /// Wrapping sum of the keys' checksums.
    pub(super) sum: u64,
}

impl Record {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = FORMAT.to_be_bytes().to_vec();
        for number in [self.generation, self.keys, self.pieces, self.sum] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Record, String> {
        if bytes.len() != LENGTH {
            return Err(format!("its record has {} bytes instead of {LENGTH}", bytes.len()));
        }
        let format = bytes.first_chunk::<4>().map_or(0, |first| u32::from_be_bytes(*first));
        if format != FORMAT {
            return Err(format!("it is of format {format}, this program writes format {FORMAT}"));
        }
        let number = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_be_bytes);
        Ok(Record { generation: number(4), keys: number(12), pieces: number(20), sum: number(28) })
    }
}

/// The file that holds the number of the last durable commit.
#[derive(Debug)]
pub(super) struct GenerationFile {
    file: File,
}

impl GenerationFile {
    /// Opens or creates it, and reads the number: `None` where it is new or damaged.
    pub(super) fn open(path: &Path) -> io::Result<(GenerationFile, Option<u64>)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let number = std::str::from_utf8(&bytes).ok().and_then(parse);
        Ok((GenerationFile { file }, number))
    }

    /// Replaces the number. It is not synced: an older number only makes the check at open weaker.
    pub(super) fn write(&mut self, generation: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(line(generation).as_bytes())
    }
}

/// Fixed width, and twice, so that a torn write is noticed.
fn line(generation: u64) -> String {
    format!("{generation:020} {generation:020}\n")
}

fn parse(text: &str) -> Option<u64> {
    let (first, second) = text.trim_end().split_once(' ')?;
    (first == second).then(|| first.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_what_it_writes() {
        let record = Record { generation: 7, keys: u64::MAX, pieces: 3, sum: 0x0123_4567_89ab_cdef };
        assert_eq!(Record::from_bytes(&record.to_bytes()), Ok(record));
        assert!(Record::from_bytes(&record.to_bytes()[1..]).is_err());
        let mut other = record.to_bytes();
        other[3] += 1;
        assert!(Record::from_bytes(&other).expect_err("another format").contains("format 2"));
    }

    #[test]
    fn a_torn_generation_is_not_believed() {
        let torn = format!("{}{}", &line(12)[..25], &line(9)[25..]);
        assert_eq!(parse(&line(12)), Some(12));
        assert_eq!(parse(&torn), None);
        assert_eq!(parse(""), None);
    }
}
