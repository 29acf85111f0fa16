//! The last step: a message with its id and its key.

use watershed_schemas::{Notification, NotifyReason, Plane, Severity, Verdict};

use super::message::{Writer, hashed};
use super::page::{Key, Page, Standing};
use super::tree::Receiver;
use super::{Routed, Router};
use crate::correlator::Telling;

impl Router {
    /// What this receiver would be told if it were told this now, of the halves that it answers for; nothing where it answers for
    /// none of them. Routes are not asked.
    ///
    /// # Errors
    /// The names of the receivers that there are, where this is none.
    pub fn preview(&self, receiver: &str, tellings: &[Telling]) -> Result<Option<Notification>, Vec<String>> {
        let receivers = &self.routes.receivers;
        let Some(at) = receivers.iter().position(|known| known.name == receiver) else {
            return Err(receivers.iter().map(|known| known.name.clone()).collect());
        };
        let receiver = &receivers[at];
        // Whoever answers for no plane is there for what nobody else takes.
        let of = |telling: &&Telling| receiver.planes.is_empty() || receiver.planes.contains(&telling.plane);
        let own: Vec<&Telling> = tellings.iter().filter(of).collect();
        let Some(first) = own.first() else { return Ok(None) };
        let id = first.incident.incident_id.as_str();
        let mut known = self.by_incident.get(id).into_iter().flatten().filter(|key| key.0 == at);
        let page = known.find_map(|key| self.pages.get(key)).cloned();
        let mut page = page.unwrap_or_else(|| Page::new(&receiver.name, id, "preview", None));
        let written = self.written(receiver, &page, &own);
        let (dedup_key, replaces) = page.key(receiver, written.verdict, written.severity, written.reason);
        Ok(Some(Notification { dedup_key, replaces, group: page.shown_group(), ..written }))
    }

    /// Puts these halves of one incident into a message to the page's receiver.
    pub(super) fn send(
        &self,
        key: &Key,
        page: &mut Page,
        mut tellings: Vec<Telling>,
        reason: NotifyReason,
        routed: &mut Routed,
    ) {
        let Some(newest) = tellings.iter().map(|telling| &telling.incident).max_by_key(|incident| incident.revision)
        else {
            return;
        };
        let newest = newest.clone();
        // Nobody is told what is known to be outdated.
        for telling in &mut tellings {
            telling.reason = reason;
            if telling.incident.revision != newest.revision {
                telling.incident = newest.clone();
            }
        }
        tellings.sort_by_key(|telling| telling.plane);
        let receiver = &self.routes.receivers[key.0];
        let written = self.written(receiver, page, &tellings.iter().collect::<Vec<_>>());
        let reopened = page.standing.is_none() && page.keys > 0 && page.labels.is_none();
        let (dedup_key, replaces) = page.key(receiver, written.verdict, written.severity, reason);
        let notification_id = page.message_id(&written);
        page.sent = Some(self.now);
        page.told.get_or_insert(self.now);
        page.retry = None;
        let group = page.shown_group();
        let told = Notification { reason, notification_id, dedup_key, replaces, group, reopened, ..written };
        routed.notifications.push(told);
    }

    /// What the page's receiver is told of these halves of one incident, who knows of the other, and where more is to be read.
    fn written(&self, receiver: &Receiver, page: &Page, tellings: &[&Telling]) -> Notification {
        let (reason, incident) = (tellings[0].reason, &tellings[0].incident);
        let writer = Writer { rules: &self.rules, redaction: &self.redaction };
        let elsewhere = |plane: &&Plane| tellings.iter().all(|telling| telling.plane != **plane);
        let elsewhere: Vec<Plane> = incident.verdict.planes().iter().filter(elsewhere).copied().collect();
        let mut others = self.others(page, &incident.incident_id, &elsewhere);
        if matches!(reason, NotifyReason::Resolved | NotifyReason::Withdrawn) {
            others.untold = None;
        }
        let link = self.routes.external_url.as_ref();
        let link = link.map(|url| format!("{url}/api/v1/incidents/{}", incident.incident_id));
        Notification { link, ..writer.notification(receiver, tellings, others) }
    }
}

impl Page {
    /// The key of a message, and the one before where it takes its place: what a page says can't be changed everywhere, so that
    /// what has grown beyond it is a page of its own.
    fn key(
        &mut self,
        receiver: &Receiver,
        verdict: Verdict,
        severity: Severity,
        reason: NotifyReason,
    ) -> (String, Option<String>) {
        use NotifyReason::{Acknowledged, Resolved, Withdrawn};
        let said = self.standing.take();
        if let Some(said) = said.as_ref().filter(|said| {
            let grown = severity > said.severity || (verdict == Verdict::Both && said.verdict != Verdict::Both);
            !grown || matches!(reason, Acknowledged | Resolved | Withdrawn)
        }) {
            self.standing = Some(said.clone());
            return (said.key.clone(), None);
        }
        self.keys += 1;
        let key = self.key_at(receiver, self.keys);
        self.standing = Some(Standing { key: key.clone(), verdict, severity });
        (key, said.map(|said| said.key))
    }

    fn key_at(&self, receiver: &Receiver, number: u32) -> String {
        let plane = match receiver.planes.as_slice() {
            [plane] => plane.name(),
            _ => "both",
        };
        format!("{}:{plane}:{number}", self.id)
    }

    /// Was told before, by a program that kept no pages or until it was over: what comes now is said under the key of then.
    pub(super) fn assume(&mut self, telling: &Telling, receiver: &Receiver) {
        if self.standing.is_some() {
            return;
        }
        self.keys = self.keys.max(1);
        let (verdict, severity) = (telling.incident.verdict, telling.incident.severity);
        self.standing = Some(Standing { key: self.key_at(receiver, self.keys), verdict, severity });
    }

    /// The id of a message: the same in every run where it is the only one about its revision.
    fn message_id(&mut self, written: &Notification) -> String {
        let about = (written.incident_id.clone(), written.revision);
        // Halves may be told in another order than their revisions have: what is no newer may have been the subject before.
        let told = |(incident, revision): &(String, u32)| *incident == about.0 && *revision >= about.1;
        let again = self.labels.is_some() || self.last.as_ref().is_some_and(told);
        if !again {
            self.last = Some(about);
        }
        self.messages += 1;
        if !again {
            return written.notification_id.clone();
        }
        hashed("ntf", &[&written.notification_id, &self.id, &self.messages.to_string()])
    }
}
