//! A notification's closed sets in words for people.

use watershed_schemas::{
    Act, Coverage, Disposition, Handled, IncidentStatus, Notification, NotifyReason, Origin, Plane, PlaneCoverage,
    PlaneScores, Reach, Untold, Verdict,
};

use crate::escape::one_line;

pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::ModelAbuse => "model abuse",
        Verdict::AccessCompromise => "access compromise",
        Verdict::Both => "model abuse and access compromise",
    }
}

pub(super) fn reason(notification: &Notification) -> &'static str {
    match notification.reason {
        NotifyReason::Opened if notification.reopened => "reopened",
        NotifyReason::Opened => "new incident",
        NotifyReason::VerdictGrew => "verdict grew",
        NotifyReason::SeverityRose => "severity rose",
        NotifyReason::Withdrawn => "withdrawn",
        NotifyReason::Resolved => "resolved",
        NotifyReason::Acknowledged => "acknowledged",
        NotifyReason::Repeated => "still open",
        NotifyReason::Escalated => "escalated: nobody has taken it",
    }
}

pub(super) fn status(status: IncidentStatus) -> &'static str {
    match status {
        IncidentStatus::Open => "open",
        IncidentStatus::Acknowledged => "acknowledged",
        IncidentStatus::Resolved => "resolved",
        IncidentStatus::Closed => "closed",
        IncidentStatus::Merged => "merged into an older incident",
        IncidentStatus::Withdrawn => "withdrawn",
    }
}

pub(super) fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Model => "the model plane moved first",
        Origin::Access => "the access plane moved first",
        Origin::Undetermined => "too close to call",
    }
}

/// What was not heard when the verdict was given; nothing where both planes were.
pub(super) fn coverage_gaps(coverage: Coverage) -> Vec<String> {
    [(Plane::Model, coverage.model), (Plane::Access, coverage.access)]
        .into_iter()
        .filter_map(|(plane, heard)| match heard {
            PlaneCoverage::Observed => None,
            PlaneCoverage::Lagging { by } => Some(format!("{plane} plane lagging by {by} s")),
            PlaneCoverage::Silent { since } => Some(format!("{plane} plane silent since {since}")),
            PlaneCoverage::NeverSeen => Some(format!("{plane} plane never seen")),
        })
        .collect()
}

/// What a person last said of it. Who and why are hostile text, made harmless for one line.
pub(super) fn handled(notification: &Notification) -> Option<String> {
    let Handled { act, by, at, note } = notification.handled.as_ref()?;
    let what = match act {
        Act::Acknowledge => "Taken".to_owned(),
        Act::Close { disposition } => format!("Closed as {}", self::disposition(*disposition)),
        Act::Reopen => "Taken up again".to_owned(),
        Act::Comment => "Commented".to_owned(),
    };
    let note = note.as_deref().map(|note| format!(": {}", one_line(note, 200))).unwrap_or_default();
    Some(format!("{what} by {} at {at}{note}", one_line(by, 100)))
}

fn disposition(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::TruePositive => "a true positive",
        Disposition::Benign => "benign",
        Disposition::FalsePositive => "a false positive",
    }
}

/// What the scores were reckoned from, in as many lines as there are rules, bounded.
pub(super) fn because(notification: &Notification) -> Option<String> {
    const SHOWN: usize = 8;
    let because = &notification.because;
    if because.is_empty() {
        return None;
    }
    let pair = |PlaneScores { model, access }: PlaneScores| format!("model {model:.2}, access {access:.2}");
    let mut lines =
        vec![format!("Scores\n{} (in the verdict from {})", pair(notification.scores), pair(because.thresholds))];
    lines.extend(because.rules.iter().take(SHOWN).map(|rule| {
        let rule_id = one_line(&rule.rule, 100);
        format!(
            "• {rule_id}: {} signal{}, weight {} × {:.2} = {}",
            rule.count,
            if rule.count == 1 { "" } else { "s" },
            pair(rule.weight),
            rule.factor,
            pair(rule.score)
        )
    }));
    if because.rules.len() > SHOWN {
        lines.push(format!("and {} more rules", because.rules.len() - SHOWN));
    }
    Some(lines.join("\n"))
}

