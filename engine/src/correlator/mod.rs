//! `correlate`: what do the findings amount to?
//!
//! Signals of one entity (a principal, else a session) within one episode are one incident. What an incident says is a
//! function of the set of its signals; arriving signals revise it, and never repeat it.

mod entity;
mod episode;
mod evidence;
mod incident;
mod links;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use watershed_schemas::{
    BlastRadius, ColumnSet, EventBatch, FirstMove, IncidentRevision, Mark, NotifyReason, Plane, PlaneScores, RulePlane,
    Severity, Signal, Timestamp,
};

use crate::evaluator::{Found, RuleSetup};
use crate::principals::{InForce, Renamed};
use crate::store::Commit;
use crate::watermark::Watermarks;

use entity::{Entity, EntityState};
pub use evidence::Evidence;
pub(crate) use evidence::copied_columns;
use incident::Incident;
use links::{Session, SessionLinks};

/// First bytes of the keys that hold incidents and their signals.
pub const PREFIXES: [&[u8]; 3] = [incident::PREFIX, SIGNAL_PREFIX, links::PREFIX];

const SIGNAL_PREFIX: &[u8] = b"g/";

/// How signals become incidents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Quiet time that ends an episode.
    pub gap: Duration,
    /// Longest episode; what follows is a linked continuation.
    pub max_duration: Duration,
    /// Score at which a plane is in the verdict.
    pub threshold: f64,
    /// Clocks of two planes that differ by less say nothing about who moved first.
    pub clock_skew: Duration,
    /// A plane whose newest row is older than the incident by more than this counts as silent.
    pub silence_after: Duration,
    /// How long after it was last seen the principal of a session is remembered.
    pub links_keep: Duration,
    /// How many sessions' principals are remembered.
    pub links_limit: usize,
    /// Longest time that a signal may lag behind the watermark: lateness plus the rules' look-ahead.
    pub signal_lag: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            gap: Duration::from_secs(30 * 60),
            max_duration: Duration::from_secs(12 * 3_600),
            threshold: 1.0,
            clock_skew: Duration::from_secs(30),
            silence_after: Duration::from_secs(15 * 60),
            links_keep: Duration::from_secs(24 * 3_600),
            links_limit: 1_000_000,
            signal_lag: Duration::from_secs(15 * 60),
        }
    }
}

/// A signal as an incident remembers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalRecord {
    /// Its id.
    pub signal_id: String,
    /// Its rule.
    pub rule: String,
    /// Whose finding it is.
    pub plane: RulePlane,
    /// How bad it is.
    pub severity: Severity,
    /// The organisation.
    pub tenant: String,
    /// The identity that the rule named.
    pub principal: Option<String>,
    /// The session that the rule named.
    pub session_id: Option<String>,
    /// When it happened.
    pub event_time: Timestamp,
    /// How much it counts.
    pub weights: PlaneScores,
    /// Whether it was taken back.
    pub withdrawn: bool,
    /// What was not whole behind it.
    #[serde(default)]
    pub marks: BTreeSet<Mark>,
    /// Hash of rule, tenant and key: the same in every version of the rule.
    #[serde(default)]
    pub finding: String,
    /// The events behind it, oldest first, bounded.
    pub evidence: Vec<Evidence>,
    /// When each plane moved: the first event of that plane behind it, else the signal itself.
    moved: [Timestamp; 2],
    /// The incident that it belongs to.
    incident: Option<String>,
}

/// Something that a plane's team must be told about an incident.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Telling {
    /// The revision that it is about.
    pub incident: IncidentRevision,
    /// Whose team.
    pub plane: Plane,
    /// Why.
    pub reason: NotifyReason,
    /// The standing signals of the incident, oldest first, bounded.
    pub signals: Vec<SignalRecord>,
    /// How far the incident reaches, where it is known.
    pub blast_radius: Option<BlastRadius>,
    /// What to do first, on both planes, in the order that the origin demands.
    pub first_moves: Vec<FirstMove>,
}

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
    entities: BTreeMap<Entity, EntityState>,
    /// Where each remembered signal is: its entity and time.
    places: HashMap<String, (Entity, Timestamp)>,
    /// The signal that stands for each finding: another version of its rule takes it over.
    findings: HashMap<String, String>,
    /// Sessions with signals that name no principal, and where these are.
    nameless: BTreeMap<Session, Entity>,
    dirty: BTreeSet<Entity>,
    opened: u64,
    /// The least `next_change` of all entities.
    next_change: Timestamp,
}

impl Correlator {
    /// A correlator that knows nothing yet.
    pub fn new(settings: Settings, names: InForce) -> Self {
        Correlator {
            names,
            links: SessionLinks::new(settings.links_keep, settings.links_limit),
            settings,
            entities: BTreeMap::new(),
            places: HashMap::new(),
            findings: HashMap::new(),
            nameless: BTreeMap::new(),
            dirty: BTreeSet::new(),
            opened: 0,
            next_change: Timestamp::MIN,
        }
    }

