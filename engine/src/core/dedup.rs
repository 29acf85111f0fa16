//! One event, once: rows that come again under the same (tenant, plane, source, event id) are dropped and counted.
//!
//! Only rows that some rule can use are looked at; a repeat of any other changes nothing.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use datafusion::arrow::array::AsArray;
use watershed_schemas::tables::runtime;
use watershed_schemas::{EventBatch, Plane, Timestamp};

use crate::acceptance::event_times;
use crate::matcher::Matches;
use crate::watermark::Watermarks;

/// The ids of accepted rows that a repeat could still follow.
#[derive(Default)]
pub(super) struct Dedup {
    planes: [PlaneIds; 2],
}

#[derive(Default)]
struct PlaneIds {
    known: HashMap<u128, Timestamp>,
    oldest: BinaryHeap<Reverse<(Timestamp, u128)>>,
}

impl Dedup {
    /// Takes rows that are known already out of the matches; returns how many there were.
    pub(super) fn drop_known(&mut self, batch: &EventBatch, matches: &mut Matches) -> u64 {
        let plane = &mut self.planes[batch.plane.index()];
        let [tenants, sources, ids] = [runtime::TENANT, runtime::SOURCE, runtime::EVENT_ID]
            .map(|column| batch.rows.column(column).as_string::<i32>());
        let times = event_times(&batch.rows);
        let mut repeats = HashSet::new();
        for row in &matches.rows {
            let at = *row as usize;
            let id = digest(&(tenants.value(at), sources.value(at), ids.value(at)));
            let time = Timestamp::from_micros(times.value(at));
            match plane.known.entry(id) {
                Entry::Occupied(_) => {
                    repeats.insert(*row);
                }
                Entry::Vacant(unknown) => {
                    unknown.insert(time);
                    plane.oldest.push(Reverse((time, id)));
                }
            }
        }
        if !repeats.is_empty() {
            matches.rows.retain(|row| !repeats.contains(row));
            for matched in &mut matches.scans {
                matched.rows.retain(|row| !repeats.contains(row));
            }
            matches.scans.retain(|matched| !matched.rows.is_empty());
        }
        repeats.len() as u64
    }

    /// Forgets ids of rows so old that a repeat would be refused as too late.
    pub(super) fn expire(&mut self, watermarks: &Watermarks) {
        for plane in Plane::ALL {
            let oldest_accepted = watermarks.oldest_accepted(plane);
            let ids = &mut self.planes[plane.index()];
            while let Some(Reverse((time, id))) = ids.oldest.peek().copied() {
                if time >= oldest_accepted {
                    break;
                }
                ids.oldest.pop();
                ids.known.remove(&id);
            }
        }
    }
}

/// 128 bits, so that two different ids never meet in practice.
fn digest(value: &impl Hash) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        value.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    (half(0) << 64) | half(1)
}
