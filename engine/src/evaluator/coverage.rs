//! Since when a rule has seen everything that it can use.
//!
//! A rule that is added while the engine runs has not seen what came before. Its outputs whose whole look-back lies after
//! its *coverage start* are as good as any; of earlier ones only what is true in any case is said, marked `partial`, and
//! the rest is held back. What other rules still remember can move the coverage start back: rows that a scan could use
//! are all there where another scan, whose filter asks no more, has kept them.

use serde::{Deserialize, Serialize};
use watershed_rules::Scan;
use watershed_schemas::{Plane, Timestamp};

use crate::watermark::Watermarks;

/// The start of history for one rule version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Coverage {
    /// For each scan: every row later than this that it can use was seen. `MIN`: everything; `MAX`: not known before its
    /// plane is heard.
    pub(super) since: Vec<Timestamp>,
    /// The first segment that the rule takes rows of.
    pub(super) first_segment: u64,
}

impl Coverage {
    /// A rule that has seen everything there is.
    pub(super) fn whole(scans: usize) -> Self {
        Coverage { since: vec![Timestamp::MIN; scans], first_segment: 0 }
    }

    /// Outputs later than this have their whole look-back behind the coverage start. `MAX` where none ever has.
    pub(super) fn warm_after(&self, scans: &[Scan]) -> Timestamp {
        let scans = scans.iter().zip(&self.since).filter(|(_, since)| **since != Timestamp::MIN);
        scans
            .map(|(scan, since)| match scan.around.0 {
                _ if *since == Timestamp::MAX => Timestamp::MAX,
                i64::MIN => Timestamp::MAX,
                least => Timestamp::from_micros(since.micros().saturating_sub(least)),
            })
            .max()
            .unwrap_or(Timestamp::MIN)
    }

    /// Fixes the start of planes that are heard for the first time: what came before the first rows was read by nobody, and
    /// lies within their disorder. Returns whether anything was fixed.
    pub(super) fn begin(&mut self, scans: &[Scan], watermarks: &Watermarks) -> bool {
        let mut begun = false;
        for (scan, since) in scans.iter().zip(&mut self.since) {
            let Some(plane) = scan.table.plane() else { continue };
            if *since == Timestamp::MAX && watermarks.of(plane) != Timestamp::MIN {
                let (heard, reached) = (watermarks.heard(plane), watermarks.of(plane));
                *since = match (heard, reached) {
                    // A plane without any source has no rows that could be missing.
                    (Timestamp::MIN, Timestamp::MAX) => Timestamp::MIN,
                    (heard, Timestamp::MAX) => heard,
                    // A quiet plane was taken up where it had nothing more to say.
                    (heard, reached) => heard.max(reached).plus(watermarks.out_of_orderness(plane)),
                };
                begun = true;
            }
        }
        begun
    }
}

/// What a scan of another rule, or of an earlier version, keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Donor {
    plane: Plane,
    /// Its conditions, as canonical texts.
    filters: Vec<String>,
    keep: [Option<i64>; 2],
    since: Timestamp,
}

impl Donor {
    /// What a scan of events keeps. Signals are kept elsewhere.
    pub(super) fn of(scan: &Scan, since: Timestamp) -> Option<Self> {
        let filters = scan.filters.iter().map(|filter| filter.text.to_string()).collect();
        Some(Donor { plane: scan.table.plane()?, filters, keep: scan.keep, since })
    }

    /// Since when it holds every row that `scan` can use; nothing where it may lack some.
    pub(super) fn covers(&self, scan: &Scan, watermarks: &Watermarks) -> Option<Timestamp> {
        let asks_no_more = self.filters.iter().all(|filter| scan.filters.iter().any(|own| *own.text == **filter));
        if Some(self.plane) != scan.table.plane() || !asks_no_more {
            return None;
        }
        // A row stays until every named plane has passed it; those from here on some plane has not.
        let kept_from = Plane::ALL.into_iter().filter_map(|plane| {
            let keep = self.keep[plane.index()]?;
            Some(watermarks.of(plane).plus_micros(-watermarks.lateness_micros(plane)).plus_micros(-keep))
        });
        let kept_from = kept_from.min()?;
        (self.since != Timestamp::MAX).then(|| self.since.max(kept_from.plus_micros(-1)))
    }
}
