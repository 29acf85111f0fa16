//! The keys of one rule, each in a slot of its own.
//!
//! A row costs one look for its key; everything else names the key by its slot. Slots are given out in the order of
//! arrival and used again in the order in which they became free, so that they are the same in every run.

use std::collections::BTreeMap;

use datafusion::common::HashMap;
use smallvec::SmallVec;
use watershed_rules::Finding;
use watershed_schemas::Timestamp;

use super::Changed;
use crate::evaluator::by_time::ByTime;
use crate::evaluator::key::Key;
use crate::evaluator::rows::RowRef;
use crate::evaluator::said::Said;
use crate::evaluator::span::Span;

/// Where a key is.
pub(super) type SlotId = u32;

/// What a rule remembers of one key.
#[derive(Default)]
pub(super) struct KeyState {
    key: Key,
    /// For each scan its rows.
    pub(super) scans: SmallVec<[Kept; 2]>,
    /// What was found; absent where nothing was.
    pub(super) spoken: Option<Box<Spoken>>,
    /// What rows that came since the last evaluation can touch.
    pub(super) changed: Option<Changed>,
    /// Times of outputs for which rows were not kept: what must be complete to be true is not said of them.
    pub(super) degraded: Option<Span>,
}

/// The rows that one scan keeps for a key.
#[derive(Default)]
pub(super) struct Kept {
    /// Ordered by time and id. Most keys have one.
    pub(super) rows: SmallVec<[RowRef; 1]>,
    /// The last time under which the key was put on the list of those that expire.
    listed: Option<i64>,
}

/// What was found for a key.
#[derive(Default)]
pub(super) struct Spoken {
    pub(super) said: ByTime<Said>,
    pub(super) last: BTreeMap<String, Finding>,
    pub(super) held: ByTime<Finding>,
}

impl Spoken {
    pub(super) fn is_empty(&self) -> bool {
        self.said.is_empty() && self.held.is_empty() && self.last.is_empty()
    }
}

impl KeyState {
    /// What was found so far, or nothing yet.
    pub(super) fn spoken_mut(&mut self) -> &mut Spoken {
        self.spoken.get_or_insert_default()
    }

    /// Whether something waits to be said.
    pub(super) fn is_waiting(&self) -> bool {
        self.spoken.as_ref().is_some_and(|spoken| !spoken.held.is_empty())
    }
}

/// All keys of a rule.
#[derive(Default)]
pub(super) struct Keys {
    slots: HashMap<Key, SlotId>,
    states: Vec<KeyState>,
    /// Slots without a key; the last one is used next.
    free: Vec<SlotId>,
}

impl Keys {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The slot of a key, which has so many scans.
    pub(super) fn slot(&mut self, key: &[u8], scans: usize) -> SlotId {
        if let Some(slot) = self.find(key) {
            return slot;
        }
        let key = Key::from(key);
        let scans = std::iter::repeat_with(Kept::default).take(scans).collect();
        let state = KeyState { key: Key::clone(&key), scans, ..KeyState::default() };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.states[slot as usize] = state;
                slot
            }
            None => {
                self.states.push(state);
                SlotId::try_from(self.states.len() - 1).unwrap_or(SlotId::MAX)
            }
        };
        self.slots.insert(key, slot);
        slot
    }

    /// The slot of a key, where it has one.
    pub(super) fn find(&self, key: &[u8]) -> Option<SlotId> {
        self.slots.get(key).copied()
    }

    /// The slots of all keys, in no order that means anything.
    pub(super) fn slots(&self) -> impl Iterator<Item = SlotId> {
        self.slots.values().copied()
    }

    pub(super) fn get(&self, slot: SlotId) -> Option<&KeyState> {
        self.states.get(slot as usize)
    }

    pub(super) fn get_mut(&mut self, slot: SlotId) -> Option<&mut KeyState> {
        self.states.get_mut(slot as usize)
    }

    /// Forgets a key; its slot will be another's.
    pub(super) fn remove(&mut self, slot: SlotId) {
        let Some(state) = self.states.get_mut(slot as usize) else { return };
        if self.slots.remove(&state.key).is_some() {
            *state = KeyState::default();
            self.free.push(slot);
        }
    }

    /// Every key's state, in no order that means anything.
    pub(super) fn states(&self) -> impl Iterator<Item = &KeyState> {
        self.states.iter()
    }

    /// The same, to be changed.
    pub(super) fn states_mut(&mut self) -> impl Iterator<Item = &mut KeyState> {
        self.states.iter_mut()
    }

    /// Forgets all keys.
    pub(super) fn take(&mut self) -> Vec<KeyState> {
        std::mem::take(self).states
    }
}

/// Microseconds, as a power of two, that keys wait together for: rows stay this much longer than they must.
const TOGETHER: u32 = 22;

/// The keys of a scan by the times of their rows.
#[derive(Default)]
pub(super) struct Expiries(BTreeMap<i64, Vec<SlotId>>);

impl Expiries {
    /// Has a key looked at when a row of this time would have gone.
    pub(super) fn list(&mut self, time: Timestamp, slot: SlotId, kept: &mut Kept) {
        let together = time.micros() >> TOGETHER;
        if kept.listed != Some(together) {
            kept.listed = Some(together);
            self.0.entry(together).or_default().push(slot);
        }
    }

    /// Takes out the keys all of whose rows of some time have `passed`.
    pub(super) fn take(&mut self, passed: impl Fn(Timestamp) -> bool, due: &mut Vec<SlotId>) {
        while let Some(first) = self.0.first_entry() {
            let last = (*first.key() << TOGETHER) | ((1 << TOGETHER) - 1);
            if !passed(Timestamp::from_micros(last)) {
                return;
            }
            due.append(&mut first.remove());
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_and_its_old_key_is_gone() {
        let mut keys = Keys::default();
        assert_eq!([keys.slot(b"a", 2), keys.slot(b"b", 2), keys.slot(b"a", 2)], [0, 1, 0]);
        keys.remove(0);
        keys.remove(0);
        assert_eq!((keys.find(b"a"), keys.find(b"b"), keys.len()), (None, Some(1), 1));
        assert_eq!([keys.slot(b"c", 1), keys.slot(b"a", 1)], [0, 2]);
        assert_eq!(keys.get(0).map(|state| state.scans.len()), Some(1));
    }

    #[test]
    fn keys_expire_when_the_last_of_their_neighbours_has_passed() {
        let (mut expiries, mut kept, mut due) = (Expiries::default(), Kept::default(), Vec::new());
        let at = |micros| Timestamp::from_micros(micros);
        expiries.list(at(-1), 7, &mut kept);
        expiries.list(at(0), 7, &mut kept);
        expiries.list(at(1), 7, &mut kept);
        expiries.take(|time| time < at(-1), &mut due);
        assert!(due.is_empty());
        expiries.take(|time| time <= at(1), &mut due);
        assert_eq!(due, [7], "the second span ends later");
        expiries.take(|time| time <= at((1 << TOGETHER) - 1), &mut due);
        assert_eq!(due, [7, 7]);
    }
}
