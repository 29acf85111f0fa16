//! Lines of a stream, cut from large chunks without copying each.
//!
//! Chunks are used again once nobody holds a line of them: fresh memory is handed out page by page and cleared, which costs
//! more than reading does.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Tests cut small ones, to meet every edge.
const CHUNK: usize = if cfg!(test) { 16 } else { 256 << 10 };
/// Bytes of one line; what a longer one has beyond is left out, so that its decoder refuses it.
const LONGEST: usize = 64 << 20;
/// Chunks that wait to be used again: as many as are in use between reading and evaluating.
const WAITING: usize = 256;

/// Reads lines and counts them.
pub(super) struct Lines<R> {
    input: R,
    /// Where is read to; what it holds beyond `filled` means nothing.
    buffer: Vec<u8>,
    /// Bytes in it that belong to no whole line, as far as is known.
    filled: usize,
    /// Bytes of them that have no line break.
    searched: usize,
    /// Whole lines that were not given yet.
    chunk: Bytes,
    ended: bool,
    number: i64,
    spare: Spare,
}

/// Chunks to be used again.
type Spare = Arc<Mutex<Vec<Vec<u8>>>>;

/// A chunk that goes back to the others when the last line of it is gone.
struct Lent {
    bytes: Vec<u8>,
    spare: Spare,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        // One that a long line has made larger goes.
        if spare.len() < WAITING && self.bytes.len() == CHUNK {
            spare.push(std::mem::take(&mut self.bytes));
        }
    }
}

impl<R: Read> Lines<R> {
    /// Lines of `head`, which was read from the input before, and of what follows.
    pub(super) fn new(head: &[u8], input: R) -> Self {
        let mut buffer = vec![0; CHUNK.max(head.len())];
        buffer[..head.len()].copy_from_slice(head);
        let (chunk, spare) = (Bytes::new(), Spare::default());
        Lines { input, buffer, filled: head.len(), searched: 0, chunk, ended: false, number: 0, spare }
    }

    /// The next line that is not blank, without its break, and its number.
    pub(super) fn next(&mut self) -> io::Result<Option<(i64, Bytes)>> {
        loop {
            let line = match memchr::memchr(b'\n', &self.chunk) {
                Some(at) => {
                    let mut line = self.chunk.split_to(at + 1);
                    line.truncate(at);
                    line
                }
                None if self.ended && self.filled == 0 => return Ok(None),
                None if self.ended => self.take(self.filled),
                None => {
                    self.read()?;
                    continue;
                }
            };
            let number = self.number;
            self.number += 1;
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some((number, line)));
            }
        }
    }

    fn read(&mut self) -> io::Result<()> {
        let have = self.filled;
        if have == self.buffer.len() {
            self.buffer.resize(have + have.max(CHUNK), 0);
        }
        match self.input.read(&mut self.buffer[have..]) {
            Ok(0) => {
                self.ended = true;
                self.cut();
            }
            Ok(read) => {
                self.filled += read;
                // A line holds its whole chunk: one is filled well before it is cut, however little comes at once.
                if self.filled * 2 > self.buffer.len() {
                    self.cut();
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Moves whole lines out of the buffer.
    fn cut(&mut self) {
        match memchr::memrchr(b'\n', &self.buffer[self.searched..self.filled]) {
            Some(at) => self.chunk = self.take(self.searched + at + 1),
            None => {
                self.filled = self.filled.min(LONGEST);
                self.searched = self.filled;
            }
        }
    }

    /// Takes the first bytes out of the buffer; the others begin a fresh one.
    fn take(&mut self, count: usize) -> Bytes {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut next = spare.unwrap_or_else(|| vec![0; CHUNK]);
        let rest = self.filled - count;
        if next.len() < rest {
            next.resize(rest, 0);
        }
        next[..rest].copy_from_slice(&self.buffer[count..self.filled]);
        let bytes = std::mem::replace(&mut self.buffer, next);
        (self.filled, self.searched) = (rest, rest);
        Bytes::from_owner(Lent { bytes, spare: Arc::clone(&self.spare) }).slice(..count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives a few bytes at a time, as pipes and decompressors do.
    struct Dribble(Vec<u8>, usize);

    impl Read for Dribble {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len()).min(buffer.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0.drain(..length);
            Ok(length)
        }
    }

    proptest! {
        #[test]
        fn lines_are_those_of_the_whole_text(text in "[ab \\n]{0,60}", head in 0..60_usize, step in 1..7_usize) {
            let head = head.min(text.len());
            let mut lines = Lines::new(&text.as_bytes()[..head], Dribble(text.as_bytes()[head..].to_vec(), step));
            let mut read = Vec::new();
            while let Some((number, line)) = lines.next().expect("no I/O error") {
                read.push((number, String::from_utf8(line.to_vec()).expect("ASCII")));
            }
            let expected: Vec<(i64, String)> = (0..).zip(text.split('\n').map(str::to_owned)).filter(|(_, line)| !line.trim().is_empty()).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
