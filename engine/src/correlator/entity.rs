//! Whose signals belong together, and how they are cut into incidents.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watershed_schemas::{Handled, Timestamp};

use crate::principals::Names;

use super::episode::episodes;
use super::incident::{Incident, Scene};
use super::links::{Session, SessionLinks};
use super::record::{SIGNAL_PREFIX, store_signal};
use super::related::Related;
use super::verdict::{Judgement, judge};
use super::{Settings, SignalRecord};

/// Whom signals are gathered by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Entity {
    Principal {
        tenant: String,
        principal: String,
    },
    Session {
        tenant: String,
        session_id: String,
    },
    /// What came without a session of a principal that many share, by agent, else by credential.
    Part {
        tenant: String,
        principal: String,
        part: String,
    },
}

impl Entity {
    /// What the principal is called where the rule named one or the session's is known, else the session. Of a principal that
    /// many share: the session, else the part of it that its agent or credential is.
    pub(super) fn of(record: &SignalRecord, links: &SessionLinks, names: &Names) -> Entity {
        let tenant = record.tenant.clone();
        if let Some(shared) = &record.apart {
            return Entity::apart(record, shared);
        }
        let session_id = record.session_id.clone().unwrap_or_default();
        let session = Session { tenant: tenant.clone(), session_id: session_id.clone() };
        match record.principal.as_deref().or_else(|| links.principal(&session)) {
            Some(principal) => {
                let principal = names.canonical(&tenant, principal).to_owned();
                Entity::Principal { tenant, principal }
            }
            None => Entity::Session { tenant, session_id },
        }
    }

    fn apart(record: &SignalRecord, shared: &str) -> Entity {
        let (tenant, principal) = (record.tenant.clone(), shared.to_owned());
        let agent = record.agents.iter().find(|agent| *agent != shared).map(|agent| format!("agent:{agent}"));
        let credential = || record.credentials.first().map(|credential| format!("credential:{credential}"));
        match (&record.session_id, agent.or_else(credential)) {
            (Some(session_id), _) => Entity::Session { tenant, session_id: session_id.clone() },
            (None, Some(part)) => Entity::Part { tenant, principal, part },
            (None, None) => Entity::Principal { tenant, principal },
        }
    }

    pub(super) fn tenant(&self) -> &str {
        match self {
            Entity::Principal { tenant, .. } | Entity::Session { tenant, .. } | Entity::Part { tenant, .. } => tenant,
        }
    }

    pub(super) fn principal(&self) -> Option<&str> {
        match self {
            Entity::Principal { principal, .. } | Entity::Part { principal, .. } => Some(principal),
            Entity::Session { .. } => None,
        }
    }
}

/// Signals by time and id.
pub(super) type Signals = BTreeMap<(Timestamp, String), Box<SignalRecord>>;

/// The signals and incidents of one entity.
#[derive(Default)]
pub(super) struct EntityState {
    pub(super) signals: Signals,
    /// In the order in which they were opened.
    pub(super) incidents: Vec<Incident>,
    /// The event time that must lie before the quiet watermark for anything here to age.
    pub(super) next_change: Timestamp,
}

impl EntityState {
    pub(super) fn is_empty(&self) -> bool {
        self.signals.is_empty() && self.incidents.is_empty()
    }

    /// Takes out the incident of this id, where it has no signal here any more.
    pub(super) fn take_orphan(&mut self, id: &str) -> Option<Incident> {
        let at = self.incidents.iter().position(|incident| incident.id == id && incident.is_live())?;
        let orphaned = self.signals.values().all(|record| record.incident.as_deref() != Some(id));
        orphaned.then(|| self.incidents.remove(at))
    }

