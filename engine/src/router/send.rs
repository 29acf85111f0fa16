//! The last step: a message with its id and its key.

use watershed_schemas::{Notification, NotifyReason, Severity, Verdict};

use super::message::{Writer, hashed};
use super::page::{Key, Page, Standing};
use super::tree::Receiver;
use super::{Routed, Router};
use crate::correlator::Telling;

impl Router {
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
        let writer = Writer { routes: &self.routes, rules: &self.rules, redaction: &self.redaction };
        let written = writer.notification(receiver, &tellings.iter().collect::<Vec<_>>());
        let (dedup_key, replaces) = page.key(receiver, written.verdict, written.severity, reason);
        let notification_id = page.message_id(&written);
        page.sent = Some(self.now);
        page.told.get_or_insert(self.now);
        page.retry = None;
        let group = page.shown_group();
        routed.notifications.push(Notification { reason, notification_id, dedup_key, replaces, group, ..written });
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
        if self.labels.is_some() {
            return format!("{}:{number}", self.id);
        }
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
