//! `correlate`: what do the findings amount to?
//!
//! Signals of one entity (a principal, else a session) within one episode are one incident. What an incident says is a
//! function of the set of its signals; arriving signals revise it, and never repeat it.

mod acts;
mod briefs;
mod changes;
mod coverage;
mod entity;
mod episode;
mod evidence;
mod incident;
mod links;
mod news;
mod over;
mod record;
mod related;
mod settings;
mod shares;
mod standing;
mod telling;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use watershed_schemas::{ColumnSet, EventBatch, Handled, IncidentRevision, Mark, Plane, Timestamp};

use crate::evaluator::{Found, RuleSetup};
use crate::principals::{InForce, Renamed};
use crate::store::{Commit, Pairs};
use crate::watermark::Watermarks;

use briefs::Briefs;
use entity::{Entity, EntityState};
pub use evidence::Evidence;
pub(crate) use evidence::copied_columns;
use incident::{Incident, Scene};
use links::{Session, SessionLinks};
use over::Over;
pub use record::SignalRecord;
use record::{SIGNAL_PREFIX, finding_of, named, store_signal};
use related::Related;
pub use settings::Settings;
pub use telling::{TOLD_SIGNALS, Telling};

/// First bytes of the keys that hold incidents and their signals.
pub const PREFIXES: [&[u8]; 3] = [incident::PREFIX, SIGNAL_PREFIX, links::PREFIX];

/// What the findings of one step led to.
#[derive(Debug, Default)]
pub struct Correlated {
    /// Revisions of incidents, in the order in which they were made.
    pub revisions: Vec<IncidentRevision>,
    /// What must be told.
    pub tellings: Vec<Telling>,
}

/// Most signals whose events an entity remembers; later ones are counted without.
const EVIDENCED_SIGNALS: usize = 256;
/// Most events kept of one signal.
const EVIDENCE_PER_SIGNAL: usize = 8;

/// All open incidents and the signals that may still join them.
pub struct Correlator {
    settings: Settings,
    links: SessionLinks,
    /// What principals are called.
    names: InForce,
    entities: BTreeMap<Arc<Entity>, EntityState>,
    /// When each of them is to be looked at again, by event time.
    due: BTreeSet<(Timestamp, Arc<Entity>)>,
    /// Where each remembered signal is: its entity and time.
    places: HashMap<String, (Arc<Entity>, Timestamp)>,
    /// The signal that stands for each finding: another version of its rule takes it over.
    findings: HashMap<String, String>,
    /// Sessions with signals that name no principal, and where these are.
    nameless: BTreeMap<Session, Arc<Entity>>,
    /// Ids of principals that many share: what they do is grouped by session.
    shared: BTreeSet<String>,
    briefs: Briefs,
    related: Related,
    over: Over,
    /// Signals of incidents that only the journal knew, until they are read again.
    awaited: HashMap<String, String>,
    dirty: BTreeSet<Arc<Entity>>,
    /// Entities with signals that were only counted.
    absorbed: BTreeSet<Arc<Entity>>,
    opened: u64,
    /// Signals that were forgotten in the last step: case files still want to see them.
    leaving: BTreeMap<String, SignalRecord>,
}

impl Correlator {
    /// A correlator that knows nothing yet.
    pub fn new(settings: Settings, names: InForce) -> Self {
        Correlator {
            names,
            links: SessionLinks::new(settings.links_keep, settings.links_limit),
            settings,
            entities: BTreeMap::new(),
            due: BTreeSet::new(),
            places: HashMap::new(),
            findings: HashMap::new(),
            nameless: BTreeMap::new(),
            shared: BTreeSet::new(),
            briefs: Briefs::default(),
            related: Related::new(settings.gap, settings.related_limit),
            over: Over::default(),
            awaited: HashMap::new(),
            dirty: BTreeSet::new(),
            absorbed: BTreeSet::new(),
            opened: 0,
            leaving: BTreeMap::new(),
        }
    }

    /// The columns of every row that are looked at, whether a rule matches it or not.
    pub fn columns(&self, plane: Plane) -> ColumnSet {
        SessionLinks::columns(plane)
    }

    /// Takes up what rules say of themselves.
    pub fn learn_rules(&mut self, setups: &[RuleSetup]) {
        self.briefs.learn(setups);
    }

    /// From now on what these principals do is grouped by session: many people or jobs act through each. What came before
    /// stays where it is.
    pub fn share(&mut self, principals: BTreeSet<String>) {
        self.shared = principals;
    }

