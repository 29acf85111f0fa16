//! The rows that wait for one receiver, and which of them go out as one message.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use watershed_schemas::{Notification, NotifyReason};

/// Rows in the order of the outbox, each with the time it was queued.
#[derive(Default)]
pub(super) struct Queue {
    rows: BTreeMap<u64, Waiting>,
}

struct Waiting {
    notification: Notification,
    since: Duration,
}

/// Rows that are sent as one message.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    /// The rows, oldest first; never empty.
    pub(super) seqs: Vec<u64>,
    /// The newest of them, with the strongest reason of all.
    pub(super) notification: Notification,
    /// Deduplication keys of the others, and those that any of them takes the place of, oldest first: under each of them
    /// something may stand at the receiver.
    pub(super) former: Vec<String>,
    /// When the oldest was queued.
    pub(super) since: Duration,
}

impl Group {
    /// The position of the group in the queue.
    pub(super) fn head(&self) -> u64 {
        self.seqs.first().copied().unwrap_or_default()
    }

    /// The position under which the message is kept when it moves to another receiver.
    pub(super) fn newest(&self) -> u64 {
        self.seqs.last().copied().unwrap_or_default()
    }
}

impl Queue {
    /// Adds a row; says whether it is new.
    pub(super) fn push(&mut self, seq: u64, notification: Notification, since: Duration) -> bool {
        self.rows.insert(seq, Waiting { notification, since }).is_none()
    }

    pub(super) fn remove(&mut self, seqs: &[u64]) {
        for seq in seqs {
            self.rows.remove(seq);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// When the oldest row was queued.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.rows.values().map(|row| row.since).min()
    }

    /// The next message: the first one.
    pub(super) fn first(&self) -> Option<Group> {
        self.rows.keys().next().map(|seq| self.group(*seq))
    }

    /// The first message behind `head`, else the first one: so a receiver that is down is probed with all in turn.
    pub(super) fn after(&self, head: u64) -> Option<Group> {
        let mut seen = BTreeSet::new();
        for (seq, row) in &self.rows {
            if seen.insert(incident(&row.notification)) && *seq > head {
                return Some(self.group(*seq));
            }
        }
        self.first()
    }

    /// The message that begins with the row `head`, the first one of its incident.
    fn group(&self, head: u64) -> Group {
        let first = &self.rows[&head];
        let rows: Vec<(&u64, &Waiting)> = self
            .rows
            .range(head..)
            .filter(|(_, row)| incident(&row.notification) == incident(&first.notification))
            .collect();
        let reasons: Vec<NotifyReason> = rows.iter().map(|(_, row)| row.notification.reason).collect();
        let (count, reason) = coalesce(&reasons);
        let rows = &rows[..count];
        let newest = rows.last().map_or(first, |(_, row)| row);
        Group {
            former: former_keys(rows.iter().map(|(_, row)| &row.notification), &newest.notification.dedup_key),
            seqs: rows.iter().map(|(seq, _)| **seq).collect(),
            notification: Notification {
                reason,
                reopened: rows.iter().any(|(_, row)| row.notification.reopened),
                ..newest.notification.clone()
            },
            since: first.since,
        }
    }
}

/// The keys of these messages and of those before them, once each, without the one that remains.
fn former_keys<'a>(messages: impl Iterator<Item = &'a Notification>, remains: &str) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for message in messages {
        for key in message.replaces.iter().chain([&message.dedup_key]) {
            if !key.is_empty() && key != remains && !keys.contains(key) {
                keys.push(key.clone());
            }
        }
    }
    keys
}

/// One receiver may serve several teams; each has its own view of an incident.
fn incident(notification: &Notification) -> (&str, &str) {
    (&notification.incident_id, &notification.team)
}

/// How many of an incident's waiting rows go out as one message, and why that message is sent.
///
/// The newest row says all that the older ones did, so only the reason has to be found:
/// * Growth keeps its strongest reason: who never heard of the incident must be told that it is new.
/// * A withdrawal takes everything before it along: there is nothing left to act on.
/// * A resolution does not swallow the incident that it ends. Paging services drop the end of what they never saw, so
///   what happened is told first and its end next, as a message of its own.
/// * What grows again after its end is told as growth alone.
fn coalesce(reasons: &[NotifyReason]) -> (usize, NotifyReason) {
    let grows = |reason: &NotifyReason| strength(*reason).is_some();
    let strongest = reasons.iter().copied().filter(grows).max_by_key(|reason| strength(*reason));
    let last_growth = reasons.iter().rposition(grows);
    let ended_by = &reasons[last_growth.map_or(0, |at| at + 1)..];
    let newest = reasons.last().copied().unwrap_or(NotifyReason::Opened);
    match (strongest, last_growth) {
        _ if ended_by.contains(&NotifyReason::Withdrawn) => (reasons.len(), NotifyReason::Withdrawn),
        (Some(strongest), Some(at)) => (at + 1, strongest),
        _ => (reasons.len(), newest),
    }
}

