//! Which principal a session belongs to, learned from events that carry both.
//!
//! The earliest such event decides (ties by the lesser principal), so the order of arrival does not. An event that comes
//! late and decides otherwise moves the session's signals to the other principal.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use datafusion::arrow::array::{Array, AsArray};
use serde::{Deserialize, Serialize};
use watershed_schemas::{ColumnSet, EventBatch, Plane, Timestamp};

use super::SignalRecord;
use crate::acceptance::event_times;
use crate::store::Commit;

/// First bytes of the keys that hold links.
pub(super) const PREFIX: &[u8] = b"l/";

/// A session of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) tenant: String,
    pub(super) session_id: String,
}

impl Session {
    /// Whether the signal is of this session and names no principal itself.
    pub(super) fn has_nameless(&self, record: &SignalRecord) -> bool {
        record.principal.is_none()
            && record.tenant == self.tenant
            && record.session_id.as_ref() == Some(&self.session_id)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Link {
    principal: String,
    /// The earliest event that carried both.
    since: Timestamp,
    /// The latest time at which the link was looked at closely; a link that isn't seen any more is forgotten.
    seen: Timestamp,
}

#[derive(Serialize)]
struct StoredLink<'a> {
    session: &'a Session,
    link: &'a Link,
}

#[derive(Deserialize)]
struct RestoredLink {
    session: Session,
    link: Link,
}

/// All links known.
pub(super) struct SessionLinks {
    links: HashMap<Session, Link>,
    /// Hash of a session → hash of principal: what was looked at lately and needs no second look.
    settled: HashMap<u64, (u64, Timestamp)>,
    /// What the last sweep forgot: seen again, it must not be deleted by the same commit.
    forgotten: HashSet<Session>,
    swept: Timestamp,
    keep: Duration,
    limit: usize,
    /// Links that were not learned because the limit was reached.
    pub(super) overflow: u64,
}

impl SessionLinks {
    pub(super) fn new(keep: Duration, limit: usize) -> Self {
        SessionLinks {
            links: HashMap::new(),
            settled: HashMap::new(),
            forgotten: HashSet::new(),
            swept: Timestamp::MIN,
            keep,
            limit,
            overflow: 0,
        }
    }

    pub(super) fn principal(&self, session: &Session) -> Option<&str> {
        self.links.get(session).map(|link| link.principal.as_str())
    }

    /// Every session with its principal's id, in no order.
    pub(super) fn each(&self) -> impl Iterator<Item = (&Session, &str)> {
        self.links.iter().map(|(session, link)| (session, link.principal.as_str()))
    }

    /// The columns that are learned from.
    pub(super) fn columns(plane: Plane) -> ColumnSet {
        ["tenant", "session_id", "principal"].iter().filter_map(|name| plane.column(name)).collect()
    }

    /// Learns from the accepted rows of a batch; returns the sessions whose principal became another one.
    pub(super) fn learn(
        &mut self,
        batch: &EventBatch,
        accepted: Option<&[u32]>,
        commit: &mut Commit,
    ) -> BTreeSet<Session> {
        let mut changed = BTreeSet::new();
        let column = |name: &str| Plane::column(batch.plane, name).map(|at| batch.rows.column(at).as_string::<i32>());
        let (Some(tenants), Some(sessions), Some(principals)) =
            (column("tenant"), column("session_id"), column("principal"))
        else {
            return changed;
        };
        if sessions.null_count() == sessions.len() || principals.null_count() == principals.len() {
            return changed;
        }
        let times = event_times(&batch.rows);
        let mut last: Option<usize> = None;
        let mut learn = |row: usize| {
            if sessions.is_null(row) || principals.is_null(row) {
                return;
            }
            // Neighbours are mostly of one session, and a later event says nothing new of it.
            let same = |before: usize| {
                times.value(before) <= times.value(row)
                    && [sessions, principals, tenants].iter().all(|column| column.value(before) == column.value(row))
            };
            if last.is_some_and(same) {
                return;
            }
            last = Some(row);
            let time = Timestamp::from_micros(times.value(row));
            let session = hash(&(tenants.value(row), sessions.value(row)));
            let principal = hash(&principals.value(row));
            if self.settled.get(&session).is_some_and(|(known, since)| *known == principal && *since <= time) {
                return;
            }
            if self.settled.len() > self.limit {
                self.settled.clear();
            }
            self.settled.insert(session, (principal, time));
            let session = Session { tenant: tenants.value(row).to_owned(), session_id: sessions.value(row).to_owned() };
            if self.link(session.clone(), principals.value(row), time, commit) {
                changed.insert(session);
            }
        };
        match accepted {
            None => (0..batch.rows.num_rows()).for_each(&mut learn),
            Some(rows) => rows.iter().for_each(|row| learn(*row as usize)),
        }
        changed
    }

    fn link(&mut self, session: Session, principal: &str, time: Timestamp, commit: &mut Commit) -> bool {
        let before = self.links.get(&session);
        if before.is_none() && self.links.len() >= self.limit {
            self.overflow += 1;
            return false;
        }
        let earlier = before.is_none_or(|link| (time, principal) < (link.since, link.principal.as_str()));
        let changed = earlier && before.is_none_or(|link| link.principal != principal);
        let link = match before {
            Some(link) if !earlier => Link { seen: link.seen.max(time), ..link.clone() },
            Some(link) => Link { principal: principal.to_owned(), since: time, seen: link.seen.max(time) },
            None => Link { principal: principal.to_owned(), since: time, seen: time },
        };
        if before != Some(&link) {
            if self.forgotten.remove(&session) {
                let again = key(&session);
                commit.deletes.retain(|deleted| *deleted != again);
            }
            commit.put(|| key(&session), &StoredLink { session: &session, link: &link });
            self.links.insert(session, link);
        }
        changed
    }

    /// Forgets links that were not seen for long, as history moves on.
    pub(super) fn sweep(&mut self, low: Timestamp, commit: &mut Commit) {
        if low == Timestamp::MIN || low == Timestamp::MAX || low < self.swept.plus(self.keep / 2) {
            return;
        }
        if self.swept == Timestamp::MIN {
            self.swept = low;
            return;
        }
        self.swept = low;
        // What goes on being seen gets a second look now, and so a fresh `seen`.
        self.settled.clear();
        self.forgotten.clear();
        let oldest = low.minus(self.keep);
        self.links.retain(|session, link| {
            let live = link.seen >= oldest;
            if !live {
                self.forgotten.insert(session.clone());
                commit.deletes.push(key(session));
            }
            live
        });
    }

    pub(super) fn restore(&mut self, stored: &[(Vec<u8>, Vec<u8>)]) {
        for (_, value) in stored {
            if let Ok(RestoredLink { session, link }) = serde_json::from_slice(value) {
                self.links.insert(session, link);
            }
        }
    }
}

fn key(session: &Session) -> Vec<u8> {
    [PREFIX, session.tenant.as_bytes(), b"\0", session.session_id.as_bytes()].concat()
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
