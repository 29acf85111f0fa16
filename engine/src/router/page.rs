//! What one receiver was told of one incident, or of one group of them: from the first message to the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watershed_schemas::{HeldBy, IncidentStatus, NotifyReason, Plane, Severity, Timestamp, Verdict};

use super::tree::Policy;
use crate::correlator::Telling;

/// First bytes of the keys that hold pages.
pub(super) const PREFIX: &[u8] = b"n/p/";
/// How long a page is remembered after its end, so that what opens again is not taken for it.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// Position of a receiver, and id of an incident or of a group.
pub(super) type Key = (usize, Arc<str>);

/// Why nobody is called about something that would else be told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "by")]
pub enum Hold {
    /// Somebody asked for silence.
    Silence {
        /// Id of the silence.
        id: String,
    },
    /// Its route is mute at this time.
    Mute {
        /// Name of the interval.
        interval: String,
    },
    /// A graver incident lasts.
    Inhibition {
        /// Id of that incident.
        incident: String,
    },
}

impl Hold {
    /// In two words for a case file: what kind, and which one.
    pub fn told(&self) -> (HeldBy, &str) {
        match self {
            Hold::Silence { id } => (HeldBy::Silence, id),
            Hold::Mute { interval } => (HeldBy::Mute, interval),
            Hold::Inhibition { incident } => (HeldBy::Inhibition, incident),
        }
    }
}

/// One plane of one incident, as this receiver knows it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Half {
    /// The newest that there is to tell while it lasts; dropped where it will not be needed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) live: Option<Box<Telling>>,
    /// Its end, until that is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<Box<Telling>>,
    /// Why it is to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pending: Option<NotifyReason>,
    /// Why it is not told yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) held: Option<Hold>,
    /// Whether it was told at all.
    pub(super) told: bool,
    pub(super) over: bool,
    /// Whether somebody has taken it.
    pub(super) acknowledged: bool,
    /// Whether that is still to be shown.
    #[serde(default)]
    pub(super) update: bool,
}

/// The halves of one incident.
pub(super) type Member = [Option<Half>; 2];

/// What a page that is open says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub(super) key: String,
    pub(super) verdict: Verdict,
    pub(super) severity: Severity,
}

/// What one receiver was told of one incident, or of one group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Page {
    pub(super) receiver: String,
    /// Id of the incident, or of the group.
    pub(super) id: String,
    /// The route that leads here.
    pub(super) route: String,
    /// What the incidents of a group have in common; absent where the incident is alone.
    pub(super) labels: Option<BTreeMap<String, String>>,
    pub(super) members: BTreeMap<String, Member>,
    /// How many keys it has had.
    pub(super) keys: u32,
    /// What it says; absent before it is told and after it has ended.
    pub(super) standing: Option<Standing>,
    /// Since when something waits to be told.
    pub(super) since: Option<Timestamp>,
    /// When it was first told, since it opened.
    pub(super) told: Option<Timestamp>,
    /// When it was last told.
    pub(super) sent: Option<Timestamp>,
    /// Steps of escalation that were taken.
    pub(super) escalated: usize,
    /// Not before this is a repeat or an escalation tried again.
    pub(super) retry: Option<Timestamp>,
    /// When it ended.
    pub(super) over: Option<Timestamp>,
    /// Incident and revision of the last message, and how many messages there were.
    pub(super) last: Option<(String, u32)>,
    pub(super) messages: u32,
    /// Where it stands in the queue of what is due.
    #[serde(skip)]
    pub(super) scheduled: Option<Timestamp>,
    /// Whether it was never written: what the store is to forget may bear its name.
    #[serde(skip)]
    pub(super) unwritten: bool,
}

/// What is to be done next with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// Tell what has grown.
    Tell,
    /// Show that somebody has taken it.
    Update,
    /// Tell that it has ended.
    End,
    /// Tell somebody else.
    Escalate,
    /// Say it again.
    Repeat,
    /// Forget it.
    Forget,
}

