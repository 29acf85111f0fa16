//! What somebody is told who may see nothing of an incident, and what becomes of a message whose receiver is lost.

use watershed_schemas::{Because, Group, Handled, Notification, Verdict, Withheld};

use crate::redact::Sight;

/// Why a message moves to the fallback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The receiver answered that it is gone.
    Gone,
    /// It was taken out of the configuration while the message waited.
    Removed,
}

/// The message of a receiver that is lost, as the fallback may see it: whole where the fallback may see all that the receiver
/// may, else only that it is there. What was written for one receiver can't be redacted for another piece by piece.
pub(crate) fn moved(message: Notification, from: (Lost, Option<&Sight>), to: (&str, &Sight)) -> Notification {
    let ((lost, from), (fallback, sight)) = (from, to);
    let why = match lost {
        Lost::Gone => "is gone (`watershed receivers list` shows its answer)",
        Lost::Removed => "is no longer in the configuration",
    };
    let instead = format!("tell team {} some other way: its receiver {} {why}", message.team, message.receiver);
    let message = Notification { receiver: fallback.to_owned(), ..message };
    // What the engine says of itself is about nobody.
    if message.notice.is_some() {
        return message;
    }
    if from.is_some_and(|from| sight.covers(from)) {
        let first_move = format!("{instead}; then {}", message.first_move);
        return Notification { first_move, ..message };
    }
    bare(message, instead)
}

/// The message with nothing in it but that there is an incident, how bad it is, whose it is, and what is to be done about the
/// telling. Each field is named, so that one that comes new has to be decided.
pub(crate) fn bare(message: Notification, first_move: String) -> Notification {
    let withheld = [
        ("evidence", message.evidence.len() + message.evidence_omitted),
        ("reach", usize::from(message.blast_radius.is_some())),
        ("rules", message.rules.len().max(message.because.rules.len())),
    ];
    let withheld = withheld
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(class, count)| Withheld { class: class.to_owned(), count: u32::try_from(count).unwrap_or(u32::MAX) });
    let what = match message.verdict {
        Verdict::ModelAbuse => "Model abuse",
        Verdict::AccessCompromise => "Access compromise",
        Verdict::Both => "Model abuse and access compromise",
    };
    let whom = message.principal.as_deref().unwrap_or("an unknown identity");
    Notification {
        title: format!("[{}] {what} by {whom}", message.severity.name()),
        first_move,
        withheld: withheld.collect(),
        // What people write may quote what they have seen.
        handled: message.handled.map(|handled| Handled { note: None, ..handled }),
        group: message.group.map(|group| Group { labels: Default::default(), ..group }),
        planes: Vec::new(),
        sessions: Vec::new(),
        rules: Vec::new(),
        evidence: Vec::new(),
        evidence_omitted: 0,
        related: Vec::new(),
        untold: None,
        first_moves: Vec::new(),
        their_first_move: None,
        because: Because { rules: Vec::new(), ..message.because },
        blast_radius: None,
        agents: Vec::new(),
        tags: Vec::new(),
        frameworks: Vec::new(),
        shares: Vec::new(),
        text: None,
        notice: None,
        notification_id: message.notification_id,
        receiver: message.receiver,
        team: message.team,
        reason: message.reason,
        incident_id: message.incident_id,
        revision: message.revision,
        status: message.status,
        verdict: message.verdict,
        origin: message.origin,
        coverage: message.coverage,
        severity: message.severity,
        tenant: message.tenant,
        principal: message.principal,
        first_event_time: message.first_event_time,
        last_event_time: message.last_event_time,
        dedup_key: message.dedup_key,
        replaces: message.replaces,
        scores: message.scores,
        link: message.link,
        reopened: message.reopened,
    }
}