    /// The columns of every row that are looked at, whether a rule matches it or not.
    pub fn columns(&self, plane: Plane) -> ColumnSet {
        SessionLinks::columns(plane)
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
            let past = found.signal.withdrawn || backfilled;
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
                let evidence = found.evidence.iter().take(EVIDENCE_PER_SIGNAL).filter_map(Evidence::of).collect();
                let first = |plane: Plane| found.evidence.iter().find(|row| row.segment.table == plane.into());
                let moved = |plane| first(plane).map_or(signal.event_time, |row| row.segment.event_time(row.row));
                (evidence, Plane::ALL.map(moved))
            }
        };
        // Those who were told of it are not called again because the rule is graver now.
        let told = known.filter(|_| signal.marks.contains(&Mark::Backfilled)).map(|known| known.severity);
        SignalRecord {
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
            moved,
            incident: known.and_then(|known| known.incident.clone()),
        }
    }

    /// Puts a signal where its entity is, away from where it was. An incident whose signals have all gone goes with them.
    fn place(&mut self, mut record: SignalRecord, commit: &mut Commit) {
        let entity = self.entity_of(&record);
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
        }
        self.places.insert(record.signal_id.clone(), (entity, record.event_time));
        self.findings.insert(record.finding.clone(), record.signal_id.clone());
        store_signal(&record, commit);
        state.signals.insert((record.event_time, record.signal_id.clone()), record);
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
            let moving: Vec<SignalRecord> = state.signals.values().filter(moves).cloned().collect();
            for record in moving {
                self.place(record, commit);
            }
        }
    }

    fn entity_of(&self, record: &SignalRecord) -> Entity {
        Entity::of(record, &self.links, &self.names.read())
    }

    /// Moves the signals of a session to the principal now known.
    fn rehome(&mut self, session: &Session, commit: &mut Commit) {
        let Some(state) = self.nameless.get(session).and_then(|entity| self.entities.get(entity)) else { return };
        let moving: Vec<SignalRecord> =
            state.signals.values().filter(|record| session.has_nameless(record)).cloned().collect();
        for record in moving {
            self.place(record, commit);
        }
    }

    /// Brings the incidents of every changed entity up to date, resolves the quiet ones and forgets the old ones.
    pub fn correlate(&mut self, watermarks: &Watermarks, commit: &mut Commit) -> Correlated {
        let mut correlated = Correlated::default();
        for entity in std::mem::take(&mut self.dirty) {
            if let Some(state) = self.entities.get_mut(&entity) {
                let mut scene = incident::Scene {
                    settings: &self.settings,
                    watermarks,
                    opened: &mut self.opened,
                    commit,
                    correlated: &mut correlated,
                };
                state.settle(&entity, &mut scene);
                self.next_change = self.next_change.min(state.next_change);
            }
        }
        self.age(watermarks, commit, &mut correlated);
        self.links.sweep(watermarks.low(), commit);
        correlated
    }

    fn age(&mut self, watermarks: &Watermarks, commit: &mut Commit, correlated: &mut Correlated) {
        let low = watermarks.low();
        if low == Timestamp::MIN || low == Timestamp::MAX {
            return;
        }
        let quiet = low.minus(self.settings.gap);
        if self.next_change >= quiet {
            return;
        }
        let over = quiet.minus(self.settings.signal_lag);
        let mut next_change = Timestamp::MAX;
        let mut empty = Vec::new();
        for (entity, state) in &mut self.entities {
            if state.next_change >= quiet {
                next_change = next_change.min(state.next_change);
                continue;
            }
            let mut scene =
                incident::Scene { settings: &self.settings, watermarks, opened: &mut self.opened, commit, correlated };
            state.resolve(entity, quiet, &mut scene);
            for record in state.forget(entity, over, &mut scene) {
                self.places.remove(&record.signal_id);
                if self.findings.get(&record.finding) == Some(&record.signal_id) {
                    self.findings.remove(&record.finding);
                }
                if let (None, Some(session_id)) = (record.principal, record.session_id) {
                    let session = Session { tenant: record.tenant, session_id };
                    if !state.signals.values().any(|left| session.has_nameless(left)) {
                        self.nameless.remove(&session);
                    }
                }
            }
            if state.is_empty() {
                empty.push(entity.clone());
            } else {
                next_change = next_change.min(state.next_change);
            }
        }
        for entity in empty {
            self.entities.remove(&entity);
        }
        self.next_change = next_change;
    }

    /// All inputs have ended: states the last word on every incident that is still remembered.
    pub fn finish(&mut self, watermarks: &Watermarks, commit: &mut Commit) -> Correlated {
        let mut correlated = Correlated::default();
        for (entity, state) in &mut self.entities {
            let mut scene = incident::Scene {
                settings: &self.settings,
                watermarks,
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
        for (_, value) in stored(incident::PREFIX) {
            let Ok((entity, incident)) = serde_json::from_slice::<(Entity, Incident)>(&value) else { continue };
            self.opened = self.opened.max(incident.opened + 1);
            self.entities.entry(entity).or_default().incidents.push(incident);
        }
        // Settled again, they say nothing new, but know when they last heard of each.
        self.dirty = self.entities.keys().cloned().collect();
    }
}

/// Hash of rule, tenant and key values.
fn finding_of(signal: &Signal) -> String {
    let mut hash = Sha256::new();
    let key = serde_json::to_string(&signal.key).unwrap_or_default();
    for part in [&signal.rule, &signal.tenant, &key] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn store_signal(record: &SignalRecord, commit: &mut Commit) {
    commit.put(|| [SIGNAL_PREFIX, record.signal_id.as_bytes()].concat(), record);
}
