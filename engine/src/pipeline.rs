//! The way of an event: `poll → decode → match → evaluate → correlate → commit → deliver`.
//!
//! [`Pipeline::turn`] takes it once. Intake, store, dead letters and delivery are handed in; `replay` leaves out what it
//! does not need, and is otherwise the same program as `run`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use watershed_connectors::Partition;
use watershed_connectors::dlq::{DeadLetter, DeadLetters};
use watershed_connectors::formats::Registry;
use watershed_connectors::sources::{Positions, SourceError};
use watershed_rules::ReferenceTables;
use watershed_schemas::{Handled, IncidentRevision, Notification, Plane, Signal, Timestamp};

use crate::acceptance::Refusal;
use crate::backfill::Backfiller;
use crate::cases::{Cases, Erased};
use crate::core::{self, Backfill, Core, Input, Output, Past};
use crate::correlator;
use crate::crash;
use crate::deliver::Delivery;
use crate::evaluator::{Meter, Reload, RuleNews, Wanted};
use crate::intake::{Intake, Polled};
use crate::journal::{self, Journal};
use crate::outbox::{self, OutboxRow};
use crate::principals::Aliases;
use crate::router::{self, HeldBack, Router};
use crate::store::{self, Commit, StateStore};

mod notify;

const POSITIONS_KEY: &[u8] = b"m/positions";

/// What went wrong in the pipeline: a person is needed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source can't be read any more.
    #[error("the source stopped: {0}")]
    Source(#[from] SourceError),
    /// The store can't be written any more.
    #[error("the store stopped: {0}")]
    Store(#[from] store::Error),
    /// A notification can't be written down, and nobody may go untold.
    #[error("notification {id} can't be put in the outbox: {reason}")]
    Outbox {
        /// Its id.
        id: String,
        /// What happened.
        reason: serde_json::Error,
    },
    /// The journal can't be written any more, so that a lost store would forget what people did.
    #[error("the journal stopped: {0}; free its disk, or give `store.path` another one")]
    Journal(std::io::Error),
    /// The positions of the source can't be written down.
    #[error("the positions of the source can't be stored: {0}")]
    Positions(serde_json::Error),
    /// Delivery can't go on.
    #[error("delivery stopped: {0}")]
    Delivery(String),
    /// A record could not be put where rejected records go, and nothing may be lost.
    #[error("{output} can't be written: {reason}")]
    DeadLetters {
        /// `dlq` or `late`.
        output: &'static str,
        /// What happened.
        reason: String,
    },
}

/// The parts of a pipeline beside its intake and core.
#[derive(Default)]
pub struct Parts {
    /// Where checkpoints go; without one nothing survives the process.
    pub store: Option<Arc<dyn StateStore>>,
    /// What is kept beside the store, with what it said when it was opened.
    pub journal: Option<(Journal, journal::Said)>,
    /// Who is told what; without one nobody is told anything.
    pub router: Option<Router>,
    /// Who carries it there; without one notifications are only returned.
    pub delivery: Option<Delivery>,
    /// Where records go that can't be decoded.
    pub dlq: Option<Box<dyn DeadLetters>>,
    /// Where rows go that come too late or from the future.
    pub late: Option<Box<dyn DeadLetters>>,
    /// What is kept of incidents for those who open them; without it nothing.
    pub cases: Option<Cases>,
    /// Who reads the log again for rules that want their past; without one they warm.
    pub backfiller: Option<Backfiller>,
    /// Longest time between two commits while nothing must be told.
    pub commit_interval: Duration,
    /// The time by which messages wait, are silenced and escalate. Without one it is the newest event time that was heard.
    pub clock: Option<Box<dyn Fn() -> Timestamp + Send>>,
}

/// What one turn did.
#[derive(Debug, Default)]
pub struct Turn {
    /// Signals, in the order of event time.
    pub signals: Vec<Signal>,
    /// Revisions of incidents.
    pub incidents: Vec<IncidentRevision>,
    /// Messages that are now durable and on their way.
    pub notifications: Vec<Notification>,
    /// Halves of incidents that receivers are not called about from this turn on, by incident.
    pub held_back: Vec<(String, HeldBack)>,
    /// For each act, in order, the incident and the revision that it made, or why it made none. What it made is durable.
    pub acted: Vec<(String, Result<u32, String>)>,
    /// Rules that came, changed, went, or were stopped.
    pub rules: Vec<RuleNews>,
    /// Rows, matched rows, refused rows and the like.
    pub counts: Counts,
    /// Whether all inputs have ended.
    pub ended: bool,
    /// Whether intake is paused because receivers don't keep up.
    pub paused: bool,
}

/// Counters of one turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows decoded, per plane.
    pub events: [u64; 2],
    /// Rows that some rule could use, per plane.
    pub matched: [u64; 2],
    /// Records or parts of records that could not be decoded, per plane.
    pub rejected: [u64; 2],
    /// Rows refused as too late, per plane.
    pub late: [u64; 2],
    /// Rows behind the watermark that were accepted, per plane.
    pub accepted_late: [u64; 2],
    /// Rows quarantined as coming from the future, per plane.
    pub quarantined: [u64; 2],
    /// Rows accepted before under the same id.
    pub duplicates: u64,
    /// Tellings that only the fallback receiver took, or nobody.
    pub unrouted: u64,
    /// Halves of incidents that nobody was called about: by a silence, by a mute interval, by a graver incident.
    pub held_back: [u64; 3],
    /// Messages that said something again.
    pub repeated: u64,
    /// Receivers who were told because nobody had acted.
    pub escalated: u64,
    /// How long match, evaluate and correlate took.
    pub step: Duration,
    /// How long the commit took; absent where there was none.
    pub commit: Option<Duration>,
}

