//! What sinks remember of what they sent: where the message of an incident stands, so that it can be edited.
//!
//! A row is written in the same commit that takes the delivered message out of the outbox, under the receiver and the
//! deduplication key. It moves along when a message takes the place of one with another key, and goes when its sink
//! says so. If the store is lost, so is the memory: the next message is then a new one instead of an edit.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use watershed_connectors::sinks::Memory;
use watershed_schemas::{Notification, Timestamp};

use super::queue::Group;
use crate::store::{self, Commit, StateStore};

/// First bytes of every key.
const PREFIX: &[u8] = b"d/";

/// Longest deduplication key that stands in a key of the store as it is.
const PLAIN_KEY: usize = 200;

/// A row that nobody has used for so long is of an incident that ended unheard.
const KEPT_DAYS: i64 = 90;

#[derive(Serialize, Deserialize)]
struct Row {
    /// When it was written.
    at: Timestamp,
    /// The sink's own words.
    text: String,
}

/// A row that was found for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recalled {
    key: Vec<u8>,
    pub(super) text: String,
}

/// What is remembered under the message's own key, else under the youngest of those that it takes the place of.
pub(super) fn recall(store: &dyn StateStore, receiver: &str, group: &Group) -> Result<Option<Recalled>, store::Error> {
    for dedup_key in keys(group) {
        let key = key(receiver, dedup_key);
        if let Some(row) = store.get(&key)?.and_then(|value| serde_json::from_slice::<Row>(&value).ok()) {
            return Ok(Some(Recalled { key, text: row.text }));
        }
    }
    Ok(None)
}

/// Writes down in a commit what is to be remembered from now on.
pub(super) fn keep(
    commit: &mut Commit,
    receiver: &str,
    group: &Group,
    recalled: Option<Recalled>,
    memory: Memory,
    at: Timestamp,
) {
    let own = key(receiver, own_key(&group.notification));
    let text = match (memory, &recalled) {
        (Memory::Keep(text), _) => Some(text),
        (Memory::AsItIs, Some(recalled)) if recalled.key != own => Some(recalled.text.clone()),
        (Memory::AsItIs, _) => return,
        (Memory::Forget, _) => None,
    };
    commit.deletes.extend(recalled.map(|recalled| recalled.key));
    match text {
        Some(text) => commit.put(|| own, &Row { at, text }),
        None => commit.deletes.push(own),
    }
}

/// Forgets what is so old that nobody will ask for it.
pub(super) fn prune(store: &dyn StateStore, now: Timestamp) -> Result<(), store::Error> {
    let oldest = now.micros().saturating_sub(KEPT_DAYS * 24 * 60 * 60 * 1_000_000);
    let old = |value: &[u8]| serde_json::from_slice::<Row>(value).map_or(true, |row| row.at.micros() < oldest);
    let deletes: Vec<Vec<u8>> =
        store.scan(PREFIX)?.into_iter().filter(|(_, value)| old(value)).map(|(key, _)| key).collect();
    if deletes.is_empty() {
        return Ok(());
    }
    store.commit(Commit { deletes, ..Commit::default() })
}

fn keys(group: &Group) -> impl Iterator<Item = &str> {
    let former = group.former.iter().rev().map(String::as_str);
    std::iter::once(own_key(&group.notification)).chain(former)
}

fn own_key(notification: &Notification) -> &str {
    // Messages of before there were keys are about an incident.
    if notification.dedup_key.is_empty() { &notification.incident_id } else { &notification.dedup_key }
}

fn key(receiver: &str, dedup_key: &str) -> Vec<u8> {
    let receiver = [PREFIX, receiver.as_bytes(), b"/"].concat();
    if dedup_key.len() <= PLAIN_KEY {
        return [&receiver, dedup_key.as_bytes()].concat();
    }
    [receiver, Sha256::digest(dedup_key.as_bytes()).to_vec()].concat()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use watershed_schemas::NotifyReason::Opened;

    use super::*;
    use crate::deliver::tests::notification;
    use crate::store::MemoryStore;

    fn group(dedup_key: &str, former: &[&str]) -> Group {
        let notification = Notification { dedup_key: dedup_key.to_owned(), ..notification("r", "a", 1, Opened) };
        let former = former.iter().map(|key| (*key).to_owned()).collect();
        Group { seqs: vec![1], notification, former, since: Duration::ZERO }
    }

    fn recalled(store: &MemoryStore, group: &Group) -> Option<String> {
        recall(store, "r", group).expect("readable").map(|recalled| recalled.text)
    }

    fn remember(store: &MemoryStore, group: &Group, memory: Memory, at: i64) {
        let found = recall(store, "r", group).expect("readable");
        let mut commit = Commit::default();
        keep(&mut commit, "r", group, found, memory, Timestamp::from_secs(at));
        store.commit(commit).expect("memory takes it");
    }

    #[test]
    fn memory_moves_along_with_the_key_and_ends_with_the_incident() {
        let store = MemoryStore::new();
        let keep = |text: &str| Memory::Keep(text.to_owned());
        remember(&store, &group("a:model:1", &[]), keep("place 1"), 0);
        assert_eq!(recalled(&store, &group("a:model:1", &[])).as_deref(), Some("place 1"));
        assert_eq!(recalled(&store, &group("a:access:1", &[])), None, "another plane is another message");
        // Two keys later, the one between was never sent.
        let grown = group("a:model:3", &["a:model:1", "a:model:2"]);
        assert_eq!(recalled(&store, &grown).as_deref(), Some("place 1"));
        remember(&store, &grown, Memory::AsItIs, 0);
        assert_eq!(recalled(&store, &group("a:model:3", &[])).as_deref(), Some("place 1"));
        assert_eq!(recalled(&store, &group("a:model:1", &[])), None);
        remember(&store, &group("a:model:3", &[]), keep("place 2"), 0);
        assert_eq!(recalled(&store, &group("a:model:3", &[])).as_deref(), Some("place 2"));
        remember(&store, &group("a:model:3", &[]), Memory::Forget, 0);
        assert_eq!(store.scan(b"").expect("readable").len(), 0);
    }

    #[test]
    fn long_keys_are_kept_apart_and_old_memories_go() {
        let store = MemoryStore::new();
        let (one, other) = ("x".repeat(500), "x".repeat(501));
        remember(&store, &group(&one, &[]), Memory::Keep("one".to_owned()), 0);
        remember(&store, &group(&other, &[]), Memory::Keep("other".to_owned()), 1_000);
        assert_eq!(recalled(&store, &group(&one, &[])).as_deref(), Some("one"));
        let days = KEPT_DAYS * 24 * 60 * 60;
        prune(&store, Timestamp::from_secs(days + 500)).expect("pruned");
        assert_eq!(recalled(&store, &group(&one, &[])), None);
        assert_eq!(recalled(&store, &group(&other, &[])).as_deref(), Some("other"));
    }
}
