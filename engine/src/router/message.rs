//! One message: what a receiver is told of a revision.
//!
//! A message is built in one place from what the tellings say, holds only what its receiver may see, and is masked as a whole
//! before it leaves.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use watershed_schemas::{FirstMove, Notification, NotifyReason, Plane, RuleMention, Severity, Verdict, Withheld};

use super::others::Others;
use super::tree::Receiver;
use super::view;
use crate::correlator::{SignalRecord, Telling};
use crate::evaluator::RuleSetup;
use crate::messages::bare;
use crate::playbook;
use crate::redact::{Lens, Redaction, mask_message};

/// Most pieces of evidence in one notification.
const EVIDENCE: usize = 20;

/// What a notification says of a rule.
#[derive(Clone, Debug)]
pub(super) struct RuleBrief {
    pub(super) title: String,
    pub(super) runbook: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) frameworks: Vec<String>,
}

impl RuleBrief {
    pub(super) fn of(setup: &RuleSetup) -> Self {
        let meta = &setup.rule.meta;
        RuleBrief {
            title: meta.title.clone(),
            runbook: meta.runbook.clone(),
            tags: meta.tags.clone(),
            frameworks: meta.frameworks.clone(),
        }
    }
}

/// Writes messages to receivers.
pub(super) struct Writer<'a> {
    pub(super) rules: &'a BTreeMap<String, RuleBrief>,
    pub(super) redaction: &'a Redaction,
}

impl Writer<'_> {
    /// What the receiver is told of one revision: these are its tellings of it, one for each plane that it answers for, and this
    /// is who knows of the other.
    pub(super) fn notification(&self, receiver: &Receiver, tellings: &[&Telling], others: Others) -> Notification {
        let telling = tellings[0];
        let incident = &telling.incident;
        let planes: Vec<Plane> = tellings.iter().map(|telling| telling.plane).collect();
        let reason = tellings
            .iter()
            .map(|telling| telling.reason)
            .min_by_key(|reason| urgency(*reason))
            .unwrap_or(telling.reason);
        let mut signals: Vec<&SignalRecord> = tellings.iter().flat_map(|telling| &telling.signals).collect();
        signals.sort_by(|a, b| (a.event_time, &a.signal_id).cmp(&(b.event_time, &b.signal_id)));
        signals.dedup_by(|a, b| a.signal_id == b.signal_id);
        // The fallback receiver hears of whatever nobody else takes, but sees only what it may.
        let visible: Vec<Plane> = planes.iter().copied().filter(|plane| receiver.planes.contains(plane)).collect();
        let Others { related, untold } = others;
        let shared = incident.verdict.planes().iter().any(|plane| !planes.contains(plane));
        let policy = self.redaction.policy(&receiver.name, &receiver.planes);
        let mut lens = Lens::new(policy, &self.redaction.key).about(incident.principal.as_deref()).compared(shared);
        let (evidence, evidence_omitted) = view::evidence(&signals, &visible, &mut lens, EVIDENCE);
        let blast_radius = telling.blast_radius.as_ref().map(|radius| view::blast_radius(radius, &mut lens));
        let rules = self.mentions(&signals);
        let (because, rules_withheld) = view::because(&incident.because, &visible);
        let severity = signals.iter().map(|signal| signal.severity).max().unwrap_or(incident.severity);
        let about = Notification::about(incident, &receiver.name, &receiver.team, &planes, reason);
        let own = |step: &&FirstMove| planes.contains(&step.plane);
        let acts_on = |step: &&FirstMove| own(step) && visible.contains(&step.plane);
        let their_first_move = telling.first_moves.iter().find(|step| !own(step)).map(|step| step.text.clone());
        let mut message = Notification {
            notification_id: hashed("ntf", &[&incident.incident_id, &incident.revision.to_string(), &receiver.name]),
            severity,
            title: title(incident.verdict, severity, &rules, incident.principal.as_deref(), &incident.sessions),
            first_move: Writer::first_move(&planes, &visible, telling),
            first_moves: telling.first_moves.iter().filter(acts_on).cloned().collect(),
            // Named where the other team was told, so that nobody does it twice or waits for it.
            their_first_move: their_first_move.filter(|_| !related.is_empty()),
            rules,
            evidence,
            evidence_omitted,
            related,
            untold,
            because,
            blast_radius,
            agents: incident.agents.clone(),
            tags: incident.tags.clone(),
            frameworks: incident.frameworks.clone(),
            shares: incident.related.clone(),
            planes: visible,
            ..about
        };
        if message.planes.is_empty() {
            // Nobody else takes it. What the evidence says is its owners' alone; that they have to hear of it is not.
            let halves: Vec<String> =
                planes.iter().map(|plane| format!("the {} half (team {})", plane.name(), plane.team())).collect();
            let unrouted = format!("no receiver takes {}: see that it is heard of", halves.join(" and "));
            message.evidence_omitted = signals.iter().map(|signal| signal.evidence.len()).sum();
            message = bare(message, unrouted);
            mask_message(&mut message);
            return message;
        }
        message.withheld = lens.tally(mask_message(&mut message));
        if rules_withheld > 0 {
            message.withheld.push(Withheld { class: "rules".to_owned(), count: rules_withheld });
        }
        message
    }

    fn mentions(&self, signals: &[&SignalRecord]) -> Vec<RuleMention> {
        let ids: BTreeSet<&str> = signals.iter().map(|signal| signal.rule.as_str()).collect();
        ids.into_iter()
            .map(|id| {
                let brief = self.rules.get(id);
                RuleMention {
                    id: id.to_owned(),
                    title: brief.map_or_else(|| id.to_owned(), |brief| brief.title.clone()),
                    runbook: brief.and_then(|brief| brief.runbook.clone()),
                }
            })
            .collect()
    }

    /// The first steps of each plane that the receiver answers for, in the order that the incident's origin demands.
    fn first_move(planes: &[Plane], visible: &[Plane], telling: &Telling) -> String {
        let planes = playbook::sequence(telling.incident.origin).into_iter().filter(|plane| planes.contains(plane));
        let steps = planes.map(|plane| playbook::line(&telling.first_moves, plane, visible.contains(&plane)));
        steps.collect::<Vec<_>>().join("; then ")
    }
}

