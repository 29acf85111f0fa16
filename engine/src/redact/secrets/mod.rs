//! Secrets in texts: found by known patterns and by how random they look, and masked.
//!
//! What is found becomes `[masked:kind]`, such as `[masked:github-token]`; the rest of the text stays as it is. Masking is
//! idempotent, and its time is linear in the length of the text (finite automata, one pass to learn which patterns occur
//! at all; at most [`MAX_BYTES`] are read).
//!
//! Ids are not secrets: a responder has to revoke `AKIA…` or end session `102MZmLm8zSRaS6yyvWKNJm1Q`. Columns that hold ids
//! are read with [`mask_known`], which finds secrets that cannot be mistaken for ids (somebody logged the key itself in
//! place of its id) and leaves everything else alone; free text is read with [`mask_secrets`], which also masks long
//! random tokens.

mod entropy;
mod patterns;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

/// Most bytes of one text that are read; what comes after them is dropped, because nobody has looked at it.
pub const MAX_BYTES: usize = 256 * 1024;

/// What every mask begins with.
const MARK: &str = "[masked:";
/// What stands for the part that is too long to be read.
const UNREAD: &str = "[masked:unread]";

/// Where a secret is, and of which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    start: usize,
    end: usize,
    kind: &'static str,
    /// How telling the kind is, the most telling first: it names what several find; of the same rank, what begins first.
    rank: usize,
}

/// Free text without its secrets: known kinds, values that are named like secrets, and long random tokens.
///
/// ```
/// use watershed_engine::redact::mask_secrets;
/// assert_eq!(mask_secrets("curl -u bot:ghp_0123456789abcdefghijABCDEFGHIJ012345"), "curl -u bot:[masked:github-token]");
/// assert_eq!(mask_secrets("session 4fd2f3a0-1d2b-4f0e-9b52-3d1a5c2e7f10"), "session 4fd2f3a0-1d2b-4f0e-9b52-3d1a5c2e7f10");
/// ```
pub fn mask_secrets(text: &str) -> Cow<'_, str> {
    mask(text, true)
}

/// The text of a column that holds an id, or of a line that was put together from columns, without secrets of known
/// kinds. Long random tokens and the ids of access keys stay: they are ids here.
pub fn mask_known(text: &str) -> Cow<'_, str> {
    mask(text, false)
}

/// How many masks a text holds.
pub fn masks(text: &str) -> usize {
    text.matches(MARK).count()
}

fn mask(text: &str, free: bool) -> Cow<'_, str> {
    let end = if text.len() <= MAX_BYTES { text.len() } else { text.floor_char_boundary(MAX_BYTES) };
    let (read, unread) = text.split_at(end);
    let mut found = patterns::find(read, free);
    if free {
        entropy::find(read, &mut found);
    }
    if found.is_empty() && unread.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(read.len());
    let mut at = 0;
    for Found { start, end, kind, .. } in merged(found) {
        out.push_str(&read[at..start]);
        out.push_str(MARK);
        out.push_str(kind);
        out.push(']');
        at = end;
    }
    out.push_str(&read[at..]);
    if !unread.is_empty() {
        out.push_str(UNREAD);
    }
    Cow::Owned(out)
}

/// Overlapping finds as one, of the most telling kind.
fn merged(mut found: Vec<Found>) -> Vec<Found> {
    found.retain(|found| found.start < found.end);
    // Those of one rank stay in the order of the patterns.
    found.sort_by_key(|found| (found.start, found.rank));
    let mut merged: Vec<Found> = Vec::with_capacity(found.len());
    for next in found {
        match merged.last_mut() {
            Some(last) if next.start < last.end => {
                last.end = last.end.max(next.end);
                if next.rank < last.rank {
                    (last.kind, last.rank) = (next.kind, next.rank);
                }
            }
            _ => merged.push(next),
        }
    }
    merged
}