/// A source, the core, and everything that follows.
pub struct Pipeline {
    intake: Intake,
    core: Core,
    parts: Parts,
    /// What changed since the last commit.
    pending: Commit,
    /// Messages that become durable with the next commit.
    queued: Vec<OutboxRow>,
    next_seq: u64,
    committed: Instant,
    paused: bool,
    /// What the shell wants of the core in the next turn, before what is polled.
    asked: Vec<Input>,
    /// Principals that the configuration says are shared.
    shared: BTreeSet<String>,
}

impl Pipeline {
    /// Sets up a pipeline where the store left off.
    pub fn resume(mut intake: Intake, mut core: Core, mut parts: Parts) -> Result<Self, Error> {
        if parts.cases.is_some() {
            core.gather_evidence();
        }
        let mut next_seq = 0;
        let mut pending = Commit::default();
        if let Some(store) = &parts.store {
            let mut stored = load(store.as_ref())?;
            if let Some((journal, said)) = &mut parts.journal {
                // Every commit writes positions: without them this store has never taken part.
                if !stored.contains_key(POSITIONS_KEY) {
                    let pairs = correlator::awaiting(std::mem::take(&mut said.pairs));
                    pending.puts.extend(pairs.iter().cloned());
                    stored.extend(pairs);
                }
                let pairs = stored.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
                journal.rewrite(pairs).map_err(Error::Journal)?;
            }
            let under = |prefix: &[u8]| -> Vec<(Vec<u8>, Vec<u8>)> {
                let from = stored.range(prefix.to_vec()..);
                from.take_while(|(key, _)| key.starts_with(prefix))
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect()
            };
            let positions: Positions = under(POSITIONS_KEY)
                .first()
                .and_then(|(_, value)| serde_json::from_slice::<Vec<(Partition, i64)>>(value).ok())
                .unwrap_or_default()
                .into_iter()
                .collect();
            if parts.backfiller.is_some() {
                core.log_read_to(positions.clone());
            }
            core.restore(under);
            if let Some(router) = &mut parts.router {
                router.restore(&under(router::PREFIX));
            }
            intake.resume_from(&positions)?;
            next_seq = under(SEQ_KEY).first().and_then(|(_, value)| serde_json::from_slice(value).ok()).unwrap_or(0);
        } else {
            core.forget();
            pending = Commit::unkept();
        }
        Ok(Pipeline {
            intake,
            core,
            parts,
            pending,
            queued: Vec::new(),
            next_seq,
            committed: Instant::now(),
            paused: false,
            asked: Vec::new(),
            shared: BTreeSet::new(),
        })
    }

    /// Takes in what has arrived, waiting at most `wait` for it, and everything that follows from it.
    pub fn turn(&mut self, wait: Duration) -> Result<Turn, Error> {
        let mut turn = Turn { paused: self.hold_back()?, ..Turn::default() };

        self.intake.read_columns(self.core.columns());
        let polled = self.intake.poll(wait)?;
        self.write_rejects(&polled, &mut turn.counts)?;
        turn.ended = polled.ended;
        let mut inputs = std::mem::take(&mut self.asked);
        let must_commit = polled.revoked || polled.ended || !inputs.is_empty();
        inputs.extend(self.read_again());
        inputs.extend(polled.inputs);

        let started = Instant::now();
        let output = self.core.step(inputs, &mut self.pending);
        turn.counts.step = started.elapsed();
        self.write_refused(&output, &mut turn.counts)?;

        let fresh = self.notify(&output.tellings, &mut turn)?;
        let times = [self.now(), self.heard()];
        if let Some(cases) = &mut self.parts.cases {
            cases.take(&output, &fresh, &turn.held_back, times, &mut self.pending)?;
        }
        crash::point("before_commit");
        let due = self.committed.elapsed() >= self.parts.commit_interval && self.has_news();
        if must_commit || !fresh.is_empty() || due {
            let started = Instant::now();
            self.commit()?;
            turn.counts.commit = Some(started.elapsed());
        }
        turn.notifications = fresh;
        turn.signals = output.signals;
        turn.incidents = output.incidents;
        turn.counts.events = output.events;
        turn.counts.matched = output.matched;
        turn.counts.accepted_late = output.late;
        turn.counts.duplicates = output.duplicates;
        turn.rules = output.rules;
        turn.acted = output.acted;
        Ok(turn)
    }

