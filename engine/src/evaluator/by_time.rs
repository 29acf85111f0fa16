//! What belongs to signals, by their id and by their time: a key may have said much, of which a step touches little.

use std::collections::{BTreeMap, BTreeSet};

use watershed_rules::Finding;
use watershed_schemas::Timestamp;

use super::said::Said;
use super::span::Span;

/// What has the event time of a signal.
pub(super) trait Timed {
    /// The signal's event time.
    fn event_time(&self) -> Timestamp;
}

impl Timed for Said {
    fn event_time(&self) -> Timestamp {
        self.event_time
    }
}

impl Timed for Finding {
    fn event_time(&self) -> Timestamp {
        self.event_time
    }
}

/// Values by signal id, found by time as well.
pub(super) struct ByTime<T> {
    values: BTreeMap<String, T>,
    times: BTreeSet<(Timestamp, String)>,
}

impl<T> Default for ByTime<T> {
    fn default() -> Self {
        ByTime { values: BTreeMap::new(), times: BTreeSet::new() }
    }
}

impl<T: Timed> ByTime<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(super) fn get(&self, id: &str) -> Option<&T> {
        self.values.get(id)
    }

    /// Sets the value of a signal; gives the one before.
    pub(super) fn insert(&mut self, id: String, value: T) -> Option<T> {
        let before = self.remove(&id);
        self.times.insert((value.event_time(), id.clone()));
        self.values.insert(id, value);
        before
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<T> {
        let (id, value) = self.values.remove_entry(id)?;
        self.times.remove(&(value.event_time(), id));
        Some(value)
    }

    /// The ids of signals within the span, earliest first.
    pub(super) fn within(&self, span: Span) -> impl Iterator<Item = (Timestamp, &str)> {
        let from = (Timestamp::from_micros(span.least), String::new());
        let until = Timestamp::from_micros(span.most);
        self.times.range(from..).take_while(move |(time, _)| *time <= until).map(|(time, id)| (*time, id.as_str()))
    }

    /// Takes out what is earliest, where its time is `past`.
    pub(super) fn pop_if(&mut self, past: impl Fn(Timestamp) -> bool) -> Option<(String, T)> {
        if !past(self.times.first()?.0) {
            return None;
        }
        let (_, id) = self.times.pop_first()?;
        self.values.remove_entry(&id)
    }

    /// Takes everything out, by id.
    pub(super) fn take(&mut self) -> BTreeMap<String, T> {
        self.times.clear();
        std::mem::take(&mut self.values)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &String> {
        self.values.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct At(i64);

    impl Timed for At {
        fn event_time(&self) -> Timestamp {
            Timestamp::from_micros(self.0)
        }
    }

    #[test]
    fn a_value_that_moves_is_found_where_it_is() {
        let mut all = ByTime::default();
        for (id, time) in [("a", 5), ("b", 3), ("c", 9), ("a", 1)] {
            all.insert(id.to_owned(), At(time));
        }
        let found = |all: &ByTime<At>, least, most| {
            all.within(Span { least, most }).map(|(_, id)| id.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(found(&all, i64::MIN, i64::MAX), ["a", "b", "c"]);
        assert_eq!(found(&all, 3, 5), ["b"]);
        assert_eq!(all.pop_if(|time| time.micros() < 3).map(|(id, _)| id).as_deref(), Some("a"));
        assert!(all.pop_if(|time| time.micros() < 3).is_none());
        all.remove("b");
        assert_eq!(found(&all, i64::MIN, i64::MAX), ["c"]);
    }
}
