//! Records that could not be decoded, counted over the last minutes.

use std::collections::VecDeque;
use std::time::Duration;

use watershed_schemas::Timestamp;

/// The time over which they are counted.
pub(super) const WINDOW: Duration = Duration::from_secs(5 * 60);

/// Counts of one plane, a bucket for each minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejects(VecDeque<(i64, u64)>);

const MINUTE: i64 = 60_000_000;

impl Rejects {
    /// So many more.
    pub fn add(&mut self, now: Timestamp, count: u64) {
        if count == 0 {
            return;
        }
        let minute = now.micros().div_euclid(MINUTE);
        match self.0.back_mut() {
            // A clock that was set back counts in the newest bucket.
            Some((last, counted)) if *last >= minute => *counted += count,
            _ => self.0.push_back((minute, count)),
        }
        self.forget(now);
    }

    /// How many there were in the last five minutes, to the minute.
    pub fn lately(&mut self, now: Timestamp) -> u64 {
        self.forget(now);
        self.0.iter().map(|(_, count)| count).sum()
    }

    fn forget(&mut self, now: Timestamp) {
        let first = now.minus(WINDOW).micros().div_euclid(MINUTE);
        while self.0.front().is_some_and(|(minute, _)| *minute < first) {
            self.0.pop_front();
        }
    }
}
