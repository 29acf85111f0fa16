//! `match → evaluate → correlate`: the deterministic core.
//!
//! One call of [`Core::step`] takes batches and control records in their order of arrival and returns everything that
//! follows from them. It never looks at a clock, draws no random number and lets no hash map's order reach an output:
//! the same inputs give the same bytes. Everything that must survive a crash is in the step's [`Commit`].

mod blast;
mod books;
mod dedup;
mod evidence;
mod identity;
mod past;
mod renaming;
mod segments;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use watershed_connectors::Partition;
use watershed_connectors::sources::Positions;
use watershed_rules::CompiledRule;
use watershed_schemas::{ColumnSet, EventBatch, Handled, IncidentRevision, Plane, Signal, StateTable, Timestamp};

use crate::acceptance::{self, Refused};
use crate::books::Books;
use crate::correlator::{self, Correlator, Telling};
use crate::evaluator::{self, Evaluator, Limits, Meter, Picked, Reload, RuleNews, RuleSetup, RuleStatus, Start, Tally};
use crate::exceptions::{Exception, Exceptions};
use crate::matcher::{Matched, Matcher, ScanId};
use crate::principals::{self, Aliases, Principals};
use crate::shelf::{ColdCounts, Shelf};
use crate::state::{self, StateTables};
use crate::store::Commit;
use crate::verify::{LateNames, Witness};
use crate::watermark::{PlaneTime, Snapshot, Watermarks};

use dedup::Dedup;
pub use evidence::Gathered;
pub(crate) use evidence::{MomentKey, bounded, key_of};
pub use identity::{Held, Shown, StateAt};
use past::Readers;
pub use past::{Backfill, Past};
use segments::Segments;
pub use segments::key as segment_key;

/// What the core is told once.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Time of each plane, by [`Plane::index`].
    pub times: [PlaneTime; 2],
    /// Which planes have a source at all.
    pub present: [bool; 2],
    /// How far ahead of its ingest time an event's own clock may be.
    pub skew: Duration,
    /// How much rules may hold and do.
    pub limits: Limits,
    /// Whether all state tables are kept, so that rules which come later find them, and not only those that rules read.
    pub all_state: bool,
    /// Whether what came before the first row is unseen (a log that is taken up in its middle) and not simply absent.
    pub cold: bool,
    /// How signals become incidents.
    pub incidents: correlator::Settings,
    /// How much is learned about principals.
    pub principals: principals::Limits,
}

impl Default for Settings {
    fn default() -> Self {
        let time =
            PlaneTime { out_of_orderness: Duration::from_secs(60), allowed_lateness: Duration::from_secs(15 * 60) };
        Settings {
            times: [time; 2],
            present: [true; 2],
            skew: Duration::from_secs(5 * 60),
            limits: Limits::default(),
            all_state: false,
            cold: false,
            incidents: correlator::Settings::default(),
            principals: principals::Limits::default(),
        }
    }
}

/// What arrived, in its order of arrival.
#[derive(Debug)]
pub enum Input {
    /// Rows of one partition.
    Rows {
        /// A number that refused rows give back: which raw batch this is.
        origin: usize,
        /// Where they come from.
        partition: Partition,
        /// The rows.
        batch: EventBatch,
    },
    /// A partition is read from now on.
    Assigned(Partition),
    /// A partition is read by somebody else from now on.
    Revoked(Partition),
    /// A partition had nothing older left at this time.
    CaughtUp(Partition, Timestamp),
    /// How far the log has been read: rules that come now may ask for what lies before.
    Log(Positions),
    /// Another set of rules takes the place of the present one.
    Rules(Reload),
    /// Another alias file takes the place of the present one.
    Aliases(Aliases),
    /// What the log said before a rule came into force.
    Past {
        /// The rule's id.
        rule: String,
        /// The ticket that it asked with.
        ticket: u64,
        /// What was read.
        past: Past,
    },
    /// From now on what these principals do is grouped by session: many people or jobs act through each of them.
    Shared(BTreeSet<String>),
    /// What a person said of an incident.
    Act {
        /// Its id.
        incident_id: String,
        /// What was said, by whom and when.
        handled: Handled,
    },
    /// A rule is to be stopped: the shell has measured that it takes too long.
    Stop {
        /// Its id.
        rule: String,
        /// Why, for a person.
        reason: String,
    },
    /// All inputs have ended.
    End,
}

