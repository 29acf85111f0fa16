//! What holds for everything that one receiver hears, whatever the story.

use std::collections::BTreeMap;

use watershed_schemas::{Notification, NotifyReason, Plane};

/// Most messages about one incident that is told alone, unless somebody acts or it is said again: opened, the other plane, high,
/// critical, over.
const MOST: usize = 5;

/// What a receiver knows of one incident, or of one group of them.
#[derive(Default)]
struct Page<'a> {
    /// The key of what it says, while that lasts.
    standing: Option<&'a str>,
    /// How many keys there were.
    keys: usize,
    messages: usize,
}

/// Every message that should not have been sent to this receiver after those before it, one line each.
///
/// * No team hears of a plane that is not in the verdict, unless it has to be told that it no longer is; none is shown a plane
///   of which it is not the owner.
/// * The first that is heard of an incident, or of a group, is that it is there; nothing goes back to an earlier revision.
/// * A key stands for one page: it is numbered, another takes its place with its name, and after the end none is used again.
pub fn faults<'a>(receiver: &str, heard: impl IntoIterator<Item = &'a Notification>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut revisions: BTreeMap<&str, u32> = BTreeMap::new();
    let mut pages: BTreeMap<&str, Page<'_>> = BTreeMap::new();
    for message in heard {
        let id = message.group.as_ref().map_or(&*message.incident_id, |group| &group.key);
        let page = pages.entry(id).or_default();
        let first = page.standing.is_none();
        let mut fault = |what: String| lines.push(format!("{receiver} {what}: `{}`", message.title));
        if let "ai-security" | "iam" = message.team.as_str() {
            let own = |plane: &&Plane| plane.team() == message.team;
            if !message.verdict.planes().iter().any(|plane| own(&plane)) && (first || !ends(message.reason)) {
                fault(format!("is told of {}, which is not its plane", message.verdict.name()));
            }
            if message.planes.iter().any(|plane| !own(&plane)) {
                fault(format!("is shown {:?}", message.planes));
            }
        }
        if first && !matches!(message.reason, NotifyReason::Opened | NotifyReason::Escalated) {
            fault(format!("hears first that it is `{}`", message.reason.name()));
        }
        if !first && message.group.is_none() && message.reason == NotifyReason::Opened {
            fault("hears again that it is new".to_owned());
        }
        if let Some(before) = revisions.insert(&message.incident_id, message.revision)
            && message.revision < before
        {
            fault(format!("is told revision {} after {before}", message.revision));
        }
        page.messages += usize::from(message.group.is_none() && !said_anew(message.reason));
        if page.messages > MOST {
            fault(format!("is told {} times", page.messages));
        }
        if let Some(wrong) = page.key(message, id) {
            fault(format!("gets the key `{}`, {wrong}", message.dedup_key));
        }
    }
    lines
}

impl<'a> Page<'a> {
    /// Takes in the key of a message; what is wrong with it.
    fn key(&mut self, message: &'a Notification, id: &str) -> Option<String> {
        let key = message.dedup_key.as_str();
        let before = self.standing;
        let wrong = if before == Some(key) {
            message.replaces.as_ref().map(|replaced| format!("which stands and takes the place of `{replaced}`"))
        } else {
            self.keys += 1;
            let expected = ["model", "access", "both"].map(|plane| format!("{id}:{plane}:{}", self.keys));
            if !expected.iter().any(|expected| expected == key) {
                Some(format!("expected number {}", self.keys))
            } else if message.replaces.as_deref() != before {
                Some(format!("which takes the place of {:?}, expected {before:?}", message.replaces))
            } else if ends(message.reason) && before.is_some() {
                Some("which nobody has seen begin".to_owned())
            } else {
                None
            }
        };
        self.standing = (!ends(message.reason)).then_some(key);
        if ends(message.reason) {
            self.messages = 0;
        }
        wrong
    }
}

/// Whether nothing more is to come.
pub(super) fn ends(reason: NotifyReason) -> bool {
    matches!(reason, NotifyReason::Resolved | NotifyReason::Withdrawn)
}

/// Whether it comes of what people do, or of what a route asks for, on top of what an incident says of itself.
fn said_anew(reason: NotifyReason) -> bool {
    matches!(reason, NotifyReason::Acknowledged | NotifyReason::Repeated | NotifyReason::Escalated)
}

#[cfg(test)]
mod tests {
    use watershed_schemas::{IncidentRevision, Plane, Timestamp, Verdict};

    use super::*;

    fn message(verdict: Verdict, reason: NotifyReason, revision: u32, key: u32) -> Notification {
        let incident = IncidentRevision { revision, ..IncidentRevision::opened("i", "acme", verdict, Timestamp::MIN) };
        let mut message = Notification::about(&incident, "iam", "iam", &[Plane::Access], reason);
        message.dedup_key = format!("i:access:{key}");
        message
    }

    fn check(messages: &[Notification], expected: &[&str]) {
        let found = faults("iam", messages);
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "`{found}` instead of `{expected}`");
        }
    }

    #[test]
    fn what_a_receiver_may_not_hear_is_found() {
        use NotifyReason::{Opened, Repeated, Resolved, SeverityRose, VerdictGrew};
        let access = |reason, revision, key| message(Verdict::AccessCompromise, reason, revision, key);
        let replacing = |key: &str, message| Notification { replaces: Some(key.to_owned()), ..message };
        let opened = || access(Opened, 1, 1);
        check(&[opened(), access(Repeated, 1, 1), access(Resolved, 2, 1), access(Opened, 3, 2)], &[]);
        check(&[opened(), replacing("i:access:1", access(VerdictGrew, 2, 2)), access(Resolved, 3, 2)], &[]);
        check(&[message(Verdict::ModelAbuse, Opened, 1, 1)], &["is told of model_abuse"]);
        check(&[opened(), message(Verdict::ModelAbuse, Resolved, 2, 1)], &[]);
        check(
            &[Notification { planes: Plane::ALL.to_vec(), dedup_key: "i:both:1".to_owned(), ..opened() }],
            &["is shown"],
        );
        check(&[access(SeverityRose, 1, 1)], &["hears first"]);
        check(&[access(Opened, 2, 1), access(SeverityRose, 1, 1)], &["revision 1 after 2"]);
        check(&[access(Opened, 1, 2)], &["expected number 1"]);
        check(&[opened(), access(SeverityRose, 2, 2)], &["expected Some(\"i:access:1\")"]);
        check(&[opened(), replacing("i:access:1", access(SeverityRose, 2, 1))], &["which stands"]);
        check(&[opened(), access(Resolved, 2, 1), access(Opened, 3, 1)], &["expected number 2"]);
        check(&[opened(), access(Resolved, 2, 1), replacing("i:access:1", access(Opened, 3, 2))], &["takes the place"]);
        check(&[opened(), replacing("i:access:1", access(Resolved, 2, 2))], &["nobody has seen begin"]);
        check(&[opened(), opened()], &["hears again"]);
        let grown = || access(VerdictGrew, 1, 1);
        check(&[opened(), grown(), grown(), grown(), grown(), grown()], &["is told 6 times"]);
    }
}