/// That nobody has been told of the other half.
pub(super) fn untold(notification: &Notification) -> Option<String> {
    let Untold { plane, why } = notification.untold.as_ref()?;
    let why = why.as_deref().map(|why| format!(": {}", one_line(why, 200))).unwrap_or_default();
    Some(format!("Nobody is known to have been told of the {plane} half{why}"))
}

/// How far it reaches: a line for each kind of thing, with a few names.
pub(super) fn reach(notification: &Notification) -> Option<String> {
    const SHOWN: usize = 5;
    let radius = notification.blast_radius.as_ref()?;
    let Reach { credentials, sessions, scopes, roles, tenants, delegates, shared_with, .. } = &radius.could;
    let mut lines = vec!["Reach".to_owned()];
    for (what, names) in [
        ("credentials", credentials),
        ("sessions", sessions),
        ("scopes", scopes),
        ("roles", roles),
        ("tenants", tenants),
        ("delegates", delegates),
        ("shares a credential with", shared_with),
    ] {
        if !names.is_empty() {
            let shown: Vec<String> = names.iter().take(SHOWN).map(|name| one_line(name, 80)).collect();
            let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
            lines.push(format!("could: {what} {}{more}", shown.join(", ")));
        }
    }
    if !radius.did.is_empty() {
        let shown: Vec<String> = radius
            .did
            .iter()
            .take(SHOWN)
            .map(|reached| {
                format!("{} {} ×{}", one_line(&reached.what, 20), one_line(&reached.name, 80), reached.times)
            })
            .collect();
        let more =
            if radius.did.len() > SHOWN { format!(" and {} more", radius.did.len() - SHOWN) } else { String::new() };
        lines.push(format!("did: {}{more}", shown.join(", ")));
    }
    lines.extend(radius.unknown.iter().take(SHOWN).map(|unknown| format!("not known: {}", one_line(unknown, 120))));
    (lines.len() > 1).then(|| lines.join("\n"))
}

/// What was kept from this receiver.
pub(super) fn withheld(notification: &Notification) -> Option<String> {
    let classes: Vec<String> = notification
        .withheld
        .iter()
        .take(10)
        .map(|withheld| format!("{} ×{}", one_line(&withheld.class, 30), withheld.count))
        .collect();
    (!classes.is_empty()).then(|| format!("Withheld from this receiver: {}", classes.join(", ")))
}

/// Other incidents that the message speaks of.
pub(super) fn group(notification: &Notification) -> Option<String> {
    const SHOWN: usize = 5;
    let group = notification.group.as_ref()?;
    let others: Vec<String> = group
        .incidents
        .iter()
        .filter(|id| **id != notification.incident_id)
        .take(SHOWN)
        .map(|id| one_line(id, 64))
        .collect();
    let all = group.incidents.len() + usize::try_from(group.omitted).unwrap_or(usize::MAX);
    (all > 1).then(|| format!("The gravest of {all} incidents; others: {}", others.join(", ")))
}

/// Incidents of other identities that share something with it.
pub(super) fn shares(notification: &Notification) -> Option<String> {
    const SHOWN: usize = 5;
    let ids: Vec<String> =
        notification.shares.iter().take(SHOWN).map(|related| one_line(&related.incident_id, 64)).collect();
    (!ids.is_empty()).then(|| format!("Shares a credential, session or agent with {}", ids.join(", ")))
}

/// Whether, for this receiver, the incident is over: its page is to be closed.
///
/// A withdrawal that leaves one of the receiver's planes in the verdict of an open incident is news, not an end.
pub(super) fn is_over(notification: &Notification) -> bool {
    match notification.reason {
        NotifyReason::Resolved => true,
        NotifyReason::Withdrawn => {
            !matches!(notification.status, IncidentStatus::Open | IncidentStatus::Acknowledged)
                || !notification.verdict.planes().iter().any(|plane| notification.planes.contains(plane))
        }
        NotifyReason::Opened
        | NotifyReason::VerdictGrew
        | NotifyReason::SeverityRose
        | NotifyReason::Acknowledged
        | NotifyReason::Repeated
        | NotifyReason::Escalated => false,
    }
}
