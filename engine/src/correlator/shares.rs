//! When an incident had to do with which credentials, sessions and agents.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watershed_schemas::{Shared, Timestamp};

/// Most values of one kind that an incident names: the least of them, so that the order of arrival plays no part.
pub(super) const NAMED: usize = 32;

/// What incidents can have in common.
pub(super) const KINDS: [Shared; 3] = [Shared::Credential, Shared::Session, Shared::Agent];

/// A time in which a value was seen again and again, never longer than the gap apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stretch {
    from: Timestamp,
    to: Timestamp,
}

impl Stretch {
    /// Whether something in the one is no farther than `gap` from something in the other.
    fn meets(self, other: Stretch, gap: Duration) -> bool {
        self.from <= other.to.plus(gap) && other.from <= self.to.plus(gap)
    }
}

/// The values of one incident, with their times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shares([BTreeMap<String, Vec<Stretch>>; 3]);

impl Shares {
    /// A signal at this time names a value. Signals come in the order of their times.
    pub(super) fn see(&mut self, kind: Shared, value: &str, time: Timestamp, gap: Duration) {
        let values = &mut self.0[kind as usize];
        if let Some(stretches) = values.get_mut(value) {
            match stretches.last_mut() {
                Some(last) if time <= last.to.plus(gap) => last.to = last.to.max(time),
                _ => stretches.push(Stretch { from: time, to: time }),
            }
            return;
        }
        if values.len() >= NAMED && values.last_key_value().is_some_and(|(most, _)| most.as_str() < value) {
            return;
        }
        values.insert(value.to_owned(), vec![Stretch { from: time, to: time }]);
        if values.len() > NAMED {
            values.pop_last();
        }
    }

    /// The values of one kind, sorted.
    pub(super) fn of(&self, kind: Shared) -> impl ExactSizeIterator<Item = &String> {
        self.0[kind as usize].keys()
    }

    /// Every value with its kind.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Shared, &String)> {
        KINDS.into_iter().flat_map(|kind| self.of(kind).map(move |value| (kind, value)))
    }

    /// Whether both name the value at times that are no farther apart than `gap`.
    pub(super) fn meet(&self, other: &Shares, kind: Shared, value: &str, gap: Duration) -> bool {
        let (Some(mine), Some(others)) = (self.0[kind as usize].get(value), other.0[kind as usize].get(value)) else {
            return false;
        };
        mine.iter().any(|stretch| others.iter().any(|other| stretch.meets(*other, gap)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Duration = Duration::from_secs(600);

    fn seen(minutes: &[i64]) -> Shares {
        let mut shares = Shares::default();
        for minute in minutes {
            shares.see(Shared::Credential, "c", Timestamp::from_secs(minute * 60), GAP);
        }
        shares
    }

    #[test]
    fn two_meet_where_their_signals_are_near() {
        let check = |a: &[i64], b: &[i64], expect: bool| {
            assert_eq!(seen(a).meet(&seen(b), Shared::Credential, "c", GAP), expect, "{a:?} {b:?}");
            assert_eq!(seen(b).meet(&seen(a), Shared::Credential, "c", GAP), expect, "{b:?} {a:?}");
        };
        check(&[0], &[10], true);
        check(&[0], &[11], false);
        // Both go on for long, but the credential is not in both at one time.
        check(&[0, 60], &[30], false);
        check(&[0, 10, 20, 30, 40], &[15], true);
        check(&[0, 60], &[30, 52], true);
    }

    #[test]
    fn the_least_values_are_named_in_any_order() {
        let mut up = Shares::default();
        let mut down = Shares::default();
        for number in 0..100 {
            up.see(Shared::Agent, &format!("a{number:02}"), Timestamp::from_secs(0), GAP);
            down.see(Shared::Agent, &format!("a{:02}", 99 - number), Timestamp::from_secs(0), GAP);
        }
        assert_eq!(up, down);
        assert_eq!(up.of(Shared::Agent).len(), NAMED);
        assert_eq!(up.of(Shared::Agent).last().map(String::as_str), Some("a31"));
    }
}
