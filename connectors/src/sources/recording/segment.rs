//! A segment file: how it is named, and its entries read until they end or are damaged.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};

use super::entry::{self, Entry, HEAD, LONGEST};

/// First bytes of the decompressed stream.
pub(super) const MAGIC: &[u8; 8] = b"WSHEDSEG";

const CHUNK: usize = 128 << 10;

pub(super) fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("segment-{number:06}.zst"))
}

/// What the next step of a segment gave.
pub(super) enum Step {
    /// An entry.
    Entry(Entry),
    /// The segment is over, at the end of an entry.
    End,
    /// The segment is cut off or damaged after the entries read so far.
    Damaged,
}

/// Reads the entries of one segment.
pub(super) struct SegmentReader {
    input: zstd::stream::read::Decoder<'static, BufReader<Counting>>,
    /// Decompressed bytes that were not taken yet. Entries are slices of it: no copy per record.
    buffer: BytesMut,
    /// No more bytes will come.
    ended: bool,
    /// The bytes ended before the compressed frame did.
    cut: bool,
    /// An entry was not whole: nothing after it is read.
    damaged: bool,
    pub(super) entries: u64,
}

impl SegmentReader {
    pub(super) fn open(path: &Path, bytes_read: Arc<AtomicU64>) -> io::Result<Self> {
        let file = Counting { file: File::open(path)?, bytes_read };
        let input = zstd::stream::read::Decoder::new(file)?;
        let mut reader =
            SegmentReader { input, buffer: BytesMut::new(), ended: false, cut: false, damaged: false, entries: 0 };
        match reader.take(MAGIC.len())? {
            Some(magic) if magic[..] == MAGIC[..] => {}
            _ => reader.damaged = true,
        }
        Ok(reader)
    }

    pub(super) fn next(&mut self) -> io::Result<Step> {
        if self.damaged {
            return Ok(Step::Damaged);
        }
        let step = self.read_entry()?;
        match &step {
            Step::Entry(_) => self.entries += 1,
            Step::Damaged => self.damaged = true,
            Step::End => {}
        }
        Ok(step)
    }

    fn read_entry(&mut self) -> io::Result<Step> {
        if !self.fill(HEAD)? {
            return Ok(if self.buffer.is_empty() && !self.cut { Step::End } else { Step::Damaged });
        }
        let word = |at: usize| {
            u32::from_le_bytes([self.buffer[at], self.buffer[at + 1], self.buffer[at + 2], self.buffer[at + 3]])
        };
        let (length, sum) = (word(0) as usize, word(4));
        if length > LONGEST {
            return Ok(Step::Damaged);
        }
        let Some(mut whole) = self.take(HEAD + length)? else { return Ok(Step::Damaged) };
        let body = whole.split_off(HEAD);
        if entry::checksum(&body) != sum {
            return Ok(Step::Damaged);
        }
        Ok(entry::read(body).map_or(Step::Damaged, Step::Entry))
    }

    fn take(&mut self, length: usize) -> io::Result<Option<Bytes>> {
        Ok(self.fill(length)?.then(|| self.buffer.split_to(length).freeze()))
    }

    /// Reads until the buffer holds `wanted` bytes; false where the stream is over or damaged before.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        while self.buffer.len() < wanted && !self.ended {
            // Grown chunk by chunk, so that a damaged length costs no more memory than the file has.
            let have = self.buffer.len();
            self.buffer.resize(have + CHUNK, 0);
            let read = self.input.read(&mut self.buffer[have..]);
            self.buffer.truncate(have + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The system's own errors have a number; zstd's complaints about the bytes have none.
                Err(error) if error.raw_os_error().is_some() => return Err(error),
                Err(_) => {
                    self.ended = true;
                    self.cut = true;
                }
            }
        }
        Ok(self.buffer.len() >= wanted)
    }
}

/// Counts compressed bytes, for progress.
struct Counting {
    file: File,
    bytes_read: Arc<AtomicU64>,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.bytes_read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