/// What followed.
#[derive(Debug, Default)]
pub struct Output {
    /// What the rules found, corrected or took back.
    pub signals: Vec<Signal>,
    /// What it amounts to.
    pub incidents: Vec<IncidentRevision>,
    /// What teams must be told.
    pub tellings: Vec<Telling>,
    /// For case files, of each incident that was revised; nothing unless asked for.
    pub gathered: Vec<Gathered>,
    /// For each act, in order, the incident and the revision that it made, or why it made none.
    pub acted: Vec<(String, Result<u32, String>)>,
    /// Rows that did not become history.
    pub refused: Vec<Refused>,
    /// Rows seen, per plane.
    pub events: [u64; 2],
    /// Rows that some rule could use, per plane.
    pub matched: [u64; 2],
    /// Accepted rows behind their plane's watermark, per plane.
    pub late: [u64; 2],
    /// Rows that had been accepted before under the same id.
    pub duplicates: u64,
    /// Rules that came, changed, went, or were stopped.
    pub rules: Vec<RuleNews>,
}

/// The state between match and commit.
pub struct Core {
    settings: Settings,
    watermarks: Watermarks,
    /// The watermarks as they were before the current step: what they had closed stays closed.
    sealed: Watermarks,
    /// What the store knows of the watermarks: an idle stream writes nothing.
    stored_clock: Option<Snapshot>,
    matcher: Matcher,
    /// For each plane the columns that are remembered of its rows.
    kept: [ColumnSet; 2],
    evaluator: Evaluator,
    correlator: Correlator,
    dedup: Dedup,
    segments: Segments,
    /// What is known of identities.
    state: StateTables,
    principals: Principals,
    /// Rows of this step on their way to their scans: what it says of ids comes first.
    matched: Vec<(Arc<[ScanId]>, Picked)>,
    readers: Readers,
    /// What is known and allowed.
    exceptions: Exceptions,
    /// Inventory and lifecycle; none unless asked for.
    books: Option<Books>,
    /// What a reach and first moves are read from beside everything else.
    known: blast::Known,
    /// Kept only where somebody sees what becomes history.
    late_names: LateNames,
    /// Who sees what becomes history; nobody unless asked for.
    witness: Option<Box<dyn Witness>>,
    /// Whether somebody keeps case files.
    gathers: bool,
}

const CLOCK_KEY: &[u8] = b"m/watermarks";

/// First bytes of every key that [`Core::restore`] reads. What does not lie under one of them is not there after a restart.
pub const SPACES: [&[u8]; 11] = [b"m/", b"s/", b"e/", b"r/", b"u/", b"g/", b"i/", b"l/", b"p/", b"v/", b"y/"];

impl Core {
    /// A core that has seen nothing.
    pub fn new(settings: Settings, setups: Vec<RuleSetup>) -> Self {
        let rules: Vec<_> = setups.iter().map(|setup| Arc::clone(&setup.rule)).collect();
        let watermarks = Watermarks::new(settings.times, settings.present);
        let mut state = StateTables::new(settings.limits.identity_bytes);
        state.keep_for(&rules);
        if settings.all_state {
            StateTable::ALL.into_iter().for_each(|table| state.keep(table));
        }
        let mut incidents = settings.incidents;
        let principals = Principals::new(settings.principals);
        state.read_by(principals.names().clone());
        incidents.signal_lag = signal_lag(&settings, &setups);
        let mut correlator = Correlator::new(incidents, principals.names().clone());
        correlator.learn_rules(&setups);
        if settings.all_state {
            state.keep_back(incidents.signal_lag);
        }
        Core {
            settings,
            sealed: watermarks.clone(),
            stored_clock: None,
            watermarks,
            matcher: Matcher::new(&rules),
            kept: kept_columns(&rules),
            evaluator: Evaluator::new(setups, settings.limits, settings.cold),
            correlator,
            dedup: Dedup::default(),
            segments: Segments::called(principals.names().clone(), incidents.evidence_text),
            state,
            principals,
            matched: Vec::new(),
            readers: Readers::default(),
            exceptions: Exceptions::default(),
            books: None,
            known: blast::Known::default(),
            late_names: LateNames::default(),
            witness: None,
            gathers: false,
        }
    }

