//! Lines of a stream, cut from large chunks without copying each.

use std::io::{self, Read};

use bytes::{Bytes, BytesMut};

const CHUNK: usize = 256 << 10;
/// Bytes of one line; what a longer one has beyond is left out, so that its decoder refuses it.
const LONGEST: usize = 64 << 20;

/// Reads lines and counts them.
pub(super) struct Lines<R> {
    input: R,
    /// Bytes without a line break yet.
    partial: BytesMut,
    /// Whole lines that were not given yet.
    chunk: Bytes,
    ended: bool,
    number: i64,
}

impl<R: Read> Lines<R> {
    /// Lines of `head`, which was read from the input before, and of what follows.
    pub(super) fn new(head: Bytes, input: R) -> Self {
        let mut lines =
            Lines { input, partial: BytesMut::from(head.as_ref()), chunk: Bytes::new(), ended: false, number: 0 };
        lines.cut(0);
        lines
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
                None if self.ended && self.partial.is_empty() => return Ok(None),
                None if self.ended => self.partial.split().freeze(),
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
        let have = self.partial.len();
        self.partial.resize(have + CHUNK, 0);
        let read = self.input.read(&mut self.partial[have..]);
        self.partial.truncate(have + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => self.ended = true,
            Ok(_) => self.cut(have),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Moves whole lines out of the partial bytes, of which those before `searched` have no break.
    fn cut(&mut self, searched: usize) {
        match memchr::memrchr(b'\n', &self.partial[searched..]) {
            Some(at) => self.chunk = self.partial.split_to(searched + at + 1).freeze(),
            None => self.partial.truncate(LONGEST),
        }
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
            let mut lines = Lines::new(Bytes::copy_from_slice(&text.as_bytes()[..head]), Dribble(text.as_bytes()[head..].to_vec(), step));
            let mut read = Vec::new();
            while let Some((number, line)) = lines.next().expect("no I/O error") {
                read.push((number, String::from_utf8(line.to_vec()).expect("ASCII")));
            }
            let expected: Vec<(i64, String)> = (0..).zip(text.split('\n').map(str::to_owned)).filter(|(_, line)| !line.trim().is_empty()).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