    /// What the principal of a signal is called, where many share it.
    fn shared_by_many(&self, record: &SignalRecord) -> Option<String> {
        if self.shared.is_empty() {
            return None;
        }
        let session_id = record.session_id.clone().unwrap_or_default();
        let session = Session { tenant: record.tenant.clone(), session_id };
        let principal = record.principal.as_deref().or_else(|| self.links.principal(&session))?;
        let names = self.names.read();
        let called = names.canonical(&record.tenant, principal);
        let is_it = |id: &String| id == principal || names.canonical(&record.tenant, id) == called;
        self.shared.iter().any(is_it).then(|| called.to_owned())
    }

    /// Learns which principals sessions belong to.
    pub fn learn(&mut self, batch: &EventBatch, accepted: Option<&[u32]>, commit: &mut Commit) {
        for session in self.links.learn(batch, accepted, commit) {
            self.rehome(&session, commit);
        }
    }

    /// Takes in what the rules found.
    pub fn add(&mut self, found: &[Found], setups: &[RuleSetup], commit: &mut Commit) {
        for found in found {
            if setups[found.rule].shadow {
                continue;
            }
            let mut record = self.record(found, &setups[found.rule]);
            let known = self.places.contains_key(&record.signal_id);
            let backfilled = found.signal.marks.contains(&Mark::Backfilled);
            // What was taken back, and is found again only in the past, opens nothing again.
            if backfilled && !found.signal.withdrawn && self.was_taken_back(&record) {
                continue;
            }
            // What is excepted counts no more than what was taken back: it may have been neither before.
            let excepted = found.signal.marks.contains(&Mark::Excepted);
            record.withdrawn |= excepted;
            let past = found.signal.withdrawn || backfilled || excepted;
            let taken_over = self.take_over(&mut record, past, commit);
            if past && !known && !taken_over {
                continue;
            }
            let at = (record.event_time, record.signal_id.clone());
            let entity = self.entities.get(&self.entity_of(&record));
            if entity.is_some_and(|state| state.signals.len() >= EVIDENCED_SIGNALS && !state.signals.contains_key(&at))
            {
                record.evidence.clear();
            }
            self.place(record, commit);
        }
    }

    /// Whether the signal, or what another version of the rule had said in its place, was withdrawn.
    fn was_taken_back(&self, record: &SignalRecord) -> bool {
        let known = self.findings.get(&record.finding).and_then(|before| {
            let (entity, time) = self.places.get(before)?;
            self.entities.get(entity)?.signals.get(&(*time, before.clone()))
        });
        known.is_some_and(|known| known.withdrawn)
    }

    /// Where another version of the rule had said the same, the signal takes its place in the incident, so that nobody is
    /// told twice: what it finds in the `past` is as grave as it was.
    fn take_over(&mut self, record: &mut SignalRecord, past: bool, commit: &mut Commit) -> bool {
        let Some(before) = self.findings.get(&record.finding).filter(|before| **before != record.signal_id) else {
            return false;
        };
        let before = before.clone();
        let Some((entity, time)) = self.places.remove(&before) else { return false };
        commit.deletes.push([SIGNAL_PREFIX, before.as_bytes()].concat());
        let Some(state) = self.entities.get_mut(&entity) else { return false };
        let Some(old) = state.signals.remove(&(time, before)) else { return false };
        record.incident = old.incident;
        record.apart = old.apart;
        if past {
            record.severity = record.severity.min(old.severity);
        }
        if record.evidence.is_empty() {
            record.evidence = old.evidence;
        }
        self.dirty.insert(entity);
        true
    }

