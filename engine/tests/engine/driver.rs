//! Feeds the core as a source would: partitions, batches, disorder, repeats, a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use watershed_connectors::Partition;
use watershed_engine::core::{Core, Input, Output, Settings};
use watershed_engine::evaluator::{Reload, RuleSetup, RuleStatus};
use watershed_engine::store::Commit;
use watershed_engine::watermark::PlaneTime;
use watershed_rules::CompiledRule;
use watershed_schemas::{Plane, Signal};

use crate::history::{Event, MINUTE, as_written, batch};

const LATENESS: i64 = 15 * MINUTE;

/// Short times, so that watermarks move past much of a small history.
pub(crate) fn settings() -> Settings {
    let time = PlaneTime { out_of_orderness: Duration::from_secs(60), allowed_lateness: Duration::from_secs(15 * 60) };
    Settings { times: [time; 2], ..Settings::default() }
}

/// How a history arrives.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// For each event how much later than its time it arrives, and in which partition of its plane.
    delays: Vec<(i64, i32)>,
    /// For some events that they arrive again, so much later than their time.
    repeats: Vec<Option<i64>>,
    /// How far each plane lags behind.
    lags: [i64; 2],
    /// Partitions of each plane.
    partitions: i32,
    /// Sizes of steps, used round and round.
    steps: Vec<usize>,
    /// After how many steps the process dies.
    restart: Option<usize>,
}

impl Arrival {
    /// In the order of the times, in steps of this many events.
    pub(crate) fn in_order(step: usize) -> Self {
        Arrival {
            delays: vec![(0, 0)],
            repeats: vec![None],
            lags: [0; 2],
            partitions: 1,
            steps: vec![step],
            restart: None,
        }
    }

    /// In steps of this many events, each of which is late by some of so many milliseconds, without any pattern.
    pub(crate) fn delayed(step: usize, milliseconds: i64) -> Self {
        let delays = (0..milliseconds).map(|at| (at * at % milliseconds * 1_000, 0)).collect();
        Arrival { delays, ..Arrival::in_order(step) }
    }

    /// The same partitions without any disorder, in one step.
    pub(crate) fn tidy(&self) -> Self {
        let delays = self.delays.iter().map(|(_, partition)| (0, *partition)).collect();
        Arrival { delays, partitions: self.partitions, ..Arrival::in_order(1_000) }
    }

    /// The same order in steps of this many events.
    pub(crate) fn cut(&self, step: usize) -> Self {
        Arrival { steps: vec![step], restart: None, ..self.clone() }
    }

    /// The same without a restart.
    pub(crate) fn unbroken(&self) -> Self {
        Arrival { restart: None, ..self.clone() }
    }

    pub(crate) fn restarting(self, after: usize) -> Self {
        Arrival { restart: Some(after), ..self }
    }

    /// How many rows arrive, repeats counted.
    pub(crate) fn len(&self, events: &[Event]) -> usize {
        self.order(events).len()
    }

    /// Positions of events with their partition, in order of arrival.
    fn order(&self, events: &[Event]) -> Vec<(usize, i32)> {
        let mut order: Vec<(i64, usize, i32)> = Vec::new();
        for (at, event) in events.iter().enumerate() {
            let (delay, partition) = self.delays[at % self.delays.len()];
            let lag = self.lags[usize::from(event.access)];
            let partition = partition % self.partitions;
            order.push((event.time + lag + delay, at, partition));
            if let Some(delay) = self.repeats[at % self.repeats.len()] {
                order.push((event.time + lag + delay, at, partition));
            }
        }
        order.sort_by_key(|(arrival, at, _)| (*arrival, *at));
        order.into_iter().map(|(_, at, partition)| (at, partition)).collect()
    }
}

/// Any arrival that stays within the lateness, so that nothing is refused.
pub(crate) fn arrivals() -> impl Strategy<Value = Arrival> {
    arrivals_within(LATENESS)
}