impl Page {
    pub(super) fn new(receiver: &str, id: &str, route: &str, labels: Option<BTreeMap<String, String>>) -> Self {
        Page {
            receiver: receiver.to_owned(),
            id: id.to_owned(),
            route: route.to_owned(),
            labels,
            members: BTreeMap::new(),
            keys: 0,
            standing: None,
            since: None,
            told: None,
            sent: None,
            escalated: 0,
            retry: None,
            over: None,
            last: None,
            messages: 0,
            scheduled: None,
            unwritten: true,
        }
    }

    pub(super) fn halves(&self) -> impl Iterator<Item = &Half> {
        self.members.values().flatten().flatten()
    }

    pub(super) fn halves_mut(&mut self) -> impl Iterator<Item = &mut Half> {
        self.members.values_mut().flatten().flatten()
    }

    /// Takes in what the correlator says of one half.
    pub(super) fn take(&mut self, telling: &Telling, now: Timestamp) {
        let member = self.members.entry(telling.incident.incident_id.clone()).or_default();
        let half = member[telling.plane.index()].get_or_insert_default();
        match telling.reason {
            NotifyReason::Resolved | NotifyReason::Withdrawn => {
                // What was never told, and turned out to be nothing, is nobody's news; of what was told the end says all.
                if half.told || telling.reason == NotifyReason::Withdrawn {
                    half.pending = None;
                }
                half.over = true;
                half.update = false;
                half.end = Some(Box::new(telling.clone()));
                // Where that was told, it is told again how it ended.
                self.over = None;
            }
            NotifyReason::Acknowledged => {
                half.acknowledged = true;
                half.update = true;
                half.live = Some(Box::new(telling.clone()));
            }
            reason => {
                if half.over {
                    *half = Half::default();
                }
                let acknowledged = telling.incident.status == IncidentStatus::Acknowledged;
                if half.acknowledged && !acknowledged && self.told.is_some() {
                    // Nobody has it any more: they have as much time as in the beginning.
                    (self.told, self.escalated) = (Some(now), 0);
                }
                half.acknowledged = acknowledged;
                if half.told && reason == NotifyReason::SeverityRose && severity(telling) < Severity::High {
                    // Who has the page is not called because of what is worth a look in the day.
                    half.live = Some(Box::new(telling.clone()));
                } else {
                    half.ask(reason);
                    half.live = Some(Box::new(telling.clone()));
                    self.since.get_or_insert(now);
                }
                self.over = None;
            }
        }
    }

    /// Whether everything that it is about has ended.
    pub(super) fn is_over(&self) -> bool {
        self.halves().all(|half| half.over)
    }

