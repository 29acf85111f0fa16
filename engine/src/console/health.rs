//! Whether the process is alive and doing its work.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use watershed_connectors::escape::for_log;
use watershed_schemas::{Notice, NoticeKind, Timestamp};

use crate::evaluator::RuleStatus;
use crate::shelf::ColdCounts;

/// What `/healthz` and `/readyz` answer from. The pipeline reports, the console asks.
pub struct Health {
    started: Instant,
    /// The longest time between two beats of a pipeline that isn't stuck.
    patience: Duration,
    source_assigned: AtomicBool,
    store_open: AtomicBool,
    stopping: AtomicBool,
    /// Milliseconds between `started` and the last beat.
    beat_ms: AtomicU64,
    rules: Mutex<Vec<RuleStatus>>,
    disk: Mutex<ColdCounts>,
    operator: Mutex<Vec<Notice>>,
    runs: Mutex<Option<WhatRuns>>,
}

/// Says what the pipeline is doing now, where it is doing something that may take long.
type WhatRuns = Box<dyn Fn() -> Option<String> + Send>;

impl Health {
    /// Health of a process that has just started: alive, not ready. A pipeline that does not [`beat`](Self::beat) for
    /// `patience` counts as stuck.
    pub fn new(patience: Duration) -> Self {
        Health {
            started: Instant::now(),
            patience,
            source_assigned: AtomicBool::new(false),
            store_open: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            beat_ms: AtomicU64::new(0),
            rules: Mutex::default(),
            disk: Mutex::default(),
            operator: Mutex::default(),
            runs: Mutex::default(),
        }
    }

    /// The source has (or has lost) its partitions.
    pub fn source_assigned(&self, assigned: bool) {
        self.source_assigned.store(assigned, Ordering::Relaxed);
    }

    /// The store was opened.
    pub fn store_open(&self, open: bool) {
        self.store_open.store(open, Ordering::Relaxed);
    }

    /// The process was asked to stop: it is no longer ready, but alive.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// The pipeline went once around its loop, with or without input.
    pub fn beat(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beat_ms.store(elapsed, Ordering::Relaxed);
    }

    /// How the rules stand.
    pub fn rules(&self, statuses: Vec<RuleStatus>) {
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = statuses;
    }

    /// What happened to rows that are left on disk.
    pub fn disk(&self, counts: ColdCounts) {
        *self.disk.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    /// What is wrong with the engine, as the operator was told.
    pub fn operator(&self, notices: Vec<Notice>) {
        *self.operator.lock().unwrap_or_else(PoisonError::into_inner) = notices;
    }

    /// Whom to ask what the pipeline is doing, should it be stuck.
    pub fn ask_what_runs(&self, runs: impl Fn() -> Option<String> + Send + 'static) {
        *self.runs.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(runs));
    }

    /// How the rules stand, as one JSON list.
    pub fn rules_json(&self) -> String {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::to_string_pretty(&*rules).unwrap_or_default()
    }

    /// What a person should know although the process does its work: rules that were stopped, lack rows, or are warming.
    pub fn notes(&self) -> Vec<String> {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut notes = Vec::new();
        for RuleStatus { rule, stopped, warming_until, degraded_keys, backfilling, .. } in &*rules {
            if let Some(backfilling) = backfilling {
                notes.push(format!("rule {rule} is given its past: {} % of the log is read", backfilling.percent));
            }
            match (stopped, warming_until) {
                (Some(reason), _) => notes.push(format!("rule {rule} is stopped: {}", for_log(reason))),
                (None, Some(Timestamp::MAX)) => {
                    notes.push(format!("rule {rule} is warming until its planes are heard"))
                }
                (None, Some(until)) => notes.push(format!("rule {rule} is warming until {until} of event time")),
                (None, None) => {}
            }
            if *degraded_keys > 0 {
                notes.push(format!("rule {rule} is degraded: rows of {degraded_keys} keys were not kept"));
            }
        }
        let notices = self.operator.lock().unwrap_or_else(PoisonError::into_inner);
        // Rules have their notes already, which say more.
        let others =
            notices.iter().filter(|notice| !matches!(notice.kind, NoticeKind::RuleStopped | NoticeKind::RuleDegraded));
        notes.extend(others.map(|notice| notice.text.clone()));
        let disk = *self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        if disk.unwritten > 0 {
            notes.push(format!("rows could not be left on disk {} times and stay in memory", disk.unwritten));
        }
        if disk.unreadable > 0 {
            notes.push(format!("rows on disk could not be read back {} times", disk.unreadable));
        }
        notes
    }

