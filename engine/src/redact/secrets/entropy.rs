//! Tokens that look random.
//!
//! A token is random where all of this holds:
//!
//! - a run of at least [`RUN`] characters of `A-Z a-z 0-9 + / _ -`, without the prefix of a known id (`call_`, `toolu_`, …);
//! - a piece of it between `/ _ -` of at least [`PIECE`] characters with upper case, lower case and digits;
//! - whose words (a capital with lower case, capitals, digits) are [`WORD`] characters long on average or less:
//!   `GetSecretValueForUser2Factory` has words of 4 characters, random base64 of 1.9.
//!
//! So UUIDs, hexadecimal hashes, trace ids, ULIDs, paths, ARNs and identifiers of programs are none: they lack a case or
//! are made of words. A secret that is all hexadecimal is found only by its name (`token=…`).

use super::Found;

/// Least length of a run.
const RUN: usize = 24;
/// Least length of a piece.
const PIECE: usize = 16;
/// Longest average word of what is random.
const WORD: f64 = 3.0;

/// Prefixes of ids that are public by design and end in random characters.
const ID_PREFIXES: [&str; 14] = [
    "call_",
    "toolu_",
    "srvtoolu_",
    "msg_",
    "req_",
    "resp_",
    "chatcmpl-",
    "asst_",
    "thread_",
    "run_",
    "inc_",
    "sig_",
    "ntf_",
    "evt_",
];

pub(super) fn find(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let mut start = 0;
    while start < bytes.len() {
        let length = bytes[start..].iter().take_while(|byte| in_run(**byte)).count();
        if length < RUN {
            start += length.max(1);
            continue;
        }
        let run = &text[start..start + length];
        if !ID_PREFIXES.iter().any(|prefix| run.starts_with(prefix))
            && let Some((from, to)) = random_part(run)
        {
            let padding = bytes[start + to..].iter().take(2).take_while(|byte| **byte == b'=').count();
            found.push(Found { start: start + from, end: start + to + padding, kind: "token", rank: usize::MAX });
        }
        start += length;
    }
}

fn in_run(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || parts(byte) || byte == b'+'
}

fn parts(byte: u8) -> bool {
    matches!(byte, b'/' | b'_' | b'-')
}

/// From the first random piece to the last, and whatever around them is not a plain word.
fn random_part(run: &str) -> Option<(usize, usize)> {
    let bytes = run.as_bytes();
    let mut pieces = Vec::new();
    let mut start = 0;
    for piece in bytes.split(|byte| parts(*byte)) {
        pieces.push((start, piece));
        start += piece.len() + 1;
    }
    let is_random = |(_, piece): &(usize, &[u8])| piece.len() >= PIECE && is_random_piece(piece);
    let (first, last) = (pieces.iter().position(is_random)?, pieces.iter().rposition(is_random)?);
    let is_word = |(_, piece): &(usize, &[u8])| piece.len() >= 3 && words(piece) == 1;
    let first = pieces[..first].iter().rposition(is_word).map_or(0, |word| word + 1);
    let last = pieces[last..].iter().position(is_word).map_or(pieces.len(), |word| last + word) - 1;
    let (from, (last, piece)) = (pieces[first].0, pieces[last]);
    Some((from, last + piece.len()))
}

fn is_random_piece(piece: &[u8]) -> bool {
    let has = |class: fn(&u8) -> bool| piece.iter().any(class);
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    mixed && piece.len() as f64 <= WORD * words(piece) as f64
}

/// Into how many words the piece falls.
fn words(piece: &[u8]) -> usize {
    let class = |byte: u8| match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    let mut words = 1;
    for at in 1..piece.len() {
        let (before, here) = (class(piece[at - 1]), class(piece[at]));
        // A capital that begins a word belongs to it.
        let capitalised = before == 2 && here == 1 && (at < 2 || class(piece[at - 2]) != 2);
        words += usize::from(before != here && !capitalised);
    }
    words
}
