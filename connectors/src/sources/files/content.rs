//! What a file holds: lines, documents or one binary record; told from its bytes, not from its name.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::lines::Lines;

/// Bytes that are looked at to tell what a file holds.
const HEAD: usize = 64 << 10;
/// A document is held in memory whole; lines and compressed streams are not.
const LARGEST_DOCUMENT: u64 = 1 << 30;

/// Gives the records of a file one by one.
pub(super) enum Content {
    /// One record a line.
    Lines(Lines<Box<dyn Read + Send>>),
    /// Records of a document that is in memory, and their numbers.
    Pieces(VecDeque<(i64, Bytes)>),
}

impl Content {
    pub(super) fn open(path: &Path, bytes_read: Arc<AtomicU64>) -> io::Result<Self> {
        let file = Counting { file: File::open(path)?, bytes_read };
        let mut input = decompressed(BufReader::with_capacity(256 << 10, file))?;
        let mut head = Vec::new();
        input.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
        if head.starts_with(b"\xef\xbb\xbf") {
            head.drain(..3);
        }
        if is_binary(&head) {
            return Ok(Content::Pieces(VecDeque::from([(0, whole(head, input)?)])));
        }
        if !may_be_document(&head) {
            return Ok(Content::Lines(Lines::new(&head, input)));
        }
        let text = whole(head, input)?;
        Ok(match documents(&text) {
            Some(pieces) => Content::Pieces(pieces),
            None => Content::Lines(Lines::new(&[], Box::new(Cursor::new(text)))),
        })
    }

    pub(super) fn next(&mut self) -> io::Result<Option<(i64, Bytes)>> {
        match self {
            Content::Lines(lines) => lines.next(),
            Content::Pieces(pieces) => Ok(pieces.pop_front()),
        }
    }
}

fn decompressed(mut input: BufReader<Counting>) -> io::Result<Box<dyn Read + Send>> {
    let mut magic = Vec::new();
    input.by_ref().take(4).read_to_end(&mut magic)?;
    let gzip = magic.starts_with(&[0x1f, 0x8b]);
    let zstd = magic == [0x28, 0xb5, 0x2f, 0xfd];
    let input = Cursor::new(magic).chain(input);
    Ok(if gzip {
        Box::new(flate2::read::MultiGzDecoder::new(input))
    } else if zstd {
        Box::new(zstd::stream::read::Decoder::new(input)?)
    } else {
        Box::new(input)
    })
}

fn whole(head: Vec<u8>, input: impl Read) -> io::Result<Bytes> {
    let mut bytes = head;
    input.take(LARGEST_DOCUMENT).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_DOCUMENT {
        return Err(io::Error::other("a document of more than 1 GiB can't be held in memory; make it JSON lines"));
    }
    Ok(bytes.into())
}

/// Avro containers and protobuf have bytes that no JSON text has.
fn is_binary(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(_) => true,
        // The head may end inside a character.
        Err(error) => error.error_len().is_none(),
    };
    !text || head.iter().any(|byte| *byte < b' ' && !matches!(byte, b'\n' | b'\r' | b'\t'))
}

/// Whether the file could be something else than one record a line: an array, `{"Records": […]}` or an object over
/// several lines.
fn may_be_document(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    if text.starts_with(b"[") || records_of(text).is_some() {
        return true;
    }
    let Some(end) = memchr::memchr(b'\n', text) else { return false };
    text.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(&text[..end]).is_err()
}

/// What follows `{"Records":` where the text begins so, as files that CloudTrail delivers do.
fn records_of(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_prefix(b"{")?.trim_ascii_start().strip_prefix(b"\"Records\"")?;
    let array = text.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    array.starts_with(b"[").then_some(array)
}

/// The records of a text of JSON documents, arrays split into their elements; `None` where it does not begin with a
/// whole document. What can't be read after some documents is one last record, for its decoder to refuse.
fn documents(text: &Bytes) -> Option<VecDeque<(i64, Bytes)>> {
    let mut pieces = Vec::new();
    let mut stream = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    let mut start = 0;
    while let Some(document) = stream.next() {
        if document.is_err() {
            if pieces.is_empty() {
                return None;
            }
            pieces.push(text.slice(start..));
            break;
        }
        let end = stream.byte_offset();
        split(trimmed(&text.slice(start..end)), &mut pieces);
        start = end;
    }
    Some((0..).zip(pieces).collect())
}