    fn record(&self, found: &Found, setup: &RuleSetup) -> SignalRecord {
        let signal = &found.signal;
        let known = self
            .places
            .get(&signal.signal_id)
            .and_then(|(entity, time)| self.entities.get(entity)?.signals.get(&(*time, signal.signal_id.clone())));
        let (evidence, moved) = match known {
            Some(known) if signal.withdrawn => (known.evidence.clone(), known.moved),
            _ => {
                let evidence = found.evidence.iter().take(EVIDENCE_PER_SIGNAL);
                let evidence = evidence.filter_map(|row| Evidence::of(row, self.settings.evidence_text)).collect();
                let first = |plane: Plane| found.evidence.iter().find(|row| row.segment.table == plane.into());
                let moved = |plane| first(plane).map_or(signal.event_time, |row| row.segment.event_time(row.row));
                (evidence, Plane::ALL.map(moved))
            }
        };
        // Those who were told of it are not called again because the rule is graver now.
        let told = known.filter(|_| signal.marks.contains(&Mark::Backfilled)).map(|known| known.severity);
        let [agents, credentials] = match known {
            Some(known) if signal.withdrawn => [known.agents.clone(), known.credentials.clone()],
            _ => ["agent_id", "credential_id"].map(|column| named(&evidence, column)),
        };
        let mut record = SignalRecord {
            signal_id: signal.signal_id.clone(),
            rule: signal.rule.clone(),
            plane: signal.plane,
            severity: told.map_or(signal.severity, |told| told.min(signal.severity)),
            tenant: signal.tenant.clone(),
            principal: signal.principal.clone(),
            session_id: signal.session_id.clone(),
            event_time: signal.event_time,
            weights: setup.weights(),
            withdrawn: signal.withdrawn,
            marks: signal.marks.iter().copied().filter(|mark| *mark != Mark::Backfilled).collect(),
            finding: finding_of(signal),
            evidence,
            agents,
            credentials,
            apart: None,
            moved,
            incident: known.and_then(|known| known.incident.clone()),
        };
        record.apart = match known {
            Some(known) => known.apart.clone(),
            None => self.shared_by_many(&record),
        };
        record
    }

    /// Puts a signal where its entity is, away from where it was. An incident whose signals have all gone goes with them.
    fn place(&mut self, mut record: SignalRecord, commit: &mut Commit) {
        if record.incident.is_none() {
            record.incident = self.awaited.remove(&record.signal_id);
        }
        let entity = self.known_entity(&record);
        let known = self.places.contains_key(&record.signal_id);
        let mut orphan = None;
        if let Some((before, time)) = self.places.get(&record.signal_id).cloned()
            && (before != entity || time != record.event_time)
            && let Some(state) = self.entities.get_mut(&before)
        {
            state.signals.remove(&(time, record.signal_id.clone()));
            if before != entity {
                orphan = record.incident.as_deref().and_then(|id| state.take_orphan(id));
            }
            self.dirty.insert(before);
        }
        if let (None, Some(session_id)) = (&record.principal, &record.session_id) {
            let session = Session { tenant: record.tenant.clone(), session_id: session_id.clone() };
            self.nameless.insert(session, entity.clone());
        }
        let state = self.entities.entry(entity.clone()).or_default();
        state.incidents.extend(orphan.map(|orphan| orphan.adopted(&entity, commit)));
        if known || !state.absorbs(&mut record, &self.settings) {
            self.dirty.insert(entity.clone());
        } else {
            self.absorbed.insert(entity.clone());
        }
        self.places.insert(record.signal_id.clone(), (entity, record.event_time));
        self.findings.insert(record.finding.clone(), record.signal_id.clone());
        store_signal(&record, commit);
        state.signals.insert((record.event_time, record.signal_id.clone()), Box::new(record));
    }

    /// Moves the signals of principals that are called something else now.
    pub fn rename(&mut self, renamed: &[Renamed], commit: &mut Commit) {
        let before = renamed.iter().map(|renamed| (&renamed.tenant, &renamed.before));
        let entities = before.map(|(tenant, principal)| Entity::Principal {
            tenant: tenant.to_string(),
            principal: principal.to_string(),
        });
        for entity in entities.collect::<BTreeSet<_>>() {
            let Some(state) = self.entities.get(&entity) else { continue };
            let moves = |record: &&SignalRecord| self.entity_of(record) != entity;
            let records = state.signals.values().map(|record| &**record);
            let moving: Vec<SignalRecord> = records.filter(moves).cloned().collect();
            for record in moving {
                self.place(record, commit);
            }
        }
    }

    fn entity_of(&self, record: &SignalRecord) -> Entity {
        Entity::of(record, &self.links, &self.names.read())
    }

