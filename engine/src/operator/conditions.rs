//! Which facts are wrong.

use watershed_connectors::escape::for_log;
use watershed_schemas::{NoticeKind, Plane, Timestamp};

use super::Settings;
use super::rejects::WINDOW;
use crate::deliver::ReceiverState;

/// One plane as the shell sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaneFacts {
    /// Whether it has a source at all.
    pub present: bool,
    /// When it was last heard, by the clock of the shell; its start where it never was.
    pub heard: Timestamp,
    /// Whether anything was heard of it since the start.
    pub ever: bool,
    /// Records that could not be decoded lately.
    pub rejected: u64,
}

/// What the shell sees at a moment.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The moment.
    pub now: Timestamp,
    /// Both planes, by [`Plane::index`].
    pub planes: [PlaneFacts; 2],
    /// Rules that were stopped. Why may quote what an event held, and is shown by the console alone.
    pub stopped: Vec<&'a str>,
    /// Rules that lack rows, and of how many keys.
    pub degraded: Vec<(&'a str, u64)>,
    /// How each receiver stands, and what it last answered.
    pub receivers: Vec<(&'a str, ReceiverState, Option<&'a str>)>,
    /// Messages that wait, where so many do that intake is paused.
    pub full: Option<usize>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    /// What.
    pub kind: NoticeKind,
    /// With what.
    pub subject: String,
    /// One line for a person. What comes from outside is escaped in it.
    pub text: String,
}

/// What is wrong, in the order of kind and subject.
pub fn conditions(facts: &Facts<'_>, settings: &Settings) -> Vec<Condition> {
    let mut wrong = Vec::new();
    let mut say = |kind, subject: &str, text: String| {
        wrong.push(Condition { kind, subject: subject.to_owned(), text });
    };
    let silent = Plane::ALL.map(|plane| {
        let facts_of = &facts.planes[plane.index()];
        // Paused intake hears nothing, and that has its own notice.
        facts_of.present && facts.full.is_none() && facts_of.heard.plus(settings.silence_after) <= facts.now
    });
    for plane in Plane::ALL {
        let of = &facts.planes[plane.index()];
        if silent[plane.index()] {
            let since = if of.ever { "since" } else { "since the start, at" };
            let other = if !facts.planes[plane.other().index()].present {
                "it is the only one".to_owned()
            } else if silent[plane.other().index()] {
                format!("nor is the {} plane: nothing comes at all", plane.other())
            } else {
                format!("while the {} plane moves on", plane.other())
            };
            say(
                NoticeKind::PlaneSilent,
                plane.name(),
                format!("the {plane} plane is not heard {since} {}; {other}", of.heard),
            );
        }
        if of.rejected > settings.rejects {
            let minutes = WINDOW.as_secs() / 60;
            let text = format!(
                "{} records of the {plane} plane could not be decoded in {minutes} minutes; they are in the dead letters",
                of.rejected
            );
            say(NoticeKind::DlqGrowing, plane.name(), text);
        }
    }
    for rule in &facts.stopped {
        say(NoticeKind::RuleStopped, rule, format!("rule {rule} is stopped; /readyz says why"));
    }
    for (rule, keys) in &facts.degraded {
        say(NoticeKind::RuleDegraded, rule, format!("rule {rule} is degraded: rows of {keys} keys were not kept"));
    }
    for (receiver, state, answered) in &facts.receivers {
        let what = match state {
            ReceiverState::Up => continue,
            ReceiverState::Down => "is down; it is only probed, and its messages wait",
            ReceiverState::Gone => "says that it is gone; its messages go to the fallback until the next start",
        };
        let answered = answered.map(|answer| format!(": {}", for_log(answer))).unwrap_or_default();
        say(NoticeKind::ReceiverDisabled, receiver, format!("receiver {receiver} {what}{answered}"));
    }
    if let Some(waiting) = facts.full {
        say(NoticeKind::OutboxFull, "outbox", format!("{waiting} messages wait for receivers: intake is paused"));
    }
    wrong.sort();
    wrong
}
