//! How far each plane's history is known to reach.
//!
//! A partition's watermark W promises that its later rows have `event_time >= W`. A plane's watermark is the least over
//! its live partitions and never goes back. Idleness is input: a partition that has nothing to say is moved by a
//! caught-up mark in the log of inputs, never by a clock.

use std::collections::BTreeMap;
use std::time::Duration;

use watershed_connectors::Partition;
use watershed_schemas::{Plane, Timestamp};

/// The two settings of a plane's time, and the bound on clocks that run ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaneTime {
    /// How far the watermark trails the newest row.
    pub out_of_orderness: Duration,
    /// How much later than the watermark a row is still accepted.
    pub allowed_lateness: Duration,
}

/// The watermarks of both planes.
#[derive(Clone, Debug)]
pub struct Watermarks {
    planes: [PlaneClock; 2],
}

#[derive(Clone, Debug)]
struct PlaneClock {
    time: PlaneTime,
    /// The watermark of each live partition; `MIN` until it is heard, so that a new partition holds the plane.
    partitions: BTreeMap<Partition, Timestamp>,
    /// Partitions of a snapshot that the source has not named again. They may be somebody else's now: nothing waits for them.
    remembered: BTreeMap<Partition, Timestamp>,
    /// The plane's watermark: the least of the partitions, never going back.
    reached: Timestamp,
    /// Event time of the newest row heard.
    heard: Timestamp,
}

impl Watermarks {
    /// Watermarks that have heard nothing. A plane without any source (`present` false) has no history to wait for.
    pub fn new(times: [PlaneTime; 2], present: [bool; 2]) -> Self {
        let clock = |plane: Plane| PlaneClock {
            time: times[plane.index()],
            partitions: BTreeMap::new(),
            remembered: BTreeMap::new(),
            reached: if present[plane.index()] { Timestamp::MIN } else { Timestamp::MAX },
            heard: Timestamp::MIN,
        };
        Watermarks { planes: [clock(Plane::Model), clock(Plane::Access)] }
    }

    /// Makes a partition hold its plane until it is heard.
    pub fn add(&mut self, partition: &Partition) {
        let clock = &mut self.planes[partition.plane.index()];
        let known = clock.remembered.remove(partition).unwrap_or(Timestamp::MIN);
        clock.partitions.entry(partition.clone()).or_insert(known);
    }

    /// Stops waiting for a partition that somebody else reads now.
    pub fn remove(&mut self, partition: &Partition) {
        let clock = &mut self.planes[partition.plane.index()];
        clock.partitions.remove(partition);
        clock.settle();
    }

    /// A row of the partition was accepted.
    pub fn hear(&mut self, partition: &Partition, newest: Timestamp) {
        let clock = &mut self.planes[partition.plane.index()];
        clock.heard = clock.heard.max(newest);
        let watermark = newest.minus(clock.time.out_of_orderness);
        match clock.partitions.get_mut(partition) {
            Some(reached) => *reached = watermark.max(*reached),
            None => {
                clock.partitions.insert(partition.clone(), watermark);
            }
        }
        clock.settle();
    }

    /// Nothing older than `at` is still in the partition's log.
    pub fn caught_up(&mut self, partition: &Partition, at: Timestamp) {
        let clock = &mut self.planes[partition.plane.index()];
        let watermark = at.minus(clock.time.out_of_orderness);
        let reached = clock.partitions.entry(partition.clone()).or_insert(Timestamp::MIN);
        *reached = watermark.max(*reached);
        clock.settle();
    }

    /// All inputs have ended: history is complete.
    pub fn finish(&mut self) {
        for clock in &mut self.planes {
            clock.reached = Timestamp::MAX;
        }
    }

    /// The plane's watermark.
    pub fn of(&self, plane: Plane) -> Timestamp {
        self.planes[plane.index()].reached
    }

    /// The oldest event time that the plane still accepts.
    pub fn oldest_accepted(&self, plane: Plane) -> Timestamp {
        let clock = &self.planes[plane.index()];
        clock.reached.minus(clock.time.allowed_lateness)
    }

    /// The plane's allowed lateness in microseconds.
    pub fn lateness_micros(&self, plane: Plane) -> i64 {
        i64::try_from(self.planes[plane.index()].time.allowed_lateness.as_micros()).unwrap_or(i64::MAX)
    }

    /// How far the plane's watermark trails its newest row.
    pub fn out_of_orderness(&self, plane: Plane) -> Duration {
        self.planes[plane.index()].time.out_of_orderness
    }

    /// Event time of the plane's newest row; `MIN` where none was heard.
    pub fn heard(&self, plane: Plane) -> Timestamp {
        self.planes[plane.index()].heard
    }