    /// What was read again for rules that want their past.
    fn read_again(&mut self) -> Vec<Input> {
        let wanted = self.core.backfills();
        match &mut self.parts.backfiller {
            Some(backfiller) => backfiller.turn(wanted),
            None => {
                let past = || Past::End {
                    since: [Timestamp::MAX; 2],
                    failed: Some("there is no log that could be read again".to_owned()),
                };
                let end = |backfill: Backfill| {
                    let Wanted { owner, ticket, .. } = backfill.wanted;
                    Input::Past { rule: owner.rule, ticket, past: past() }
                };
                wanted.into_iter().map(end).collect()
            }
        }
    }

    /// Whether a commit would write anything.
    fn has_news(&self) -> bool {
        !self.pending.puts.is_empty() || !self.pending.deletes.is_empty() || self.intake.has_news()
    }

    /// A full outbox pauses intake; it never drops.
    fn hold_back(&mut self) -> Result<bool, Error> {
        if let Some(reason) = self.parts.delivery.as_ref().and_then(Delivery::failure) {
            return Err(Error::Delivery(reason));
        }
        let full = self.parts.delivery.as_ref().is_some_and(Delivery::is_full);
        if full != self.paused {
            self.intake.pause(full)?;
            self.paused = full;
        }
        Ok(full)
    }

    fn write_rejects(&mut self, polled: &Polled, counts: &mut Counts) -> Result<(), Error> {
        for letter in &polled.rejects {
            counts.rejected[letter.plane.index()] += 1;
            write(&mut self.parts.dlq, "dlq", letter)?;
        }
        Ok(())
    }

    fn write_refused(&mut self, output: &Output, counts: &mut Counts) -> Result<(), Error> {
        for refused in &output.refused {
            let plane = refused.partition.plane.index();
            match refused.refusal {
                Refusal::TooLate => counts.late[plane] += 1,
                Refusal::FromTheFuture => counts.quarantined[plane] += 1,
            }
            let letter = self.intake.letter(refused);
            write(&mut self.parts.late, "late", &letter)?;
        }
        Ok(())
    }

    /// Tells what the engine has to say of itself, and remembers what was told with it.
    ///
    /// # Errors
    /// As [`Pipeline::commit`].
    pub fn tell(&mut self, messages: Vec<Notification>, remember: (Vec<u8>, Vec<u8>)) -> Result<(), Error> {
        for notification in messages {
            let row = OutboxRow { seq: self.next_seq, notification };
            let failed = |reason| Error::Outbox { id: row.notification.notification_id.clone(), reason };
            self.pending.puts.push(row.encode().map_err(failed)?);
            self.next_seq += 1;
            self.queued.push(row);
        }
        self.pending.puts.push(remember);
        self.commit()
    }

    /// Makes everything so far durable, then tells the source, then the receivers: in this order nothing is lost.
    pub fn commit(&mut self) -> Result<(), Error> {
        for (output, letters) in [("dlq", &mut self.parts.dlq), ("late", &mut self.parts.late)] {
            if let Some(letters) = letters {
                letters.flush().map_err(|error| Error::DeadLetters { output, reason: error.to_string() })?;
            }
        }
        let mut commit = self.pending.take();
        let positions = self.intake.positions();
        if let Some(store) = &self.parts.store {
            let listed: Vec<_> = positions.iter().collect();
            commit.puts.push((POSITIONS_KEY.to_vec(), serde_json::to_vec(&listed).map_err(Error::Positions)?));
            commit.puts.push((SEQ_KEY.to_vec(), serde_json::to_vec(&self.next_seq).map_err(Error::Positions)?));
            let commit = newest(commit);
            if let Some((journal, _)) = &mut self.parts.journal {
                journal.append(&commit).map_err(Error::Journal)?;
            }
            store.commit(commit)?;
        }
        if let Some(cases) = &mut self.parts.cases {
            cases.committed();
        }
        crash::point("after_commit");
        self.intake.commit(&positions)?;
        self.committed = Instant::now();
        let queued = std::mem::take(&mut self.queued);
        if let Some(delivery) = &self.parts.delivery {
            delivery.enqueue(queued);
        }
        Ok(())
    }