fn split(document: Bytes, pieces: &mut Vec<Bytes>) {
    let array = match records_of(&document) {
        // Only where nothing but the list is in the object: its other members belong to no element.
        Some(rest) if only_member(rest) => rest,
        _ => &document,
    };
    if !array.starts_with(b"[") {
        return pieces.push(document);
    }
    let before = pieces.len();
    for element in sonic_rs::to_array_iter(array) {
        let Ok(element) = element else {
            pieces.truncate(before);
            break;
        };
        pieces.push(part_of(&document, element.as_raw_str().as_bytes()));
    }
    if pieces.len() == before {
        // Empty, or not what it seemed to be: the decoder says so.
        pieces.push(document);
    }
}

/// Whether the value that the text begins with is the last member of its object.
fn only_member(text: &[u8]) -> bool {
    let mut stream = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    stream.next().is_some_and(|value| value.is_ok()) && text[stream.byte_offset()..].trim_ascii() == b"}"
}

/// The part as a slice of the whole where it lies in it, else as a copy.
fn part_of(whole: &Bytes, part: &[u8]) -> Bytes {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    match start.checked_add(part.len()) {
        Some(end) if end <= whole.len() => trimmed(&whole.slice(start..end)),
        _ => Bytes::copy_from_slice(part.trim_ascii()),
    }
}

fn trimmed(bytes: &Bytes) -> Bytes {
    let start = bytes.len() - bytes.trim_ascii_start().len();
    bytes.slice(start..start + bytes.trim_ascii().len())
}

/// Counts bytes as they are on the disk, for progress.
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn check(content: &[u8], records: &[(i64, &str)]) {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(content).expect("written");
        let read = Arc::new(AtomicU64::new(0));
        let mut content_of = Content::open(file.path(), Arc::clone(&read)).expect("opens");
        let mut found = Vec::new();
        while let Some((number, record)) = content_of.next().expect("reads") {
            found.push((number, String::from_utf8_lossy(&record).into_owned()));
        }
        let expected: Vec<(i64, String)> = records.iter().map(|(number, text)| (*number, (*text).to_owned())).collect();
        assert_eq!(found, expected);
        assert_eq!(read.load(Ordering::Relaxed), content.len() as u64);
    }

    #[test]
    fn lines_keep_their_numbers_and_a_broken_one_its_neighbours() {
        check(b"{\"a\":1}\n\n{\"a\":\n{\"a\":3}", &[(0, r#"{"a":1}"#), (2, r#"{"a":"#), (3, r#"{"a":3}"#)]);
        check(b"{\"a\":\n{\"a\":2}\n", &[(0, r#"{"a":"#), (1, r#"{"a":2}"#)]);
    }

    #[test]
    fn an_array_gives_its_elements() {
        check(b" [ {\"a\": 1},\n {\"b\": [2]} ]\n", &[(0, r#"{"a": 1}"#), (1, r#"{"b": [2]}"#)]);
    }

    #[test]
    fn a_delivered_file_gives_its_records() {
        check(b"{\"Records\": [{\"a\":1},{\"b\":2}]}", &[(0, r#"{"a":1}"#), (1, r#"{"b":2}"#)]);
        let more = "{\"Records\": [{\"a\":1}], \"more\": 1}";
        check(more.as_bytes(), &[(0, more)]);
    }

    #[test]
    fn objects_over_several_lines_are_records() {
        check(b"{\n \"a\": 1\n}\n{\n \"b\": 2\n}\n", &[(0, "{\n \"a\": 1\n}"), (1, "{\n \"b\": 2\n}")]);
        check(b"{\n \"a\": 1\n}\n{\n \"b\": ", &[(0, "{\n \"a\": 1\n}"), (1, "\n{\n \"b\": ")]);
    }

    #[test]
    fn compression_is_told_by_the_bytes() {
        let text = b"{\"a\":1}\n{\"a\":2}\n";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(text).expect("compresses");
        let records = [(0, r#"{"a":1}"#), (1, r#"{"a":2}"#)];
        check(&gzip.finish().expect("compresses"), &records);
        check(&zstd::stream::encode_all(&text[..], 1).expect("compresses"), &records);
    }

    #[test]
    fn a_binary_file_is_one_record() {
        check(b"\n\x05ab\ncd\n", &[(0, "\n\x05ab\ncd\n")]);
    }
}
