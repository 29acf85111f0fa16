//! What people say of incidents, and what that does to them.

use watershed_schemas::{Act, Disposition, Handled, IncidentRevision, IncidentStatus};

use super::SignalRecord;
use super::entity::Entity;
use super::incident::{Incident, Scene};
use super::verdict::Judgement;

/// Most acts that are remembered of one incident.
const REMEMBERED: usize = 64;
/// Longest name of a person.
const NAME_CHARS: usize = 200;
/// Longest note.
const NOTE_CHARS: usize = 4_000;

/// An incident's signals and what they amount to, where they are still remembered.
pub(super) type Evidenced<'a> = Option<(&'a Judgement, &'a [&'a SignalRecord])>;

impl Incident {
    /// Takes in what a person said. Said again, it is the revision that it made then.
    ///
    /// # Errors
    /// Why nobody can say that of this incident.
    pub(super) fn act(
        &mut self,
        entity: &Entity,
        handled: &Handled,
        evidenced: Evidenced<'_>,
        scene: &mut Scene<'_>,
    ) -> Result<u32, String> {
        let Some(last) = &self.last else { return Err(format!("incident `{}` has not been opened", self.id)) };
        if self.acts.contains(handled) {
            return Ok(last.revision);
        }
        check_words(handled)?;
        let status = next_status(last, handled)?;
        let is_news = self.is_news(last.status, handled);
        self.acts.push(handled.clone());
        if self.acts.len() > REMEMBERED {
            self.acts.remove(0);
        }
        match handled.act {
            Act::Close { .. } => {
                self.closed_at = Some((last.verdict, last.severity));
                self.kept_open = false;
            }
            Act::Reopen => {
                self.closed_at = None;
                self.kept_open = true;
            }
            Act::Acknowledge | Act::Comment => {}
        }
        let reason = reason(handled);
        match evidenced {
            Some((judgement, records)) if judgement.verdict.is_some() && !self.awaits_signals => {
                self.write(entity, judgement, status, reason, records, scene);
            }
            _ => {
                let handled = Some(handled.clone());
                let revision =
                    IncidentRevision { revision: last.revision + 1, status, reason, handled, ..last.clone() };
                self.put(revision, scene);
            }
        }
        let records = evidenced.map_or(&[][..], |(_, records)| records);
        match handled.act {
            Act::Acknowledge if is_news => self.tell_acknowledged(records, scene),
            Act::Close { .. } if is_news => self.tell_closed(records, scene),
            Act::Reopen => self.tell(records, scene),
            Act::Acknowledge | Act::Close { .. } | Act::Comment => {}
        }
        self.store(entity, scene.commit);
        Ok(self.last.as_ref().map_or(0, |last| last.revision))
    }
}

impl Incident {
    /// Whether it is otherwise than what was said last: taken by somebody else, or closed as something else.
    fn is_news(&self, status: IncidentStatus, handled: &Handled) -> bool {
        let kind = std::mem::discriminant(&handled.act);
        let before = self.acts.iter().rev().find(|before| std::mem::discriminant(&before.act) == kind);
        match (status, &handled.act) {
            (IncidentStatus::Acknowledged, Act::Acknowledge) => before.is_none_or(|before| before.by != handled.by),
            (IncidentStatus::Closed, Act::Close { .. }) => before.is_none_or(|before| before.act != handled.act),
            _ => true,
        }
    }
}

/// What is said must be by somebody, and where it changes what others will believe it must say why.
fn check_words(handled: &Handled) -> Result<(), String> {
    let Handled { act, by, note, .. } = handled;
    let note = note.as_deref().map(str::trim).unwrap_or_default();
    if by.trim().is_empty() {
        return Err("nobody is named in `by`; say who it is that acts".to_owned());
    }
    for (name, text, most) in [("by", by.as_str(), NAME_CHARS), ("note", note, NOTE_CHARS)] {
        let chars = text.chars().count();
        if chars > most {
            return Err(format!("`{name}` has {chars} characters; at most {most} are kept, say it shorter"));
        }
    }
    match act {
        Act::Comment if note.is_empty() => Err("a comment without a `note` says nothing; write one".to_owned()),
        Act::Close { disposition: Disposition::FalsePositive } if note.is_empty() => {
            Err("a false positive needs a `note` that says why the rule was wrong".to_owned())
        }
        _ => Ok(()),
    }
}

/// Where it stands after that.
fn next_status(last: &IncidentRevision, handled: &Handled) -> Result<IncidentStatus, String> {
    let id = &last.incident_id;
    match (last.status, &handled.act) {
        (IncidentStatus::Merged, _) => {
            let survivor = last.merged_into.as_deref().unwrap_or("an older one");
            Err(format!("incident `{id}` became part of `{survivor}`; act on that one"))
        }
        (status, Act::Comment) => Ok(status),
        (IncidentStatus::Withdrawn, _) => {
            Err(format!("the evidence of incident `{id}` was withdrawn; it can only be commented on"))
        }
        (IncidentStatus::Open | IncidentStatus::Acknowledged, Act::Acknowledge) => Ok(IncidentStatus::Acknowledged),
        (IncidentStatus::Resolved | IncidentStatus::Closed, Act::Acknowledge) => {
            Err(format!("incident `{id}` is over; reopen it first"))
        }
        (_, Act::Close { .. }) => Ok(IncidentStatus::Closed),
        (IncidentStatus::Resolved | IncidentStatus::Closed, Act::Reopen) => Ok(IncidentStatus::Open),
        (IncidentStatus::Open | IncidentStatus::Acknowledged, Act::Reopen) => {
            Err(format!("incident `{id}` is not over, so that it can't be reopened"))
        }
    }
}

/// Why there is a revision, in words; who it was is in `handled`.
fn reason(handled: &Handled) -> String {
    match &handled.act {
        Act::Acknowledge => "acknowledged",
        Act::Close { disposition: Disposition::TruePositive } => "closed as a true positive",
        Act::Close { disposition: Disposition::Benign } => "closed as benign",
        Act::Close { disposition: Disposition::FalsePositive } => "closed as a false positive",
        Act::Reopen => "reopened by a person",
        Act::Comment => "commented on",
    }
    .to_owned()
}
