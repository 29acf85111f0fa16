//! Episodes: session windows over event time.

use std::time::Duration;

use watershed_schemas::Timestamp;

/// One episode of an entity, as the range of its signals in time order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Episode {
    pub(super) signals: std::ops::Range<usize>,
    /// Whether it goes on from the episode before it, which had reached the maximum duration.
    pub(super) continues: bool,
}

/// Cuts times (ascending) where nothing happened for longer than `gap`, and where an episode has lasted `max_duration`.
/// A function of the set of times alone: the order of arrival plays no part.
pub(super) fn episodes(times: &[Timestamp], gap: Duration, max_duration: Duration) -> Vec<Episode> {
    let mut episodes: Vec<Episode> = Vec::new();
    let mut start = 0;
    let mut continues = false;
    for at in 1..times.len() {
        let quiet = times[at - 1].plus(gap) < times[at];
        let too_long = times[start].plus(max_duration) < times[at];
        if quiet || too_long {
            episodes.push(Episode { signals: start..at, continues });
            start = at;
            continues = !quiet;
        }
    }
    if !times.is_empty() {
        episodes.push(Episode { signals: start..times.len(), continues });
    }
    episodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(times: &[i64]) -> Vec<Timestamp> {
        times.iter().map(|minute| Timestamp::from_secs(minute * 60)).collect()
    }

    fn cut(times: &[i64]) -> Vec<(std::ops::Range<usize>, bool)> {
        episodes(&minutes(times), Duration::from_secs(1_800), Duration::from_secs(7_200))
            .into_iter()
            .map(|episode| (episode.signals, episode.continues))
            .collect()
    }

    #[test]
    fn cuts_after_the_gap_and_not_at_it() {
        assert_eq!(cut(&[0, 30, 61]), [(0..2, false), (2..3, false)]);
    }

    #[test]
    fn a_bridge_joins_two_episodes() {
        assert_eq!(cut(&[0, 50]).len(), 2);
        assert_eq!(cut(&[0, 25, 50]), [(0..3, false)]);
    }

    #[test]
    fn a_long_one_is_continued() {
        assert_eq!(cut(&[0, 30, 60, 90, 120, 121, 150]), [(0..5, false), (5..7, true)]);
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(cut(&[]).is_empty());
    }
}
