//! A case file in the store: cut into parts, so that a commit writes only what has changed.
//!
//! | key | value |
//! |---|---|
//! | `c/i/ID` | its entry in the list |
//! | `c/h/ID` | the file without what follows |
//! | `c/r/ID/NUMBER` | one past revision |
//! | `c/t/ID/PART` | up to 32 moments of the timeline |
//!
//! Keys are persisted and must be kept stable. Values are JSON.

use watershed_schemas::{Case, IncidentRevision, TimelineEntry};

use super::Entry;
use super::file::MOMENTS;
use crate::store::{self, Pairs, StateStore};

/// First bytes of the keys of entries.
pub const INDEX_PREFIX: &[u8] = b"c/i/";
const HEAD: &[u8] = b"c/h/";
const REVISIONS: &[u8] = b"c/r/";
const TIMELINE: &[u8] = b"c/t/";

/// Moments of one part.
const PART: usize = 32;

/// The key of an entry.
pub(super) fn index_key(id: &str) -> Vec<u8> {
    [INDEX_PREFIX, id.as_bytes()].concat()
}

fn under(space: &[u8], id: &str) -> Vec<u8> {
    [space, id.as_bytes(), b"/"].concat()
}

fn numbered(space: &[u8], id: &str, number: u32) -> Vec<u8> {
    [under(space, id), number.to_be_bytes().to_vec()].concat()
}

/// The parts of a file, by key.
pub(super) fn parts(case: &Case) -> Pairs {
    let id = &case.incident.incident_id;
    let mut parts = Pairs::new();
    let mut put = |key: Vec<u8>, value: serde_json::Result<Vec<u8>>| {
        if let Ok(value) = value {
            parts.push((key, value));
        }
    };
    let head = Case { revisions: Vec::new(), timeline: Vec::new(), ..case.clone() };
    put([HEAD, id.as_bytes()].concat(), serde_json::to_vec(&head));
    for revision in &case.revisions {
        put(numbered(REVISIONS, id, revision.revision), serde_json::to_vec(revision));
    }
    for (number, part) in (0..).zip(case.timeline.chunks(PART)) {
        put(numbered(TIMELINE, id, number), serde_json::to_vec(part));
    }
    parts
}

/// Every key that a file may have.
pub(super) fn keys(entry: &Entry) -> Vec<Vec<u8>> {
    let id = &entry.incident_id;
    let mut keys = vec![index_key(id), [HEAD, id.as_bytes()].concat()];
    keys.extend((1..entry.revision).map(|number| numbered(REVISIONS, id, number)));
    let parts = MOMENTS.iter().sum::<usize>().div_ceil(PART);
    keys.extend((0..).take(parts).map(|number| numbered(TIMELINE, id, number)));
    keys
}

/// Reads a file.
pub(super) fn load(store: &dyn StateStore, id: &str) -> Result<Option<Case>, store::Error> {
    let head = store.get(&[HEAD, id.as_bytes()].concat())?;
    let Some(mut case) = head.and_then(|head| serde_json::from_slice::<Case>(&head).ok()) else { return Ok(None) };
    for (_, value) in store.scan(&under(REVISIONS, id))? {
        case.revisions.extend(serde_json::from_slice::<IncidentRevision>(&value));
    }
    for (_, value) in store.scan(&under(TIMELINE, id))? {
        case.timeline.extend(serde_json::from_slice::<Vec<TimelineEntry>>(&value).unwrap_or_default());
    }
    Ok(Some(case))
}