    /// From now on findings that one of these covers make no incident.
    pub fn except(&mut self, exceptions: Vec<Exception>) {
        self.exceptions = Exceptions::new(exceptions);
    }

    /// What is excepted, and how many findings were since the start.
    pub fn exceptions(&self) -> &Exceptions {
        &self.exceptions
    }

    /// From now on this one sees every row that becomes history.
    pub fn show_history_to(&mut self, witness: Box<dyn Witness>) {
        self.witness = Some(witness);
    }

    /// Takes inputs in and says everything that follows from them. Their order matters, how they are cut into steps
    /// does not change what is finally said.
    pub fn step(&mut self, inputs: Vec<Input>, commit: &mut Commit) -> Output {
        let mut output = Output::default();
        let mut ended = false;
        self.evaluator.begin_step(self.segments.bytes());
        if self.evaluator.is_backfilling() {
            // What was there before a restart is said before anything that comes after it.
            self.evaluate(commit, &mut output);
        }
        for input in inputs {
            match input {
                Input::Rows { origin, partition, batch } => self.take(origin, &partition, &batch, commit, &mut output),
                Input::Assigned(partition) => self.watermarks.add(&partition),
                Input::Revoked(partition) => self.watermarks.remove(&partition),
                Input::CaughtUp(partition, at) => self.watermarks.caught_up(&partition, at),
                Input::Log(positions) => self.evaluator.log_read_to(positions),
                Input::Rules(rules) => self.reload(rules, commit, &mut output),
                Input::Aliases(aliases) => self.principals.name(aliases, commit),
                Input::Past { rule, ticket, past } => {
                    self.place(commit);
                    self.take_past(&rule, ticket, past, commit);
                }
                Input::Shared(principals) => {
                    // What came before it is grouped as it was.
                    self.evaluate(commit, &mut output);
                    self.correlator.share(principals);
                }
                Input::Act { incident_id, handled } => self.act(incident_id, &handled, commit, &mut output),
                Input::Stop { rule, reason } => self.evaluator.stop(&rule, &reason),
                Input::End => ended = true,
            }
        }
        // Incidents age by what was heard, not by the end of the input: nobody has seen that it stays quiet.
        let heard = self.watermarks.clone();
        if ended {
            self.watermarks.finish();
        }
        self.evaluate(commit, &mut output);
        let correlated = self.correlator.correlate(&heard, commit);
        output.rules = self.evaluator.take_news();
        output.incidents.extend(correlated.revisions);
        output.tellings.extend(correlated.tellings);
        self.brief(&mut output.tellings);
        if ended {
            output.incidents.extend(self.correlator.finish(&heard, commit).revisions);
        }
        output.gathered = self.gather(&output.incidents);
        if !ended {
            self.evaluator.expire(&self.watermarks, commit);
            self.dedup.expire(&self.watermarks);
            // While nothing more may be kept, what nobody holds goes at once.
            if self.evaluator.is_full() {
                self.segments.sweep(commit);
            } else {
                self.segments.expire(commit);
            }
            self.segments.shelve(&self.watermarks);
            // A rule that is being given its past looks farther back than it will.
            if !self.evaluator.is_reading() {
                let rules = self.evaluator.setups().iter().map(|setup| setup.rule.as_ref());
                self.state.expire(rules, &self.watermarks, self.witness.as_mut());
            }
        }
        if let Some(witness) = self.witness.as_mut().filter(|_| ended) {
            self.state.show_rest(witness.as_mut());
        }
        self.state.persist(commit);
        if let Some(books) = &mut self.books {
            books.settle(&heard, commit);
        }
        self.sealed = self.watermarks.clone();
        // Not the end itself: should more be heard after a restart, it is history too.
        let clock = heard.snapshot();
        if self.stored_clock.as_ref() != Some(&clock) {
            if let Ok(value) = serde_json::to_vec(&clock) {
                commit.puts.push((CLOCK_KEY.to_vec(), value));
            }
            self.stored_clock = Some(clock);
        }
        output
    }