    /// Commits and leaves the source; gives back the delivery, which still has to be stopped.
    pub fn close(mut self, deadline: Duration) -> Result<Option<Delivery>, Error> {
        self.commit()?;
        self.intake.close(deadline);
        Ok(self.parts.delivery.take())
    }

    /// Runs another set of rules from the next turn on.
    ///
    /// # Errors
    /// As [`Pipeline::commit`]: what the old set has said must be durable before the new one forgets it.
    pub fn reload(&mut self, rules: Reload) -> Result<(), Error> {
        self.commit()?;
        if let Some(router) = &mut self.parts.router {
            router.learn(&rules.setups);
        }
        if self.parts.backfiller.is_some() {
            self.asked.push(Input::Log(self.intake.read_to()));
        }
        self.asked.push(Input::Rules(rules));
        Ok(())
    }

    /// Takes up what an alias file says with the next turn.
    pub fn name(&mut self, aliases: Aliases) {
        self.asked.push(Input::Aliases(aliases));
    }

    /// Names principals through which many act, beside the agents that reference tables mark so: what they do is grouped by
    /// session from the next turn on. Comes before [`Pipeline::refer_to`].
    pub fn share(&mut self, principals: BTreeSet<String>) {
        self.shared = principals;
        self.asked.push(Input::Shared(self.shared.clone()));
    }

    /// Takes in with the next turn what a person said of an incident; [`Turn::acted`] says what came of it.
    pub fn act(&mut self, incident_id: String, handled: Handled) {
        self.asked.push(Input::Act { incident_id, handled });
    }

    /// Holds the inventory against these tables from here on, and takes up which agents they say are shared.
    pub fn refer_to(&mut self, reference: ReferenceTables) {
        if let Some(router) = &mut self.parts.router {
            router.refer_to(&reference);
        }
        let shared = self.shared.iter().cloned().chain(reference.shared_agents()).collect();
        self.asked.push(Input::Shared(shared));
        self.core.refer_to(reference);
    }

    /// Decodes with these formats from here on.
    pub fn set_formats(&mut self, formats: Registry) {
        if let Some(backfiller) = &mut self.parts.backfiller {
            backfiller.set_formats(formats.clone());
        }
        self.intake.set_formats(formats);
    }

    /// Stops a rule with the next turn.
    pub fn stop_rule(&mut self, rule: String, reason: String) {
        self.asked.push(Input::Stop { rule, reason });
    }

    /// Tells this meter which rule is being evaluated.
    pub fn set_meter(&mut self, meter: Box<dyn Meter>) {
        self.core.set_meter(meter);
    }

    /// The core, for its counters.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// The case files, where they are kept.
    pub fn cases(&self) -> Option<&Cases> {
        self.parts.cases.as_ref()
    }

    /// Masks what case files say of a principal, and makes that durable before it returns.
    ///
    /// # Errors
    /// As [`Pipeline::commit`].
    pub fn erase(&mut self, tenant: &str, principal: &str) -> Result<Erased, Error> {
        let now = self.now();
        let Some(cases) = &mut self.parts.cases else { return Ok(Erased::default()) };
        let erased = cases.erase(tenant, principal, now, &mut self.pending)?;
        self.commit()?;
        Ok(erased)
    }

    /// The newest event time of all.
    fn heard(&self) -> Timestamp {
        Plane::ALL.map(|plane| self.core.watermarks().heard(plane)).into_iter().max().unwrap_or(Timestamp::MIN)
    }

    /// The intake, for its progress.
    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    /// The delivery, for its counters.
    pub fn delivery(&self) -> Option<&Delivery> {
        self.parts.delivery.as_ref()
    }
}

const SEQ_KEY: &[u8] = b"m/outbox-seq";

fn load(store: &dyn StateStore) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, store::Error> {
    let mut stored = BTreeMap::new();
    // The outbox is read by the delivery itself, case files by themselves.
    for space in core::SPACES.into_iter().chain([router::PREFIX]) {
        debug_assert_ne!(space, outbox::PREFIX);
        stored.extend(store.scan(space)?);
    }
    Ok(stored)
}

/// Of several changes to one key the last counts.
fn newest(commit: Commit) -> Commit {
    let mut puts: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut commit = commit;
    for (key, value) in std::mem::take(&mut commit.puts) {
        puts.insert(key, value);
    }
    // State is deleted only after its last put, never put again under the same key.
    for key in &commit.deletes {
        puts.remove(key);
    }
    Commit { puts: puts.into_iter().collect(), ..commit }
}

fn write(letters: &mut Option<Box<dyn DeadLetters>>, output: &'static str, letter: &DeadLetter) -> Result<(), Error> {
    match letters {
        Some(letters) => {
            letters.write(letter).map_err(|error| Error::DeadLetters { output, reason: error.to_string() })
        }
        None => Ok(()),
    }
}