/// How much a reason to look weighs; none for an end, and for what calls nobody.
fn strength(reason: NotifyReason) -> Option<u8> {
    match reason {
        NotifyReason::Opened => Some(5),
        NotifyReason::Escalated => Some(4),
        NotifyReason::VerdictGrew => Some(3),
        NotifyReason::SeverityRose => Some(2),
        NotifyReason::Repeated => Some(1),
        NotifyReason::Withdrawn | NotifyReason::Resolved | NotifyReason::Acknowledged => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use watershed_schemas::NotifyReason::{Opened, Resolved, SeverityRose, VerdictGrew, Withdrawn};

    use super::*;
    use crate::deliver::tests::notification;

    fn check(reasons: &[NotifyReason], count: usize, reason: NotifyReason) {
        assert_eq!(coalesce(reasons), (count, reason), "{reasons:?}");
    }

    #[test]
    fn what_waits_about_one_incident_becomes_as_few_messages_as_say_it_all() {
        check(&[Opened], 1, Opened);
        check(&[Opened, SeverityRose, VerdictGrew, SeverityRose], 4, Opened);
        check(&[SeverityRose, VerdictGrew, SeverityRose], 3, VerdictGrew);
        check(&[Opened, SeverityRose, Resolved], 2, Opened);
        check(&[Resolved], 1, Resolved);
        check(&[Resolved, Resolved], 2, Resolved);
        check(&[Opened, Withdrawn], 2, Withdrawn);
        check(&[Opened, Withdrawn, Resolved], 3, Withdrawn);
        check(&[Resolved, VerdictGrew], 2, VerdictGrew);
        check(&[Opened, Resolved, VerdictGrew, Resolved], 3, Opened);
        check(&[Withdrawn, Opened], 2, Opened);
    }

    #[test]
    fn the_newest_row_speaks_under_its_own_id_at_the_place_of_the_oldest() {
        let mut queue = Queue::default();
        for (seq, incident, revision, reason) in [(1, "a", 1, Opened), (2, "b", 1, Opened), (3, "a", 2, VerdictGrew)] {
            queue.push(seq, notification("r", incident, revision, reason), Duration::from_secs(seq));
        }
        let group = queue.first().expect("rows wait");
        assert_eq!(group.seqs, [1, 3]);
        assert_eq!(group.since, Duration::from_secs(1));
        assert_eq!(group.notification.reason, Opened);
        assert_eq!(group.notification.notification_id, "a-2-r");
        assert_eq!(queue.after(1).expect("rows wait").seqs, [2]);
        assert_eq!(queue.after(2).expect("rows wait").seqs, [1, 3]);
        queue.remove(&group.seqs);
        assert_eq!(queue.first().expect("a row waits").seqs, [2]);
    }

    #[test]
    fn no_key_that_an_alert_may_stand_under_is_forgotten_when_messages_become_one() {
        let mut queue = Queue::default();
        for (seq, n) in [(1, 2), (2, 2), (3, 3), (4, 4)] {
            let message = Notification {
                dedup_key: format!("a:model:{n}"),
                replaces: (seq != 2).then(|| format!("a:model:{}", n - 1)),
                ..notification("r", "a", u32::try_from(seq).expect("small"), SeverityRose)
            };
            queue.push(seq, message, Duration::ZERO);
        }
        let group = queue.first().expect("rows wait");
        assert_eq!(group.notification.dedup_key, "a:model:4");
        assert_eq!(group.former, ["a:model:1", "a:model:2", "a:model:3"]);
    }

    #[test]
    fn two_teams_of_one_receiver_are_both_told() {
        let mut queue = Queue::default();
        let first = notification("r", "a", 1, Opened);
        queue.push(1, Notification { team: "iam".to_owned(), ..first.clone() }, Duration::ZERO);
        queue.push(2, first, Duration::ZERO);
        assert_eq!(queue.first().expect("rows wait").seqs, [1]);
    }

    proptest! {
        #[test]
        fn nothing_that_opens_is_lost_and_the_last_word_is_said(
            reasons in prop::collection::vec(prop::sample::select(vec![Opened, VerdictGrew, SeverityRose, Withdrawn, Resolved]), 1..12)
        ) {
            let mut sent = Vec::new();
            let mut rest = &reasons[..];
            while !rest.is_empty() {
                let (count, reason) = coalesce(rest);
                prop_assert!(count >= 1 && count <= rest.len());
                sent.push(reason);
                rest = &rest[count..];
            }
            prop_assert!(sent.len() <= 2, "{:?} became {:?}", reasons, sent);
            // Whether the incident is over is said last, and an incident that was opened is told unless withdrawn.
            let over = |reason: NotifyReason| strength(reason).is_none();
            prop_assert_eq!(over(sent[sent.len() - 1]), over(reasons[reasons.len() - 1]));
            if reasons.contains(&Opened) {
                prop_assert!(sent.contains(&Opened) || sent.contains(&Withdrawn));
            }
        }
    }
}