    /// The lesser of both planes' watermarks.
    pub fn low(&self) -> Timestamp {
        self.of(Plane::Model).min(self.of(Plane::Access))
    }

    /// What must be durable: each plane's watermark and newest row, and each partition's watermark.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            reached: Plane::ALL.map(|plane| self.of(plane)),
            heard: Plane::ALL.map(|plane| self.heard(plane)),
            partitions: self.planes.iter().flat_map(|clock| clock.partitions.clone()).collect(),
        }
    }

    /// Takes up where a snapshot was made. Partitions come back when the source names them again.
    pub fn restore(&mut self, snapshot: Snapshot) {
        for plane in Plane::ALL {
            let clock = &mut self.planes[plane.index()];
            if clock.reached != Timestamp::MAX {
                clock.reached = snapshot.reached[plane.index()];
            }
            clock.heard = snapshot.heard[plane.index()];
        }
        for (partition, reached) in snapshot.partitions {
            self.planes[partition.plane.index()].remembered.insert(partition, reached);
        }
    }
}

impl PlaneClock {
    fn settle(&mut self) {
        if let Some(least) = self.partitions.values().min() {
            self.reached = self.reached.max(*least);
        }
    }
}

/// The durable part of [`Watermarks`].
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Snapshot {
    reached: [Timestamp; 2],
    heard: [Timestamp; 2],
    partitions: Vec<(Partition, Timestamp)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(plane: Plane, index: i32) -> Partition {
        Partition { plane, topic: plane.table().into(), index }
    }

    fn minute(minutes: i64) -> Timestamp {
        Timestamp::from_secs(minutes * 60)
    }

    fn watermarks() -> Watermarks {
        let time = PlaneTime { out_of_orderness: Duration::from_secs(60), allowed_lateness: Duration::from_secs(900) };
        Watermarks::new([time, time], [true, true])
    }

    #[test]
    fn a_partition_that_was_never_heard_holds_its_plane() {
        let mut watermarks = watermarks();
        watermarks.add(&partition(Plane::Model, 0));
        watermarks.add(&partition(Plane::Model, 1));
        watermarks.hear(&partition(Plane::Model, 0), minute(30));
        assert_eq!(watermarks.of(Plane::Model), Timestamp::MIN);
        watermarks.caught_up(&partition(Plane::Model, 1), minute(20));
        assert_eq!(watermarks.of(Plane::Model), minute(19));
    }

    #[test]
    fn a_watermark_never_goes_back() {
        let mut watermarks = watermarks();
        watermarks.hear(&partition(Plane::Model, 0), minute(30));
        watermarks.hear(&partition(Plane::Model, 0), minute(10));
        watermarks.add(&partition(Plane::Model, 1));
        assert_eq!(watermarks.of(Plane::Model), minute(29));
    }

    #[test]
    fn planes_do_not_wait_for_each_other() {
        let mut watermarks = watermarks();
        watermarks.hear(&partition(Plane::Model, 0), minute(30));
        assert_eq!(watermarks.of(Plane::Access), Timestamp::MIN);
        assert_eq!(watermarks.low(), Timestamp::MIN);
    }

    #[test]
    fn restore_continues_where_the_snapshot_was_made() {
        let mut watermarks = watermarks();
        watermarks.hear(&partition(Plane::Model, 0), minute(30));
        let mut restored = self::watermarks();
        restored.restore(watermarks.snapshot());
        assert_eq!(restored.of(Plane::Model), minute(29));
        restored.hear(&partition(Plane::Model, 0), minute(20));
        assert_eq!(restored.of(Plane::Model), minute(29));
    }

    #[test]
    fn a_partition_that_somebody_else_reads_after_a_restart_holds_nothing() {
        let mut watermarks = watermarks();
        watermarks.hear(&partition(Plane::Model, 0), minute(30));
        watermarks.hear(&partition(Plane::Model, 1), minute(20));
        let mut restored = self::watermarks();
        restored.restore(watermarks.snapshot());
        restored.add(&partition(Plane::Model, 0));
        restored.hear(&partition(Plane::Model, 0), minute(60));
        assert_eq!(restored.of(Plane::Model), minute(59));
        // Named again, it goes on where it was.
        let mut restored = self::watermarks();
        restored.restore(watermarks.snapshot());
        restored.add(&partition(Plane::Model, 0));
        restored.add(&partition(Plane::Model, 1));
        restored.caught_up(&partition(Plane::Model, 0), minute(60));
        assert_eq!(restored.of(Plane::Model), minute(29));
        restored.caught_up(&partition(Plane::Model, 1), minute(25));
        assert_eq!(restored.of(Plane::Model), minute(29));
        restored.caught_up(&partition(Plane::Model, 1), minute(40));
        assert_eq!(restored.of(Plane::Model), minute(39));
    }
}
