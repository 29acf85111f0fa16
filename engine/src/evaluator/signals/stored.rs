//! Feeds as they stand in the store.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watershed_rules::Finding;
use watershed_schemas::Timestamp;

use super::Feeds;
use crate::store::Commit;

/// First bytes of the keys that hold what rules say to rules that read it.
pub const PREFIX: &[u8] = b"u/";

/// A finding of a feed. One that was taken back stays as such until it is forgotten: within one commit a key that is deleted
/// can't be put again.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredRow {
    /// The rule that found it.
    rule: String,
    version: String,
    event_time: Timestamp,
    signal_id: String,
    finding: Option<Finding>,
}

/// Since when a feed has everything.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredFeed {
    rule: String,
    version: String,
    since: Timestamp,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Row(Box<StoredRow>),
    Feed(StoredFeed),
}

fn feed_key(rule: &str) -> Vec<u8> {
    [PREFIX, rule.as_bytes()].concat()
}

fn row_key(rule: &str, signal_id: &str) -> Vec<u8> {
    [PREFIX, rule.as_bytes(), b"/", signal_id.as_bytes()].concat()
}

pub(super) fn put_row(
    (rule, version): (&str, &str),
    signal_id: &str,
    event_time: Timestamp,
    finding: Option<&Finding>,
    commit: &mut Commit,
) {
    let row = StoredRow {
        rule: rule.to_owned(),
        version: version.to_owned(),
        event_time,
        signal_id: signal_id.to_owned(),
        finding: finding.cloned(),
    };
    if let Ok(value) = serde_json::to_vec(&row) {
        commit.puts.push((row_key(rule, signal_id), value));
    }
}

pub(super) fn delete_row(rule: &str, signal_id: &str, commit: &mut Commit) {
    commit.deletes.push(row_key(rule, signal_id));
}

pub(super) fn put_feed((rule, version): (&str, &str), since: Timestamp, commit: &mut Commit) {
    let feed = StoredFeed { rule: rule.to_owned(), version: version.to_owned(), since };
    if let Ok(value) = serde_json::to_vec(&feed) {
        commit.puts.push((feed_key(rule), value));
    }
}

impl Feeds {
    /// Takes up what was stored; gives the keys of what nobody reads any more.
    pub(super) fn load(&mut self, stored: &[(Vec<u8>, Vec<u8>)], history: bool) -> Vec<Vec<u8>> {
        if history {
            self.feeds.values_mut().for_each(|feed| feed.since = None);
        }
        let mut orphans = Vec::new();
        let mut rows: BTreeMap<usize, Vec<(Timestamp, String, Option<Finding>)>> = BTreeMap::new();
        for (key, value) in stored {
            let of = |rule: &str, version: &str| {
                let same =
                    |(_, feed): &(&usize, &super::Feed)| feed.rule.meta.id == rule && feed.rule.version == version;
                self.feeds.iter().find(same).map(|(position, _)| *position)
            };
            match serde_json::from_slice(value) {
                Ok(Stored::Row(row)) if let Some(position) = of(&row.rule, &row.version) => {
                    let StoredRow { event_time, signal_id, finding, .. } = *row;
                    rows.entry(position).or_default().push((event_time, signal_id, finding));
                }
                Ok(Stored::Feed(stored)) if let Some(position) = of(&stored.rule, &stored.version) => {
                    if let Some(feed) = self.feeds.get_mut(&position) {
                        feed.since = Some(stored.since);
                    }
                }
                _ => orphans.push(key.clone()),
            }
        }
        for (position, rows) in rows {
            let segment = self.next_segment();
            if let Some(feed) = self.feeds.get_mut(&position) {
                feed.restore(segment, rows);
            }
        }
        orphans
    }
}
