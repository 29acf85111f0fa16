//! How a case file grows: bounded in every part.

use std::collections::BTreeMap;

use watershed_schemas::{
    BlastRadius, Case, FirstMove, HeldBack, IncidentRevision, Moment, Notification, TimelineEntry, Timestamp, Told,
};

use crate::core::{MomentKey, bounded, key_of};
use crate::router;

/// Most revisions beside the last one: the first, and the latest of the others.
const REVISIONS: usize = 51;
/// Most signals that a past revision lists; what changed is in its `changes`.
const PAST_SIGNALS: usize = 64;
/// Most moments of evidence, and of context.
pub(super) const MOMENTS: [usize; 2] = [200, 20];
/// Most messages that are listed, and most that were held back: the first of them and the latest.
const TOLD: usize = 200;
/// Most acts of people.
const HANDLED: usize = 200;

/// The file of an incident that was just opened.
pub(super) fn opened(revision: &IncidentRevision) -> Case {
    Case {
        incident: revision.clone(),
        revisions: Vec::new(),
        // Where an incident is older than its file, its earlier revisions are not to be had.
        revisions_omitted: revision.revision.saturating_sub(1),
        timeline: Vec::new(),
        timeline_omitted: 0,
        blast_radius: None,
        first_moves: Vec::new(),
        handled: revision.handled.iter().cloned().collect(),
        told: Vec::new(),
        held_back: Vec::new(),
        erased: None,
        withheld: Vec::new(),
    }
}

/// What is written into a case file.
pub(super) trait Grows {
    /// The incident has another revision.
    fn revise(&mut self, revision: &IncidentRevision);
    /// All of its evidence that is remembered, and context: what is known takes the new form, what has gone from memory stays.
    fn gather(&mut self, moments: &[TimelineEntry]);
    /// Reach and first moves were found out; says whether that is new.
    fn advise(&mut self, blast_radius: Option<&BlastRadius>, first_moves: &[FirstMove]) -> bool;
    /// Somebody is told.
    fn tell(&mut self, notification: &Notification, at: Timestamp);
    /// Somebody is not called.
    fn hold_back(&mut self, held: &router::HeldBack, at: Timestamp);
}

impl Grows for Case {
    fn revise(&mut self, revision: &IncidentRevision) {
        let mut before = std::mem::replace(&mut self.incident, revision.clone());
        // A restart may say the last revision again.
        if before.revision < revision.revision {
            before.signals.truncate(PAST_SIGNALS);
            self.revisions.push(before);
        }
        if self.revisions.len() > REVISIONS {
            self.revisions.remove(1);
            self.revisions_omitted += 1;
        }
        if let Some(handled) = &revision.handled
            && self
                .handled
                .last()
                .is_none_or(|last| (last.at, &last.by, &last.act) != (handled.at, &handled.by, &handled.act))
        {
            self.handled.push(handled.clone());
            if self.handled.len() > HANDLED {
                self.handled.remove(1);
            }
        }
    }

    fn gather(&mut self, moments: &[TimelineEntry]) {
        let omitted_before = self.timeline_omitted as usize;
        let known = std::mem::take(&mut self.timeline);
        let mut all: BTreeMap<MomentKey, TimelineEntry> = known
            .into_iter()
            .map(|moment| (key_of(&moment), TimelineEntry { signals: Vec::new(), decided: Vec::new(), ..moment }))
            .collect();
        for moment in moments {
            let known = all.entry(key_of(moment)).or_insert_with(|| moment.clone());
            let evidence = known.moment == Moment::Evidence || moment.moment == Moment::Evidence;
            *known = moment.clone();
            if evidence {
                known.moment = Moment::Evidence;
            }
        }
        let gathered = moments.iter().filter(|moment| moment.moment == Moment::Evidence).count();
        let (timeline, omitted) = bounded(all, MOMENTS);
        self.timeline = timeline;
        // What was left out before is gathered again as long as it is remembered: it must not be counted twice.
        let omitted = if gathered > MOMENTS[0] { omitted.max(omitted_before) } else { omitted + omitted_before };
        self.timeline_omitted = u32::try_from(omitted).unwrap_or(u32::MAX);
    }

    fn advise(&mut self, blast_radius: Option<&BlastRadius>, first_moves: &[FirstMove]) -> bool {
        let mut news = false;
        if let Some(radius) = blast_radius.filter(|radius| self.blast_radius.as_ref() != Some(radius)) {
            self.blast_radius = Some(radius.clone());
            news = true;
        }
        if !first_moves.is_empty() && self.first_moves != first_moves {
            self.first_moves = first_moves.to_vec();
            news = true;
        }
        news
    }

    fn tell(&mut self, notification: &Notification, at: Timestamp) {
        self.told.push(Told {
            notification_id: notification.notification_id.clone(),
            revision: notification.revision,
            receiver: notification.receiver.clone(),
            team: notification.team.clone(),
            reason: notification.reason,
            at,
        });
        if self.told.len() > TOLD {
            self.told.remove(TOLD / 2);
        }
    }

    fn hold_back(&mut self, held: &router::HeldBack, at: Timestamp) {
        let (by, cause) = held.hold.told();
        self.held_back.push(HeldBack {
            receiver: held.receiver.clone(),
            plane: held.plane,
            revision: held.revision,
            by,
            cause: cause.to_owned(),
            at,
            lasts: false,
        });
        if self.held_back.len() > TOLD {
            self.held_back.remove(TOLD / 2);
        }
    }
}