    /// How long the pipeline hasn't gone around its loop.
    pub fn since_beat(&self) -> Duration {
        self.started.elapsed().saturating_sub(Duration::from_millis(self.beat_ms.load(Ordering::Relaxed)))
    }

    /// Whether the pipeline still goes around: when it doesn't, only a restart helps.
    ///
    /// # Errors
    /// What is wrong, for a person.
    pub fn alive(&self) -> Result<(), String> {
        let since = self.since_beat();
        if since > self.patience && !self.stopping.load(Ordering::Relaxed) {
            let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
            let what = runs.as_ref().and_then(|runs| runs()).map(|what| format!("; {what}")).unwrap_or_default();
            return Err(format!("the pipeline has not moved for {} s{what}", since.as_secs()));
        }
        Ok(())
    }

    /// Whether the process does its work: partitions assigned, store open, not stuck, not stopping.
    ///
    /// # Errors
    /// Everything that is missing, for a person.
    pub fn ready(&self) -> Result<(), String> {
        let mut missing = Vec::new();
        if !self.store_open.load(Ordering::Relaxed) {
            missing.push("the store is not open".to_owned());
        }
        if !self.source_assigned.load(Ordering::Relaxed) {
            missing.push("the source has no partitions assigned".to_owned());
        }
        if self.stopping.load(Ordering::Relaxed) {
            missing.push("the process is stopping".to_owned());
        }
        missing.extend(self.alive().err());
        if missing.is_empty() { Ok(()) } else { Err(missing.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluator::Tally;

    #[test]
    fn ready_needs_store_source_and_motion() {
        let health = Health::new(Duration::from_secs(3_600));
        assert_eq!(health.ready(), Err("the store is not open; the source has no partitions assigned".to_owned()));
        health.store_open(true);
        health.source_assigned(true);
        assert_eq!(health.ready(), Ok(()));
        health.source_assigned(false);
        assert_eq!(health.ready(), Err("the source has no partitions assigned".to_owned()));
    }

    #[test]
    fn what_is_wrong_with_single_rules_is_said_beside_being_ready() {
        let health = Health::new(Duration::from_secs(3_600));
        let status = |rule: &str, stopped: Option<&str>, warming_until, degraded_keys| RuleStatus {
            rule: rule.to_owned(),
            version: "v".to_owned(),
            stopped: stopped.map(str::to_owned),
            warming_until,
            backfilling: None,
            degraded_keys,
            keys: 0,
            rows: 0,
            bytes: 0,
            cold_bytes: 0,
            tally: Tally::default(),
        };
        health.rules(vec![
            status("fine", None, None, 0),
            status("failed", Some("a cast\nfailed"), None, 0),
            status("new", None, Some(Timestamp::from_secs(1_700_000_000)), 0),
            status("unheard", None, Some(Timestamp::MAX), 0),
            status("full", None, None, 3),
        ]);
        assert_eq!(
            health.notes(),
            [
                "rule failed is stopped: a cast\\nfailed",
                "rule new is warming until 2023-11-14T22:13:20Z of event time",
                "rule unheard is warming until its planes are heard",
                "rule full is degraded: rows of 3 keys were not kept",
            ]
        );
        let listed: serde_json::Value = serde_json::from_str(&health.rules_json()).expect("JSON");
        assert_eq!((listed[1]["rule"].as_str(), listed[4]["degraded_keys"].as_u64()), (Some("failed"), Some(3)));
    }

    #[test]
    fn a_stuck_pipeline_says_what_it_is_doing() {
        let health = Health::new(Duration::ZERO);
        health.ask_what_runs(|| Some("it has been in rule slow for 61 s".to_owned()));
        let deadline = Instant::now() + Duration::from_secs(5);
        let said = loop {
            if let Err(said) = health.alive() {
                break said;
            }
            assert!(Instant::now() < deadline, "a pipeline without patience is stuck at once");
        };
        assert!(said.ends_with("; it has been in rule slow for 61 s"), "{said}");
    }

    #[test]
    fn a_stopping_process_is_alive_but_not_ready() {
        let health = Health::new(Duration::from_secs(3_600));
        health.store_open(true);
        health.source_assigned(true);
        health.stopping();
        assert_eq!(health.alive(), Ok(()));
        assert_eq!(health.ready(), Err("the process is stopping".to_owned()));
    }

    #[test]
    fn a_pipeline_that_never_beats_is_stuck() {
        let health = Health::new(Duration::ZERO);
        let deadline = Instant::now() + Duration::from_secs(5);
        while health.alive().is_ok() {
            assert!(Instant::now() < deadline, "a pipeline without patience is stuck at once");
            std::thread::yield_now();
        }
    }
}