    /// Lets the rules speak about what has come so far.
    fn evaluate(&mut self, commit: &mut Commit, output: &mut Output) {
        self.place(commit);
        let changes = self.state.take_changes();
        let mut found = self.evaluator.evaluate(&self.sealed, &self.watermarks, (&self.state, &changes), commit);
        found.iter_mut().for_each(|found| self.exceptions.mark(&mut found.signal));
        self.correlator.add(&found, self.evaluator.setups(), commit);
        output.signals.extend(found.into_iter().map(|found| found.signal));
    }

    /// A person speaks of what has come so far.
    fn act(&mut self, incident_id: String, handled: &Handled, commit: &mut Commit, output: &mut Output) {
        self.evaluate(commit, output);
        let heard = self.watermarks.clone();
        let mut correlated = self.correlator.correlate(&heard, commit);
        let answer = self.correlator.act(&incident_id, handled, &heard, commit, &mut correlated);
        output.incidents.extend(correlated.revisions);
        output.tellings.extend(correlated.tellings);
        output.acted.push((incident_id, answer));
    }

    /// Takes up another set of rules: what came before it belongs to the old one.
    fn reload(&mut self, rules: Reload, commit: &mut Commit, output: &mut Output) {
        self.evaluate(commit, output);
        let columns = self.segments.columns();
        let known_since = self.state.known_since(&self.watermarks);
        let start = Start { watermarks: &self.watermarks, next_segment: self.segments.next(), columns, known_since };
        let fill = self.evaluator.reload(rules, &start, commit);
        let setups = self.evaluator.setups();
        let lag = signal_lag(&self.settings, setups);
        self.correlator.set_signal_lag(lag);
        self.correlator.learn_rules(setups);
        if self.settings.all_state {
            self.state.keep_back(lag);
        }
        let rules: Vec<_> = setups.iter().map(|setup| Arc::clone(&setup.rule)).collect();
        let filled: Vec<_> = fill.iter().map(|position| Arc::clone(&rules[*position])).collect();
        self.matcher = Matcher::new(&rules);
        self.kept = kept_columns(&rules);
        self.state.keep_for(&rules);
        self.readers.clear();
        if !fill.is_empty() {
            let mut matcher = Matcher::new(&filled);
            for segment in self.segments.live().iter().filter(|segment| segment.owner.is_none()) {
                let batch = match segment.batch() {
                    Ok(Some(batch)) => batch,
                    Ok(None) => continue,
                    Err(_) => {
                        fill.iter().for_each(|rule| self.evaluator.lose(*rule, segment));
                        continue;
                    }
                };
                for Matched { scans, rows } in matcher.find(&batch, None).scans {
                    let scans: Vec<ScanId> =
                        scans.iter().map(|scan| ScanId { rule: fill[scan.rule], ..*scan }).collect();
                    self.evaluator.add(&scans, Picked::new(segment, rows));
                }
            }
            self.evaluate(commit, output);
        }
        self.segments.sweep(commit);
    }

    /// From now on rows may leave memory for this shelf: beyond so many bytes of them those that are needed last, and where
    /// it costs nothing all that only late rows can join. What is found does not depend on it.
    pub fn keep_cold(&mut self, shelf: Box<dyn Shelf>, budget: usize) {
        self.segments.keep_cold(shelf, budget);
    }

    /// Bytes of remembered rows that only late rows can need: they may be on a shelf.
    pub fn late_bytes(&self) -> usize {
        self.segments.late_bytes(&self.watermarks)
    }

    /// Bytes of remembered rows in memory, and on the shelf.
    pub fn hot_and_cold_bytes(&self) -> [usize; 2] {
        self.segments.hot_and_cold()
    }

    /// What happened between memory and shelf.
    pub fn cold_counts(&self) -> ColdCounts {
        self.segments.cold_counts()
    }

    /// States that nobody keeps commits: what is only for them is left out where it costs.
    pub fn forget(&mut self) {
        self.segments.forget();
    }

