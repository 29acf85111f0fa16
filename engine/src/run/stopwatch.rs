//! How long each rule takes. The core has no clock: it says which rule begins and ends, and here it is measured.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::evaluator::Meter;

/// Measures rules; clones share what they have measured.
#[derive(Clone, Debug)]
pub(super) struct Stopwatch {
    limit: Duration,
    shared: Arc<Mutex<Measured>>,
}

#[derive(Debug, Default)]
struct Measured {
    running: Option<(String, Instant)>,
    taken: BTreeMap<String, Duration>,
    overran: Vec<(String, Duration)>,
}

impl Stopwatch {
    /// Rules may take this long for one batch.
    pub(super) fn new(limit: Duration) -> Self {
        Stopwatch { limit, shared: Arc::default() }
    }

    /// What each rule has taken since this was last asked.
    pub(super) fn take(&self) -> BTreeMap<String, Duration> {
        std::mem::take(&mut self.lock().taken)
    }

    /// Rules that took longer than they may, and how long, since this was last asked.
    pub(super) fn take_overran(&self) -> Vec<(String, Duration)> {
        std::mem::take(&mut self.lock().overran)
    }

    /// The rule that is being evaluated now, and for how long.
    pub(super) fn running(&self) -> Option<(String, Duration)> {
        self.lock().running.as_ref().map(|(rule, since)| (rule.clone(), since.elapsed()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Measured> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meter for Stopwatch {
    fn enter(&mut self, rule: &str) {
        self.lock().running = Some((rule.to_owned(), Instant::now()));
    }

    fn leave(&mut self) {
        let mut measured = self.lock();
        let Some((rule, since)) = measured.running.take() else { return };
        let took = since.elapsed();
        if took > self.limit {
            measured.overran.push((rule.clone(), took));
        }
        *measured.taken.entry(rule).or_default() += took;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_beyond_its_limit_is_named_once_and_all_are_measured() {
        let mut watch = Stopwatch::new(Duration::ZERO);
        watch.enter("slow");
        let deadline = Instant::now() + Duration::from_secs(5);
        while watch.running().is_some_and(|(_, since)| since.is_zero()) {
            assert!(Instant::now() < deadline, "time passes");
        }
        assert_eq!(watch.running().map(|(rule, _)| rule), Some("slow".to_owned()));
        watch.leave();
        assert_eq!(watch.running(), None);
        let overran = watch.take_overran();
        assert!(overran.len() == 1 && overran[0].0 == "slow" && !overran[0].1.is_zero(), "{overran:?}");
        assert!(watch.take_overran().is_empty());
        let mut patient = Stopwatch::new(Duration::from_secs(3_600));
        patient.enter("quick");
        patient.leave();
        assert!(patient.take_overran().is_empty());
        assert_eq!(patient.take().into_keys().collect::<Vec<_>>(), ["quick"]);
    }
}
