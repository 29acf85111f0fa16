//! A rule whose plan does not end.
//!
//! Nothing within the process can take a plan off its thread. What can be done: `/healthz` names the rule once the
//! pipeline is stuck, so that the process is restarted; its name is left in a file beside the store, and the next start
//! stops that rule instead of running into it again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::time::Duration;

use super::stopwatch::Stopwatch;

const FILE: &str = "stuck-rule";
/// How often it is looked whether a rule still runs.
const LOOK: Duration = Duration::from_millis(250);

/// Watches for a rule that does not end, from a thread of its own, until it is dropped.
pub(super) struct Stuck {
    file: PathBuf,
    left_behind: Option<String>,
    written: Arc<AtomicBool>,
    _over: SyncSender<()>,
}

impl Stuck {
    /// Watches for rules that run longer than this, and reads what the last process left in this directory.
    pub(super) fn watch(directory: &Path, stopwatch: Stopwatch, patience: Duration) -> std::io::Result<Stuck> {
        let file = directory.join(FILE);
        let left_behind = std::fs::read_to_string(&file).ok().map(|rule| rule.trim().to_owned());
        let written = Arc::new(AtomicBool::new(left_behind.is_some()));
        let (over, ended) = mpsc::sync_channel::<()>(0);
        let look = {
            let (file, written) = (file.clone(), Arc::clone(&written));
            move || {
                while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                    if let Some((rule, since)) = stopwatch.running()
                        && since > patience
                        && !written.load(Ordering::Relaxed)
                    {
                        tracing::error!(%rule, seconds = since.as_secs(), "rule does not end; the next start stops it");
                        if let Err(error) = std::fs::write(&file, &rule) {
                            tracing::error!(%error, "its name can't be left for the next start");
                        }
                        written.store(true, Ordering::Relaxed);
                    }
                }
            }
        };
        std::thread::Builder::new().name("stuck-watcher".to_owned()).spawn(look)?;
        Ok(Stuck { file, left_behind: left_behind.filter(|rule| !rule.is_empty()), written, _over: over })
    }

    /// The rule that the last process did not get out of, and the reason to stop it.
    pub(super) fn left_behind(&self) -> Option<(String, String)> {
        let reason =
            "the last process was ended while its plan ran without an end; mend it, or send SIGHUP to try again";
        self.left_behind.clone().map(|rule| (rule, reason.to_owned()))
    }

    /// The pipeline has gone once around: whatever ran has ended, and that a rule is stopped is in the store.
    pub(super) fn moved(&self) {
        if self.written.swap(false, Ordering::Relaxed)
            && let Err(error) = std::fs::remove_file(&self.file)
        {
            tracing::warn!(%error, file = %self.file.display(), "can't be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::evaluator::Meter;

    #[test]
    fn the_name_of_a_rule_that_does_not_end_reaches_the_next_start() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut stopwatch = Stopwatch::new(Duration::from_secs(3_600));
        let stuck = Stuck::watch(directory.path(), stopwatch.clone(), Duration::ZERO).expect("a thread");
        assert_eq!(stuck.left_behind(), None);
        stopwatch.enter("endless");
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::fs::read_to_string(directory.path().join(FILE)).unwrap_or_default() != "endless" {
            assert!(Instant::now() < deadline, "the file was not written");
            std::thread::yield_now();
        }
        drop(stuck);
        let next = Stuck::watch(directory.path(), Stopwatch::new(Duration::ZERO), Duration::from_secs(3_600));
        let next = next.expect("a thread");
        assert_eq!(next.left_behind().map(|(rule, _)| rule), Some("endless".to_owned()));
        next.moved();
        assert!(!directory.path().join(FILE).exists(), "it is told once");
    }
}
