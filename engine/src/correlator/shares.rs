//! When an incident had to do with which credentials, sessions and agents.

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

/// A value and when it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Value {
    value: String,
    seen: Vec<Stretch>,
}

/// The values of one incident, with their times: few of each kind, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shares([Vec<Value>; 3]);

impl Shares {
    /// A signal at this time names a value.
    pub(super) fn see(&mut self, kind: Shared, value: &str, time: Timestamp, gap: Duration) {
        let values = &mut self.0[kind as usize];
        let found = values.binary_search_by(|known| known.value.as_str().cmp(value));
        if let Ok(stretches) = found.map(|at| &mut values[at].seen) {
            // Those before it end too early to reach it.
            let at = stretches.partition_point(|stretch| stretch.to.plus(gap) < time);
            match stretches.get_mut(at) {
                Some(near) if near.from <= time.plus(gap) => {
                    (near.from, near.to) = (near.from.min(time), near.to.max(time));
                    let near = *near;
                    if let Some(next) = stretches.get(at + 1).copied().filter(|next| next.from <= near.to.plus(gap)) {
                        stretches[at].to = next.to;
                        stretches.remove(at + 1);
                    }
                }
                _ => stretches.insert(at, Stretch { from: time, to: time }),
            }
            return;
        }
        let at = found.unwrap_or_else(|at| at);
        if at < NAMED {
            values.truncate(NAMED - 1);
            // Most have one or two.
            values.reserve_exact(1);
            values.insert(at, Value { value: value.to_owned(), seen: vec![Stretch { from: time, to: time }] });
        }
    }

    /// The values of one kind, sorted.
    pub(super) fn of(&self, kind: Shared) -> impl ExactSizeIterator<Item = &String> {
        self.0[kind as usize].iter().map(|known| &known.value)
    }

    /// Every value with its kind.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Shared, &String)> {
        KINDS.into_iter().flat_map(|kind| self.of(kind).map(move |value| (kind, value)))
    }

    /// Whether both name the value at times that are no farther apart than `gap`.
    pub(super) fn meet<'a>(&'a self, other: &'a Shares, kind: Shared, value: &str, gap: Duration) -> bool {
        let seen = |shares: &'a Shares| {
            let values = &shares.0[kind as usize];
            values.binary_search_by(|known| known.value.as_str().cmp(value)).map(|at| &values[at].seen)
        };
        let (Ok(mine), Ok(others)) = (seen(self), seen(other)) else { return false };
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
    fn times_come_in_any_order() {
        let minutes = [0, 8, 30, 41, 50, 100];
        let in_order = seen(&minutes);
        assert_eq!(in_order.0[Shared::Credential as usize][0].seen.len(), 4);
        for turn in 0..minutes.len() {
            let mut turned = minutes;
            turned.rotate_left(turn);
            assert_eq!(seen(&turned), in_order);
            turned.reverse();
            assert_eq!(seen(&turned), in_order);
        }
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