    /// Whether somebody has taken everything that lasts.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.halves().filter(|half| !half.over).all(|half| half.acknowledged)
    }

    /// What is to be done next, and when. With `hurry` nothing waits for more to come.
    pub(super) fn next(&self, policy: &Policy, hurry: bool) -> Option<(Timestamp, Step)> {
        if let Some(over) = self.over {
            return Some((over.plus(REMEMBERED), Step::Forget));
        }
        let mut next: Option<(Timestamp, Step)> = None;
        let mut offer = |at: Timestamp, step: Step| next = next.into_iter().chain([(at, step)]).min();
        let ready = self.halves().any(|half| half.pending.is_some() && half.held.is_none());
        if ready {
            offer(self.tells_at(policy, hurry), Step::Tell);
        } else if self.is_over() {
            offer(Timestamp::MIN, Step::End);
        }
        if self.halves().any(|half| half.update) {
            offer(Timestamp::MIN, Step::Update);
        }
        if self.standing.is_some() && !self.is_over() && !self.is_acknowledged() {
            let retry = self.retry.unwrap_or(Timestamp::MIN);
            // What is new says all that a repeat would.
            if let (false, Some(sent), Some(interval)) = (ready, self.sent, policy.repeat_interval) {
                offer(sent.plus(interval).max(retry), Step::Repeat);
            }
            if let (Some(told), Some(escalation)) = (self.told, policy.escalate.get(self.escalated)) {
                offer(told.plus(escalation.after).max(retry), Step::Escalate);
            }
        }
        next
    }

    /// When what waits is told, where nothing holds it back.
    pub(super) fn tells_at(&self, policy: &Policy, hurry: bool) -> Timestamp {
        let since = self.since.unwrap_or(Timestamp::MIN);
        match self.sent {
            _ if hurry => since,
            None => since.plus(policy.group_wait),
            Some(sent) => since.max(sent.plus(policy.group_interval)),
        }
    }

    /// Ids of its incidents that last or are still to be told, the gravest first.
    pub(super) fn lasting(&self) -> Vec<&str> {
        let mut lasting: Vec<(&String, &Telling)> = self
            .members
            .iter()
            .filter_map(|(id, member)| {
                let waits = |half: &Half| half.pending.is_some() && half.held.is_none();
                let newest = member.iter().flatten().filter(|half| waits(half) || (!half.over && half.told));
                let newest = newest.filter_map(|half| half.live.as_deref());
                Some((id, newest.max_by_key(|telling| telling.incident.revision)?))
            })
            .collect();
        lasting.sort_by(|(_, a), (_, b)| gravity(b).cmp(&gravity(a)).then_with(|| age(a).cmp(&age(b))));
        lasting.into_iter().map(|(id, _)| id.as_str()).collect()
    }

    /// Drops what will not be needed again.
    pub(super) fn thin(&mut self, policy: &Policy) {
        let keeps = self.labels.is_some() || policy.repeat_interval.is_some() || !policy.escalate.is_empty();
        for half in self.halves_mut().filter(|half| half.pending.is_none()) {
            half.held = None;
            if half.over || !keeps {
                half.live = None;
            }
            if half.over {
                half.end = None;
            }
        }
        if self.halves().all(|half| half.pending.is_none()) {
            self.since = None;
        }
        if self.labels.is_some() && !self.is_over() {
            self.members.retain(|_, member| member.iter().flatten().any(|half| !half.over || half.pending.is_some()));
        }
    }
}

impl Half {
    /// It is to be told for this reason; a stronger one stays.
    pub(super) fn ask(&mut self, reason: NotifyReason) {
        let reason = if self.told { reason } else { opening(reason) };
        self.pending = self.pending.into_iter().chain([reason]).min_by_key(|reason| urgency(*reason));
    }
}

/// Who has not heard of it hears that it is new.
fn opening(reason: NotifyReason) -> NotifyReason {
    if reason == NotifyReason::Escalated { reason } else { NotifyReason::Opened }
}

/// The most urgent reason comes first.
pub(super) fn urgency(reason: NotifyReason) -> u8 {
    match reason {
        NotifyReason::Opened => 0,
        NotifyReason::VerdictGrew => 1,
        NotifyReason::SeverityRose => 2,
        NotifyReason::Escalated => 3,
        NotifyReason::Repeated => 4,
        NotifyReason::Acknowledged | NotifyReason::Withdrawn | NotifyReason::Resolved => 5,
    }
}

/// How bad a half is for its own team.
pub(super) fn severity(telling: &Telling) -> Severity {
    telling.signals.iter().map(|signal| signal.severity).max().unwrap_or(telling.incident.severity)
}

fn gravity(telling: &Telling) -> (Severity, bool) {
    (telling.incident.severity, telling.incident.verdict == Verdict::Both)
}

fn age(telling: &Telling) -> (Timestamp, &str) {
    (telling.incident.first_event_time, telling.incident.incident_id.as_str())
}

/// The key of a page in the store.
pub(super) fn stored_key(receiver: &str, id: &str) -> Vec<u8> {
    [PREFIX, receiver.as_bytes(), b"/", id.as_bytes()].concat()
}

/// Both planes, where a member has them.
pub(super) fn planes(member: &Member) -> impl Iterator<Item = (Plane, &Half)> {
    Plane::ALL.into_iter().filter_map(|plane| Some((plane, member[plane.index()].as_ref()?)))
}