    /// Whether a new signal is one more of a storm: it comes between two signals of one episode, or after all of them, and
    /// the episode's incident has nothing new to say because of it. It is then the incident's, and nothing is settled: ten
    /// thousand signals must not cost ten thousand times ten thousand.
    pub(super) fn absorbs(&mut self, record: &mut SignalRecord, settings: &Settings) -> bool {
        let place = (record.event_time, record.signal_id.clone());
        let Some(((before, _), earlier)) = self.signals.range(..&place).next_back() else { return false };
        let Some(id) = earlier.incident.clone() else { return false };
        let inside = match self.signals.range(&place..).next() {
            Some((_, later)) => later.incident.as_ref() == Some(&id),
            None => record.event_time <= before.plus(settings.gap),
        };
        let mut incidents = self.incidents.iter_mut();
        let absorbed = inside
            && !record.withdrawn
            && incidents.find(|incident| incident.id == id).is_some_and(|incident| incident.absorbs(record, settings));
        if absorbed {
            record.incident = Some(id);
        }
        absorbed
    }

    /// Cuts the signals into episodes, ties each to the oldest incident among its signals, and revises those.
    pub(super) fn settle(&mut self, entity: &Entity, scene: &mut Scene<'_>) {
        self.incidents.sort_by_key(|incident| incident.opened);
        let EntityState { signals, incidents, .. } = self;
        let mut records: Vec<&mut SignalRecord> = signals.values_mut().map(|record| &mut **record).collect();
        let times: Vec<Timestamp> = records.iter().map(|record| record.event_time).collect();
        let mut taken: Vec<String> = Vec::new();
        let mut before: Option<String> = None;
        for episode in episodes(&times, scene.settings.gap, scene.settings.max_duration) {
            let records = &mut records[episode.signals];
            let claims = claims(incidents, records, &taken);
            let judgement = judge(records.iter().map(|record| &**record), scene.settings);
            let at = match claims.first() {
                Some(at) => *at,
                None if judgement.verdict.is_none() => {
                    before = None;
                    continue;
                }
                None => {
                    let first = records.first().map_or("", |record| record.signal_id.as_str());
                    let continues = before.clone().filter(|_| episode.continues);
                    let incident = Incident::open(entity, first, *scene.opened, continues, incidents);
                    *scene.opened += 1;
                    incidents.push(incident);
                    incidents.len() - 1
                }
            };
            let id = incidents[at].id.clone();
            for record in records.iter_mut() {
                if record.incident.as_ref() != Some(&id) {
                    record.incident = Some(id.clone());
                    store_signal(record, scene.commit);
                }
            }
            for other in claims.iter().skip(1) {
                incidents[*other].merge_into(&id, entity, scene);
                taken.push(incidents[*other].id.clone());
            }
            let records: Vec<&SignalRecord> = records.iter().map(|record| &**record).collect();
            let start = records.first().map_or(judgement.first, |record| record.event_time);
            incidents[at].revise(entity, start, judgement, &records, scene);
            taken.push(id.clone());
            before = Some(id);
        }
        self.note_next_change(scene.settings.signal_lag);
    }

    /// Resolves open incidents whose last event lies before `quiet`.
    pub(super) fn resolve(&mut self, entity: &Entity, quiet: Timestamp, scene: &mut Scene<'_>) {
        let due = |incident: &Incident| incident.awaits_quiet() && incident.last_event_time() < quiet;
        self.each_with_signals(scene, due, |incident, judgement, records, scene| {
            incident.resolve(entity, judgement, records, scene);
        });
    }