/// Any arrival with delays shorter than this.
pub(crate) fn arrivals_within(longest: i64) -> impl Strategy<Value = Arrival> {
    let delay = move || 0..longest;
    (
        proptest::collection::vec((delay(), 0_i32..2), 40),
        proptest::collection::vec(prop_oneof![5 => Just(None), 1 => delay().prop_map(Some)], 40),
        ([0..40 * MINUTE, 0..40 * MINUTE], 1_i32..3),
        proptest::collection::vec(prop_oneof![2 => 1_usize..3, 1 => 1_usize..20], 1..6),
        proptest::option::weighted(0.7, 0_usize..20),
    )
        .prop_map(|(delays, repeats, (lags, partitions), steps, restart)| Arrival {
            delays,
            repeats,
            lags,
            partitions,
            steps,
            restart,
        })
}

/// What is durable.
#[derive(Default)]
pub(crate) struct Disk(BTreeMap<Vec<u8>, Vec<u8>>);

impl Disk {
    pub(crate) fn apply(&mut self, commit: Commit) {
        self.0.extend(commit.puts);
        for key in commit.deletes {
            self.0.remove(&key);
        }
    }

    pub(crate) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.0.insert(key, value);
    }

    pub(crate) fn under(&self, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.0
            .iter()
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

/// Gives a core its shelf.
pub(crate) type GiveShelf = Box<dyn Fn(&mut Core)>;

/// A core with its disk.
pub(crate) struct Driver {
    settings: Settings,
    setups: Vec<RuleSetup>,
    partitions: i32,
    pub(crate) core: Core,
    pub(crate) disk: Disk,
    /// Everything that followed, step by step.
    pub(crate) outputs: Vec<Output>,
    /// What came of a played history: partitions and positions of events, in order of arrival.
    pub(crate) log: Vec<(Partition, usize)>,
    /// Gives each core its shelf.
    pub(crate) shelf: Option<GiveShelf>,
}

pub(crate) fn partition(plane: Plane, index: i32) -> Partition {
    Partition { plane, topic: plane.table().into(), index }
}

impl Driver {
    pub(crate) fn new(settings: Settings, setups: Vec<RuleSetup>) -> Self {
        let core = Core::new(settings, setups.clone());
        Driver {
            settings,
            setups,
            partitions: 1,
            core,
            disk: Disk::default(),
            outputs: Vec::new(),
            log: Vec::new(),
            shelf: None,
        }
    }

    /// The same with so many partitions of each plane, all assigned.
    pub(crate) fn with_partitions(self, partitions: i32) -> Self {
        let mut driver = Driver { partitions, ..self };
        driver.assign();
        driver
    }

    pub(crate) fn step(&mut self, inputs: Vec<Input>) -> &Output {
        let mut commit = Commit::default();
        let output = self.core.step(inputs, &mut commit);
        self.disk.apply(commit);
        self.outputs.push(output);
        self.outputs.last().expect("just pushed")
    }

    /// Another set of rules takes the place of the present one, and will be there after a restart.
    pub(crate) fn reload(&mut self, setups: Vec<RuleSetup>) -> &Output {
        self.replace(setups, Vec::new())
    }

    /// The same after these inputs.
    pub(crate) fn replace(&mut self, setups: Vec<RuleSetup>, mut inputs: Vec<Input>) -> &Output {
        self.setups = setups.clone();
        inputs.push(Input::Rules(Reload { setups, revive: false }));
        self.step(inputs)
    }

    /// Rules that are given their past.
    pub(crate) fn backfilling(&self) -> usize {
        self.core.statuses().filter(|status| status.backfilling.is_some()).count()
    }

    /// As [`Driver::reload`], but while the process is down.
    pub(crate) fn restart_with(&mut self, setups: Vec<RuleSetup>) {
        self.setups = setups;
        self.restart();
    }

    /// How the rule of this id stands.
    pub(crate) fn status(&self, id: &str) -> RuleStatus {
        self.core.statuses().find(|status| status.rule == id).expect("the rule runs")
    }

    /// Takes inputs in without making anything durable yet.
    pub(crate) fn step_into(&mut self, inputs: Vec<Input>, pending: &mut Commit) -> &Output {
        let output = self.core.step(inputs, pending);
        self.outputs.push(output);
        self.outputs.last().expect("just pushed")
    }

    /// The process dies and another one takes up what is durable.
    pub(crate) fn restart(&mut self) {
        self.core = Core::new(self.settings, self.setups.clone());
        self.core.restore(|prefix| self.disk.under(prefix));
        self.set_shelf();
        self.assign();
    }

    /// Gives the core its shelf, where there is one.
    pub(crate) fn set_shelf(&mut self) {
        if let Some(shelf) = &self.shelf {
            shelf(&mut self.core);
        }
    }

    pub(crate) fn assign(&mut self) {
        let partitions = self.partitions;
        let all = Plane::ALL.into_iter().flat_map(|plane| (0..partitions).map(move |index| partition(plane, index)));
        self.step(all.map(Input::Assigned).collect());
    }

    /// Plays a whole history, to the end of all inputs.
    pub(crate) fn play(&mut self, events: &[Event], arrival: &Arrival) {
        self.play_with(events, arrival, |_, _| {});
    }

    /// The same; before each step `act` is called with its number.
    pub(crate) fn play_with(&mut self, events: &[Event], arrival: &Arrival, mut act: impl FnMut(&mut Driver, usize)) {
        self.partitions = arrival.partitions;
        self.assign();
        let order = arrival.order(events);
        let mut rest = order.as_slice();
        let mut steps = arrival.steps.iter().cycle();
        for step in 0.. {
            if arrival.restart == Some(step) {
                self.restart();
            }
            act(self, step);
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*steps.next().expect("a cycle")).min(rest.len()));
            rest = later;
            self.log.extend(now.iter().map(|(at, index)| (partition(events[*at].plane(), *index), *at)));
            // Neighbours of one partition come in one batch.
            let batches = now.chunk_by(|a, b| a.1 == b.1 && events[a.0].access == events[b.0].access);
            let inputs = batches.map(|rows| {
                let plane = events[rows[0].0].plane();
                let which: Vec<usize> = rows.iter().map(|(at, _)| *at).collect();
                Input::Rows { origin: 0, partition: partition(plane, rows[0].1), batch: batch(plane, events, &which) }
            });
            self.step(inputs.collect());
        }
        self.step(vec![Input::End]);
        assert_eq!(self.core.quarantined().next(), None);
    }

    /// Takes some rows of one plane, named by their positions, as a step of their own.
    pub(crate) fn step_rows(&mut self, events: &[Event], which: &[usize]) -> &Output {
        let plane = events[which[0]].plane();
        self.step(vec![Input::Rows { origin: 7, partition: partition(plane, 0), batch: batch(plane, events, which) }])
    }

    pub(crate) fn refused(&self) -> usize {
        self.outputs.iter().map(|output| output.refused.len()).sum()
    }

    /// Every statement, in order.
    pub(crate) fn signals(&self) -> impl Iterator<Item = &Signal> {
        self.outputs.iter().flat_map(|output| &output.signals)
    }

    /// The last state of each signal that stands.
    pub(crate) fn standing(&self) -> BTreeMap<&str, &Signal> {
        let mut standing: BTreeMap<&str, &Signal> = BTreeMap::new();
        for signal in self.signals() {
            standing.insert(&signal.signal_id, signal);
        }
        standing.retain(|_, signal| !signal.withdrawn);
        standing
    }

    /// Fails where a revision was said twice, left out, or came after a later one.
    pub(crate) fn check_numbering(&self) -> Result<(), TestCaseError> {
        numbered(self.signals())
    }
}

/// Fails where of these statements a revision was said twice, left out, or came after a later one.
pub(crate) fn numbered<'a>(signals: impl Iterator<Item = &'a Signal>) -> Result<(), TestCaseError> {
    let mut last: BTreeMap<&str, u32> = BTreeMap::new();
    let mut gone: BTreeSet<&str> = BTreeSet::new();
    for signal in signals {
        let before = last.insert(&signal.signal_id, signal.revision).unwrap_or(0);
        prop_assert_eq!(signal.revision, before + 1, "{:?}", signal);
        let was_gone =
            if signal.withdrawn { !gone.insert(&signal.signal_id) } else { gone.remove(signal.signal_id.as_str()) };
        prop_assert!(
            !(signal.withdrawn && (was_gone || before == 0)),
            "withdrawn without having been said: {:?}",
            signal
        );
    }
    Ok(())
}

/// A runner with the same cases every time.
pub(crate) fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// A played history under these rules.
pub(crate) fn played(rules: &[Arc<CompiledRule>], events: &[Event], arrival: &Arrival) -> Driver {
    let mut driver = Driver::new(settings(), as_written(rules));
    driver.play(events, arrival);
    driver
}