    /// For each plane the columns that rows need to be accepted, matched and linked; the others only where they match.
    pub fn columns(&self) -> [ColumnSet; 2] {
        Plane::ALL.map(|plane| {
            let books = self.books.as_ref().map(|_| Books::columns(plane)).unwrap_or_default();
            let linked = self.correlator.columns(plane).with(Principals::columns(plane));
            self.matcher.columns(plane).with(linked).with(books).with(self.state.columns(plane))
        })
    }

    fn take(
        &mut self,
        origin: usize,
        partition: &Partition,
        batch: &EventBatch,
        commit: &mut Commit,
        output: &mut Output,
    ) {
        let whole;
        let batch = if batch.has(self.columns()[batch.plane.index()]) {
            batch
        } else {
            // Decoded for rules that have been replaced since.
            whole = self.whole(batch);
            &whole
        };
        let accepted = acceptance::accept(batch, partition, &mut self.watermarks, self.settings.skew);
        output.events[batch.plane.index()] += batch.rows.num_rows() as u64;
        output.late[batch.plane.index()] += accepted.late;
        output.refused.extend(accepted.refused.into_iter().map(|refused| Refused { origin, ..refused }));
        let accepted = accepted.rows;
        if let Some(witness) = &mut self.witness {
            witness.accepted(batch, accepted.as_deref(), &self.watermarks);
        }
        self.correlator.learn(batch, accepted.as_deref(), commit);
        self.state.take(batch, accepted.as_deref());
        self.known.hear(batch, accepted.as_deref(), commit);
        if let Some(books) = &mut self.books {
            books.learn(batch, accepted.as_deref(), commit);
        }
        self.principals.learn(batch, accepted.as_deref(), commit);
        let mut matches = self.matcher.find(batch, accepted.as_deref());
        output.duplicates += self.dedup.drop_known(batch, &mut matches);
        output.matched[batch.plane.index()] += matches.rows.len() as u64;
        if matches.rows.is_empty() {
            return;
        }
        let Some(segment) = self.segments.add(batch, &matches.rows, self.kept[batch.plane.index()], commit) else {
            return;
        };
        for Matched { scans, rows } in matches.scans {
            self.matched.push((scans, Picked::new(&segment, within(&matches.rows, &rows))));
        }
    }

    fn whole(&self, batch: &EventBatch) -> EventBatch {
        let all: Vec<u32> = (0..).take(batch.rows.num_rows()).collect();
        match batch.whole(&all) {
            Ok(rows) => EventBatch { rows, rest: None, ..batch.clone() },
            Err(_) => batch.clone(),
        }
    }

    /// How far the log had been read before a restart: rules that came while nothing ran may ask for what lies before. Comes
    /// before [`Core::restore`].
    pub fn log_read_to(&mut self, positions: Positions) {
        self.evaluator.log_read_to(positions);
    }

    /// Takes up what was durable before a restart. `stored` reads every pair under a prefix.
    pub fn restore(&mut self, stored: impl Fn(&[u8]) -> Vec<(Vec<u8>, Vec<u8>)>) {
        let clock = stored(CLOCK_KEY);
        let snapshot = clock.first().and_then(|(_, clock)| serde_json::from_slice(clock).ok());
        let history = snapshot.is_some();
        if let Some(snapshot) = snapshot {
            self.watermarks.restore(snapshot);
        }
        self.principals.restore(&stored(principals::PREFIX));
        self.segments.restore(&stored(segments::PREFIX), &stored(segments::NEXT_KEY));
        self.state.restore(&stored(state::STATE_PREFIX));
        self.state.read_by(self.principals.names().clone());
        let columns = self.segments.columns();
        let known_since = self.state.known_since(&self.watermarks);
        let start = Start { watermarks: &self.watermarks, next_segment: self.segments.next(), columns, known_since };
        self.evaluator.restore(&stored(evaluator::RULE_PREFIX), history, &start);
        self.evaluator.restore_signals(&stored(evaluator::SIGNAL_PREFIX), history);
        for segment in self.segments.live().to_vec() {
            if let Some(owner) = &segment.owner {
                self.restore_past(owner, &segment);
                continue;
            }
            let Ok(Some(batch)) = segment.batch() else { continue };
            let mut matches = self.matcher.find(&batch, None);
            self.dedup.drop_known(&batch, &mut matches);
            for Matched { scans, rows } in matches.scans {
                self.evaluator.add(&scans, Picked::new(&segment, rows));
            }
        }
        self.evaluator.resume(&stored(evaluator::SAID_PREFIX), &self.watermarks, &self.state);
        if let Some(books) = &mut self.books {
            books.restore(&stored);
        }
        self.known.restore(&stored);
        self.correlator.restore(stored);
        self.sealed = self.watermarks.clone();
    }