    /// The same, where it is known by the one that is known.
    fn known_entity(&self, record: &SignalRecord) -> Arc<Entity> {
        let entity = self.entity_of(record);
        match self.entities.get_key_value(&entity) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::new(entity),
        }
    }

    /// Moves the signals of a session to the principal now known.
    fn rehome(&mut self, session: &Session, commit: &mut Commit) {
        let Some(state) = self.nameless.get(session).and_then(|entity| self.entities.get(entity)) else { return };
        let records = state.signals.values().map(|record| &**record);
        let moving: Vec<SignalRecord> = records.filter(|record| session.has_nameless(record)).cloned().collect();
        for mut record in moving {
            record.apart = self.shared_by_many(&record);
            self.place(record, commit);
        }
    }

    /// Brings the incidents of every changed entity up to date, resolves the quiet ones and forgets the old ones.
    pub fn correlate(&mut self, watermarks: &Watermarks, commit: &mut Commit) -> Correlated {
        let mut correlated = Correlated::default();
        self.leaving.clear();
        for entity in std::mem::take(&mut self.absorbed) {
            if let Some(state) = self.entities.get(&entity) {
                state.refresh(&entity, &mut self.related);
            }
        }
        for entity in std::mem::take(&mut self.dirty) {
            self.within(&entity, watermarks, commit, &mut correlated, |state, scene| state.settle(&entity, scene));
        }
        self.relate(watermarks, commit, &mut correlated);
        self.age(watermarks, commit, &mut correlated);
        self.links.sweep(watermarks.low(), commit);
        correlated
    }

    /// Does something to the signals and incidents of one entity.
    fn within<T>(
        &mut self,
        entity: &Arc<Entity>,
        watermarks: &Watermarks,
        commit: &mut Commit,
        correlated: &mut Correlated,
        act: impl FnOnce(&mut EntityState, &mut Scene<'_>) -> T,
    ) -> Option<T> {
        let state = self.entities.get_mut(entity)?;
        let mut scene = Scene {
            settings: &self.settings,
            watermarks,
            briefs: &self.briefs,
            related: &mut self.related,
            opened: &mut self.opened,
            commit,
            correlated,
        };
        let before = state.next_change;
        let done = act(state, &mut scene);
        if state.next_change != before {
            self.due.remove(&(before, Arc::clone(entity)));
        }
        self.due.insert((state.next_change, Arc::clone(entity)));
        Some(done)
    }

    /// Where a revised incident is related to another one, the newer of the two says so.
    fn relate(&mut self, watermarks: &Watermarks, commit: &mut Commit, correlated: &mut Correlated) {
        let revised: BTreeSet<&String> = correlated.revisions.iter().map(|revision| &revision.incident_id).collect();
        let newer: BTreeSet<String> = revised.into_iter().flat_map(|id| self.related.newer(id)).collect();
        for id in newer {
            let known = self.related.entity(&id).and_then(|entity| self.entities.get_key_value(entity));
            let Some(entity) = known.map(|(entity, _)| Arc::clone(entity)) else { continue };
            self.within(&entity, watermarks, commit, correlated, |state, scene| state.relate(&id, &entity, scene));
        }
    }

    /// What a person said of an incident: the revision that it made, or why it made none.
    pub fn act(
        &mut self,
        incident_id: &str,
        handled: &Handled,
        watermarks: &Watermarks,
        commit: &mut Commit,
        correlated: &mut Correlated,
    ) -> Result<u32, String> {
        let here = |state: &EntityState| state.incidents.iter().any(|incident| incident.id == incident_id);
        let entity = self.entities.iter().find(|(_, state)| here(state)).map(|(entity, _)| Arc::clone(entity));
        if let Some(entity) = entity {
            let act = |state: &mut EntityState, scene: &mut Scene<'_>| state.act(incident_id, &entity, handled, scene);
            if let Some(Some(answer)) = self.within(&entity, watermarks, commit, correlated, act) {
                return answer;
            }
        }
        let Some((entity, incident)) = self.over.get_mut(incident_id) else {
            let days = self.settings.over_keep.as_secs() / 86_400;
            let shown: String = incident_id.chars().take(64).collect();
            return Err(format!(
                "no incident `{shown}` is known; those are whose last event is not older than {days} days"
            ));
        };
        let mut scene = Scene {
            settings: &self.settings,
            watermarks,
            briefs: &self.briefs,
            related: &mut self.related,
            opened: &mut self.opened,
            commit,
            correlated,
        };
        incident.act(entity, handled, None, &mut scene)
    }

    fn age(&mut self, watermarks: &Watermarks, commit: &mut Commit, correlated: &mut Correlated) {
        let low = watermarks.low();
        if low == Timestamp::MIN || low == Timestamp::MAX {
            return;
        }
        let quiet = low.minus(self.settings.gap);
        let over = quiet.minus(self.settings.signal_lag);
        let mut due = BTreeSet::new();
        while let Some((at, _)) = self.due.first()
            && *at < quiet
        {
            due.extend(self.due.pop_first().map(|(_, entity)| entity));
        }
        for entity in due {
            let Some(state) = self.entities.get_mut(&entity) else { continue };
            let mut scene = Scene {
                settings: &self.settings,
                watermarks,
                briefs: &self.briefs,
                related: &mut self.related,
                opened: &mut self.opened,
                commit,
                correlated,
            };
            state.resolve(&entity, quiet, &mut scene);
            let (forgotten, ended) = state.forget(&entity, over, &mut scene);
            for incident in ended {
                self.over.take(&entity, incident, commit);
            }
            for record in forgotten {
                self.places.remove(&record.signal_id);
                if self.findings.get(&record.finding) == Some(&record.signal_id) {
                    self.findings.remove(&record.finding);
                }
                if let (None, Some(session_id)) = (&record.principal, &record.session_id) {
                    let session = Session { tenant: record.tenant.clone(), session_id: session_id.clone() };
                    if !state.signals.values().any(|left| session.has_nameless(left)) {
                        self.nameless.remove(&session);
                    }
                }
                self.leaving.insert(record.signal_id.clone(), record);
            }
            if state.is_empty() {
                self.entities.remove(&entity);
            } else {
                self.due.insert((state.next_change, entity));
            }
        }
        self.related.forget(low.minus(self.settings.related_within()));
        self.over.forget(low.minus(self.settings.over_keep), self.settings.over_limit, commit);
    }

    /// All inputs have ended: states the last word on every incident that is still remembered.
    pub fn finish(&mut self, watermarks: &Watermarks, commit: &mut Commit) -> Correlated {
        let mut correlated = Correlated::default();
        for (entity, state) in &mut self.entities {
            let mut scene = Scene {
                settings: &self.settings,
                watermarks,
                briefs: &self.briefs,
                related: &mut self.related,
                opened: &mut self.opened,
                commit,
                correlated: &mut correlated,
            };
            state.last_word(entity, &mut scene);
        }
        correlated
    }

    /// The longest that a signal may lag behind the watermark, under another set of rules.
    pub fn set_signal_lag(&mut self, lag: Duration) {
        self.settings.signal_lag = lag;
    }

    /// How often an incident named a credential, session or agent that too many others named as well, so that it relates
    /// none of them.
    pub fn too_common(&self) -> u64 {
        self.related.too_common
    }

    /// Incidents that are open now.
    pub fn open(&self) -> usize {
        self.entities.values().map(|state| state.incidents.iter().filter(|incident| incident.is_open()).count()).sum()
    }

    /// Takes up what was durable before a restart.
    pub fn restore(&mut self, stored: impl Fn(&[u8]) -> Vec<(Vec<u8>, Vec<u8>)>) {
        self.links.restore(&stored(links::PREFIX));
        for (_, value) in stored(SIGNAL_PREFIX) {
            let Ok(record) = serde_json::from_slice::<SignalRecord>(&value) else { continue };
            self.place(record, &mut Commit::default());
        }
        for (key, value) in stored(incident::PREFIX) {
            let Ok((entity, incident)) = serde_json::from_slice::<(Entity, Incident)>(&value) else { continue };
            self.opened = self.opened.max(incident.opened + 1);
            if let Some(shares) = incident.shared.as_ref().filter(|_| key.starts_with(over::PREFIX)) {
                let last = incident.last_event_time();
                if incident.has_verdict() {
                    self.related.put(&incident.id, &entity, incident.opened, last, shares);
                }
                self.over.restore(entity, incident);
                continue;
            }
            let mut incident = incident;
            incident.shared = None;
            if let Some(last) = incident.last.as_ref().filter(|_| incident.is_live()) {
                let has_signals = self.entities.get(&entity).is_some_and(|state| {
                    state.signals.values().any(|record| record.incident.as_ref() == Some(&incident.id))
                });
                incident.awaits_signals |= !has_signals && !last.signals.is_empty();
                if incident.awaits_signals {
                    let missing = last.signals.iter().filter(|id| !self.places.contains_key(*id));
                    self.awaited.extend(missing.map(|id| (id.clone(), incident.id.clone())));
                }
            }
            self.entities.entry(Arc::new(entity)).or_default().incidents.push(incident);
        }
        // Settled again, they say nothing new, but know when they last heard of each.
        self.dirty = self.entities.keys().cloned().collect();
    }
}

/// What a journal knows of incidents, where nothing else is known: also those that no evidence could join any more wait for
/// the log to bring their signals again, so that these do not open them anew.
pub fn awaiting(journal: Pairs) -> Pairs {
    let again = |(key, value): (Vec<u8>, Vec<u8>)| match key.strip_prefix(over::PREFIX) {
        Some(id) => ([incident::PREFIX, id].concat(), value),
        None => (key, value),
    };
    journal.into_iter().map(again).collect()
}
