//! What is worth a revision, in words, and where the incident stands after it.

use watershed_schemas::{IncidentRevision, IncidentStatus, Severity, Verdict};

use super::verdict::Judgement;

/// Signals up to this many are each worth a revision, and so are sessions, agents and credentials; beyond it a revision is
/// written when the number of signals has doubled or halved.
pub(super) const EACH_UP_TO: usize = 16;

/// What a revision has to say.
pub(super) struct News {
    pub(super) reason: String,
    pub(super) status: IncidentStatus,
}

/// What is new; nothing where a revision would say what the last one said. `closed_at` is what a person closed it as.
pub(super) fn news(
    last: Option<&IncidentRevision>,
    closed_at: Option<(Verdict, Severity)>,
    principal: Option<&str>,
    judgement: &Judgement,
) -> Option<News> {
    let Some(last) = last else {
        judgement.verdict?;
        return Some(News { reason: "opened".to_owned(), status: IncidentStatus::Open });
    };
    let Some(verdict) = judgement.verdict else {
        return (last.status != IncidentStatus::Withdrawn)
            .then(|| News { reason: "the evidence was withdrawn".to_owned(), status: IncidentStatus::Withdrawn });
    };
    let graver = |before: Verdict, severity: Severity| {
        judgement.severity > severity || verdict.planes().iter().any(|plane| !before.planes().contains(plane))
    };
    let outgrown = closed_at.is_some_and(|(before, severity)| graver(before, severity));
    let more = judgement.last > last.last_event_time || graver(last.verdict, last.severity);
    let status = match last.status {
        IncidentStatus::Closed if outgrown => IncidentStatus::Open,
        IncidentStatus::Withdrawn if closed_at.is_some() && !outgrown => IncidentStatus::Closed,
        IncidentStatus::Withdrawn => IncidentStatus::Open,
        // Resolved, it stays so until there is something newer or graver: what becomes known late of what is over, and a
        // correction, is no reason to wake anybody.
        IncidentStatus::Resolved if more => IncidentStatus::Open,
        status => status,
    };
    let reopened = status == IncidentStatus::Open && last.status != IncidentStatus::Open;
    let says = |reason: String| {
        let again = last.status == IncidentStatus::Closed && reopened;
        Some(News { reason: if again { format!("reopened: {reason}") } else { reason }, status })
    };
    if last.verdict != verdict {
        let grew = last.verdict.planes().iter().all(|plane| verdict.planes().contains(plane));
        let how = if grew { "grew" } else { "changed" };
        return says(format!("verdict {how} from {} to {}", last.verdict.name(), verdict.name()));
    }
    if last.status == IncidentStatus::Withdrawn || (last.status == IncidentStatus::Resolved && more) {
        let reason = if reopened { "reopened by new evidence" } else { "the evidence is back" };
        return says(reason.to_owned());
    }
    if last.severity < judgement.severity {
        return says(format!("severity rose from {} to {}", last.severity.name(), judgement.severity.name()));
    }
    let (before, now) = (last.signals.len(), judgement.standing);
    if now < before && (now <= EACH_UP_TO || 2 * now <= before) {
        return says("evidence was withdrawn".to_owned());
    }
    if last.principal.as_deref() != principal {
        return says("its principal became known".to_owned());
    }
    if !judgement.marks.is_subset(&last.marks) {
        let marks: Vec<&str> = judgement.marks.difference(&last.marks).map(|mark| mark.name()).collect();
        return says(format!("its evidence is {}", marks.join(" and ")));
    }
    let other = judgement.origin != last.origin || !judgement.rules().eq(&last.rules) || other_names(judgement, last);
    let many = now > before && (now <= EACH_UP_TO || now >= 2 * before);
    (other || many).then(|| says("evidence was added".to_owned())).flatten()
}

/// Whether it is about other sessions, agents or credentials, as long as these are few.
fn other_names(judgement: &Judgement, last: &IncidentRevision) -> bool {
    use watershed_schemas::Shared::{Agent, Credential};
    let [agents, credentials] = [Agent, Credential].map(|kind| judgement.shares.of(kind));
    let few = |number: usize| number <= EACH_UP_TO;
    (few(judgement.sessions.len()) && !judgement.sessions.iter().eq(&last.sessions))
        || (few(agents.len()) && !agents.eq(&last.agents))
        || (few(credentials.len()) && !credentials.eq(&last.credentials))
}