    /// Calls `act` for the incidents that are `wanted`, each with its signals and what these amount to.
    fn each_with_signals(
        &mut self,
        scene: &mut Scene<'_>,
        wanted: impl Fn(&Incident) -> bool,
        act: impl Fn(&mut Incident, &Judgement, &[&SignalRecord], &mut Scene<'_>),
    ) {
        for incident in self.incidents.iter_mut().filter(|incident| wanted(incident)) {
            let records = records_of(&self.signals, &incident.id);
            let judgement = judge(records.iter().copied(), scene.settings);
            act(incident, &judgement, &records, scene);
        }
    }

    /// Forgets signals and incidents whose last event lies before `over`: nothing acceptable can join them any more. The
    /// last word on each is said first.
    pub(super) fn forget(
        &mut self,
        entity: &Entity,
        over: Timestamp,
        scene: &mut Scene<'_>,
    ) -> (Vec<SignalRecord>, Vec<Incident>) {
        let due = |incident: &Incident| incident.last_event_time() < over;
        self.each_with_signals(scene, due, |incident, judgement, records, scene| {
            incident.last_word(entity, judgement, records, scene);
        });
        let commit = &mut *scene.commit;
        let live: Vec<String> = self
            .incidents
            .iter()
            .filter(|incident| incident.last_event_time() >= over)
            .map(|incident| incident.id.clone())
            .collect();
        let mut forgotten = Vec::new();
        self.signals.retain(|(time, id), record| {
            let keep = match &record.incident {
                Some(incident) => live.contains(incident),
                None => *time >= over,
            };
            if !keep {
                commit.deletes.push([SIGNAL_PREFIX, id.as_bytes()].concat());
                forgotten.push(SignalRecord::clone(record));
            }
            keep
        });
        let (keep, gone) = std::mem::take(&mut self.incidents).into_iter().partition(|one| live.contains(&one.id));
        self.incidents = keep;
        for incident in &gone {
            let incident: &Incident = incident;
            commit.deletes.push(incident.key());
        }
        self.note_next_change(scene.settings.signal_lag);
        (forgotten, gone)
    }

    /// What its incidents have to do with, where signals were absorbed.
    pub(super) fn refresh(&self, entity: &Entity, related: &mut Related) {
        for incident in self.incidents.iter().filter(|incident| incident.has_verdict()) {
            if let Some(shares) = incident.shares() {
                related.put(&incident.id, entity, incident.opened, incident.last_event_time(), shares);
            }
        }
    }

    /// Says which other incidents the incident of this id is related to.
    pub(super) fn relate(&mut self, id: &str, entity: &Entity, scene: &mut Scene<'_>) {
        self.each_with_signals(
            scene,
            |incident| incident.id == id,
            |incident, judgement, records, scene| incident.relate(entity, judgement, records, scene),
        );
    }

    /// What a person said of the incident of this id; nothing where it is not here.
    pub(super) fn act(
        &mut self,
        id: &str,
        entity: &Entity,
        handled: &Handled,
        scene: &mut Scene<'_>,
    ) -> Option<Result<u32, String>> {
        let incident = self.incidents.iter_mut().find(|incident| incident.id == id)?;
        let records = records_of(&self.signals, id);
        let judgement = judge(records.iter().copied(), scene.settings);
        let answer = incident.act(entity, handled, Some((&judgement, &records)), scene);
        self.note_next_change(scene.settings.signal_lag);
        Some(answer)
    }

    /// States what the last revision of each incident left out.
    pub(super) fn last_word(&mut self, entity: &Entity, scene: &mut Scene<'_>) {
        self.each_with_signals(
            scene,
            |_| true,
            |incident, judgement, records, scene| {
                incident.last_word(entity, judgement, records, scene);
            },
        );
    }

    /// An open incident may resolve once its last event is quiet; everything else may be forgotten a lag later.
    fn note_next_change(&mut self, lag: Duration) {
        let incidents = self.incidents.iter().map(|incident| {
            let last = incident.last_event_time();
            if incident.awaits_quiet() { last } else { last.plus(lag) }
        });
        let loose =
            self.signals.iter().find(|(_, record)| record.incident.is_none()).map(|((time, _), _)| time.plus(lag));
        self.next_change = incidents.chain(loose).min().unwrap_or(Timestamp::MIN);
    }
}

/// The signals of the incident of this id, oldest first.
fn records_of<'a>(signals: &'a Signals, id: &str) -> Vec<&'a SignalRecord> {
    let own = signals.values().filter(|record| record.incident.as_deref() == Some(id));
    own.map(|record| &**record).collect()
}

/// Positions of the live incidents that these signals belong to, oldest first.
fn claims(incidents: &[Incident], records: &[&mut SignalRecord], taken: &[String]) -> Vec<usize> {
    let mut named: Vec<&str> = Vec::new();
    for record in records {
        if let Some(id) = record.incident.as_deref()
            && !named.contains(&id)
        {
            named.push(id);
        }
    }
    let claimed = |incident: &Incident| {
        incident.is_live() && named.contains(&incident.id.as_str()) && !taken.contains(&incident.id)
    };
    (0..incidents.len()).filter(|at| claimed(&incidents[*at])).collect()
}