fn urgency(reason: NotifyReason) -> u8 {
    match reason {
        NotifyReason::Opened => 0,
        NotifyReason::VerdictGrew => 1,
        NotifyReason::SeverityRose => 2,
        NotifyReason::Withdrawn => 3,
        NotifyReason::Escalated => 4,
        NotifyReason::Repeated => 5,
        NotifyReason::Acknowledged => 6,
        NotifyReason::Resolved => 7,
    }
}

fn title(
    verdict: Verdict,
    severity: Severity,
    rules: &[RuleMention],
    principal: Option<&str>,
    sessions: &[String],
) -> String {
    let what = match verdict {
        Verdict::ModelAbuse => "Model abuse",
        Verdict::AccessCompromise => "Access compromise",
        Verdict::Both => "Model abuse and access compromise",
    };
    let whom = match (principal, sessions.first()) {
        (Some(principal), _) => principal.to_owned(),
        (None, Some(session)) => format!("session {session}"),
        (None, None) => "an unknown session".to_owned(),
    };
    let rule = rules.first().map_or("withdrawn evidence", |rule| rule.title.as_str());
    let more = if rules.len() > 1 { format!(" (+{} more)", rules.len() - 1) } else { String::new() };
    format!("[{}] {what} by {whom}: {rule}{more}", severity.name())
}

/// A short name for these parts: the same in every run.
pub(super) fn hashed(kind: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let hex: String = hash.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("{kind}_{hex}")
}