    /// What it was told once.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The watermarks now.
    pub fn watermarks(&self) -> &Watermarks {
        &self.watermarks
    }

    /// Which ids came to be called something else only after something was sealed; known where history is shown to somebody.
    pub fn late_names(&self) -> &LateNames {
        &self.late_names
    }

    /// What is known of principals.
    pub fn principals(&self) -> &Principals {
        &self.principals
    }

    /// The rules with their tuning.
    pub fn setups(&self) -> &[RuleSetup] {
        self.evaluator.setups()
    }

    /// What happened to rules and their state.
    pub fn tally(&self) -> Tally {
        self.evaluator.tally()
    }

    /// How each rule stands.
    pub fn statuses(&self) -> impl Iterator<Item = RuleStatus> {
        let shelved = self.segments.shelved();
        let statuses = self.evaluator.statuses(&self.watermarks).enumerate();
        statuses.map(|(rule, status)| RuleStatus { cold_bytes: self.evaluator.bytes_of(rule, shelved), ..status })
    }

    /// Bytes that all rules hold, what they share counted once.
    pub fn state_bytes(&self) -> usize {
        self.segments.bytes() + self.evaluator.own_bytes() + self.state.bytes()
    }

    /// How much is known of identities, of each state table that is kept.
    pub fn state_counts(&self) -> BTreeMap<StateTable, state::Counts> {
        self.state.counts()
    }

    /// Who is told which rule is being evaluated.
    pub fn set_meter(&mut self, meter: Box<dyn Meter>) {
        self.evaluator.set_meter(meter);
    }

    /// Rows remembered by each rule.
    pub fn rows(&self) -> impl Iterator<Item = (&str, usize)> {
        self.evaluator.rows()
    }

    /// Why each stopped rule stopped.
    pub fn quarantined(&self) -> impl Iterator<Item = (&str, &str)> {
        self.evaluator.quarantined()
    }

    /// Keys of each rule that were full at some time.
    pub fn degraded(&self) -> impl Iterator<Item = (&str, u64)> {
        self.evaluator.degraded()
    }

    /// How often an incident named a value that too many others named as well: it relates none of them.
    pub fn values_too_common(&self) -> u64 {
        self.correlator.too_common()
    }

    /// Incidents that are open now.
    pub fn open_incidents(&self) -> usize {
        self.correlator.open()
    }
}

/// Positions in a batch as positions among those of its rows that became a segment.
fn within(segment: &[u32], rows: &[u32]) -> Vec<u32> {
    let places = rows.iter().filter_map(|row| segment.binary_search(row).ok());
    places.filter_map(|place| u32::try_from(place).ok()).collect()
}

/// What rules read and incidents show.
fn kept_columns(rules: &[Arc<CompiledRule>]) -> [ColumnSet; 2] {
    Plane::ALL.map(|plane| evaluator::read_columns(plane, rules).with(correlator::copied_columns(plane)))
}

/// The longest that a signal's event time may lag behind the watermark when it is said.
fn signal_lag(settings: &Settings, setups: &[RuleSetup]) -> Duration {
    let lateness = settings.times.iter().map(|time| time.allowed_lateness).max().unwrap_or_default();
    let lookahead = setups
        .iter()
        .flat_map(|setup| Plane::ALL.map(|plane| setup.rule.lookahead[plane.index()]))
        .flatten()
        .max()
        .and_then(|micros| u64::try_from(micros).ok())
        .unwrap_or(0);
    lateness + Duration::from_micros(lookahead)
}
