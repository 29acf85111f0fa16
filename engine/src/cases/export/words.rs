//! What things are called when a person reads them.

use watershed_connectors::escape::one_line;
use watershed_schemas::{
    Act, Disposition, Handled, HeldBack, HeldBy, IncidentStatus, Move, Origin, Plane, PlaneCoverage, Severity, Shared,
    Timestamp, Verdict,
};

/// Longest text of one field.
const FIELD_CHARS: usize = 400;

/// A text of an event on one line, bounded, with nothing in it that deceives.
pub(super) fn shown(text: &str) -> String {
    one_line(text, FIELD_CHARS)
}

/// Names, of which only the first few are shown.
pub(super) fn some(names: &[String], most: usize) -> String {
    let mut shown: Vec<String> = names.iter().take(most).map(|name| shown_short(name)).collect();
    if names.len() > most {
        shown.push(format!("and {} more", names.len() - most));
    }
    shown.join(", ")
}

/// A name: shorter than a text.
pub(super) fn shown_short(text: &str) -> String {
    one_line(text, 120)
}

pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::ModelAbuse => "Model abuse",
        Verdict::AccessCompromise => "Access compromise",
        Verdict::Both => "Model abuse and access compromise",
    }
}

pub(super) fn plane(plane: Plane) -> &'static str {
    match plane {
        Plane::Model => "Model plane",
        Plane::Access => "Access plane",
    }
}

pub(super) fn origin(origin: Origin, both: bool) -> String {
    let words = match (origin, both) {
        (Origin::Model, true) => "the model plane moved first",
        (Origin::Access, true) => "the access plane moved first",
        (Origin::Model, false) => "seen on the model plane alone",
        (Origin::Access, false) => "seen on the access plane alone",
        (Origin::Undetermined, _) => "which plane moved first can't be told: their clocks are not that exact",
    };
    words.to_owned()
}

/// Coverage in words, and whether it takes something from the verdict.
pub(super) fn coverage(coverage: PlaneCoverage) -> (String, bool) {
    match coverage {
        PlaneCoverage::Observed => ("observed".to_owned(), false),
        PlaneCoverage::Lagging { by } => {
            (format!("lagging by {}: what it has to say is not read yet", seconds(by)), true)
        }
        PlaneCoverage::Silent { since } => (format!("silent since {}", time(since)), true),
        PlaneCoverage::NeverSeen => ("never seen: there is no telemetry of it".to_owned(), true),
    }
}

fn seconds(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}

pub(super) fn status(status: IncidentStatus) -> &'static str {
    match status {
        IncidentStatus::Open => "open",
        IncidentStatus::Acknowledged => "acknowledged",
        IncidentStatus::Resolved => "resolved",
        IncidentStatus::Closed => "closed",
        IncidentStatus::Merged => "merged",
        IncidentStatus::Withdrawn => "withdrawn",
    }
}

pub(super) fn severity(severity: Severity) -> &'static str {
    severity.name()
}

pub(super) fn disposition(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::TruePositive => "true positive",
        Disposition::Benign => "benign",
        Disposition::FalsePositive => "false positive",
    }
}

pub(super) fn handled(handled: &Handled) -> String {
    let act = match handled.act {
        Act::Acknowledge => "acknowledged by".to_owned(),
        Act::Close { disposition: judged } => format!("closed as {} by", disposition(judged)),
        Act::Reopen => "reopened by".to_owned(),
        Act::Comment => "comment of".to_owned(),
    };
    let note = handled.note.as_ref().map(|note| format!(": {}", shown(note))).unwrap_or_default();
    format!("{act} {}{note}", shown_short(&handled.by))
}

pub(super) fn held_back(held: &HeldBack) -> String {
    let cause = shown_short(&held.cause);
    let why = match held.by {
        HeldBy::Silence => format!("by silence {cause}"),
        HeldBy::Mute => format!("by the mute interval {cause}"),
        HeldBy::Inhibition => format!("while {cause} lasts"),
    };
    let now = if held.lasts { ", still" } else { "" };
    let (receiver, plane) = (shown_short(&held.receiver), held.plane.name());
    format!("{receiver} of the {plane} plane (revision {}), {why}{now}", held.revision)
}

pub(super) fn action(action: Move) -> &'static str {
    match action {
        Move::PauseAgent => "pause agent",
        Move::DisableTool => "disable tool",
        Move::QuarantineSession => "quarantine session",
        Move::RevokeCredential => "revoke credential",
        Move::EndSession => "end session",
        Move::DisableAccount => "disable account",
        Move::AsTheRuleSays => "as the rule says",
    }
}

pub(super) fn shared(shared: Shared) -> &'static str {
    match shared {
        Shared::Credential => "credential",
        Shared::Session => "session",
        Shared::Agent => "agent",
    }
}

/// A time as people write it, in UTC; a fraction of a second only where there is one.
pub(super) fn time(at: Timestamp) -> String {
    at.to_string().replacen('T', " ", 1)
}

/// A number without superfluous digits.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
