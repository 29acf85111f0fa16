//! What a rule holds, in bytes.
//!
//! A segment is attributed whole to each rule that holds a row of it: it stays as long as any of them does. The total over
//! all rules counts it once (`core::segments`). What is not rows is estimated by what it is made of.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use watershed_rules::Finding;

use super::rows::Segment;

/// A reference to a row, and room for more.
const ROW_BYTES: usize = 32;
/// A key with its maps, all empty.
const KEY_BYTES: usize = 320;
/// A finding with its places in maps, without its texts.
const FINDING_BYTES: usize = 512;
/// A value or a name in a map.
const VALUE_BYTES: usize = 48;

/// What one rule holds.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Rows held of each segment.
    segments: HashMap<u64, usize>,
    segment_bytes: usize,
    rows: usize,
    finding_bytes: usize,
}

impl Memory {
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Everything, segments whole.
    pub(super) fn bytes(&self, keys: usize) -> usize {
        self.segment_bytes + self.own_bytes(keys)
    }

    /// What no other rule shares.
    pub(super) fn own_bytes(&self, keys: usize) -> usize {
        self.rows * ROW_BYTES + keys * KEY_BYTES + self.finding_bytes
    }

    /// What is held of these segments, given with their bytes.
    pub(super) fn bytes_of(&self, segments: &BTreeMap<u64, usize>) -> usize {
        if self.segments.len() < segments.len() {
            return self.segments.keys().filter_map(|id| segments.get(id)).sum();
        }
        segments.iter().filter(|(id, _)| self.segments.contains_key(id)).map(|(_, bytes)| bytes).sum()
    }

    pub(super) fn hold(&mut self, segment: &Segment, rows: usize) {
        if rows == 0 {
            return;
        }
        self.rows += rows;
        match self.segments.entry(segment.id) {
            Entry::Occupied(mut held) => *held.get_mut() += rows,
            Entry::Vacant(first) => {
                first.insert(rows);
                self.segment_bytes += segment.bytes;
            }
        }
    }

    pub(super) fn let_go(&mut self, segment: &Segment, rows: usize) {
        self.rows = self.rows.saturating_sub(rows);
        if let Entry::Occupied(mut held) = self.segments.entry(segment.id) {
            *held.get_mut() = held.get().saturating_sub(rows);
            if *held.get() == 0 {
                held.remove();
                self.segment_bytes -= segment.bytes;
            }
        }
    }

    pub(super) fn remember(&mut self, finding: &Finding) {
        self.finding_bytes += weight(finding);
    }

    pub(super) fn forget(&mut self, finding: &Finding) {
        self.finding_bytes = self.finding_bytes.saturating_sub(weight(finding));
    }
}

fn weight(finding: &Finding) -> usize {
    let evidence: usize = finding.evidence.iter().map(|id| VALUE_BYTES + id.len()).sum();
    let columns = finding.key.iter().chain(&finding.details);
    FINDING_BYTES + evidence + columns.map(|(name, value)| VALUE_BYTES + name.len() + size(value)).sum::<usize>()
}

fn size(value: &Value) -> usize {
    VALUE_BYTES
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(size).sum(),
            Value::Object(members) => members.iter().map(|(name, value)| name.len() + size(value)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}
