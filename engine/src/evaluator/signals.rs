//! What rules say, as rows of `signals` for the rules that read them.
//!
//! A *feed* keeps what stands of one rule's findings for as long as a rule that reads them may need it. A reader is given a
//! row once what it reads of it stays as it is (see [`watershed_rules::Upstream`]); a finding that a late event changes or
//! takes back changes, or takes back, the row that was given. Feeds are durable: a reader may look back farther than its
//! upstream rule does.

mod feed;
mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watershed_rules::{CompiledRule, strata};
use watershed_schemas::{Mark, Timestamp};

use super::coverage::Coverage;
use super::rows::RowRef;
use super::rule_state::{Admission, RuleState};
use super::said::Statement;
use super::{Evaluator, RuleSetup};
use crate::matcher::ScanId;
use crate::store::Commit;
use crate::watermark::Watermarks;

use feed::{Feed, Reader};
pub use stored::PREFIX as SIGNAL_PREFIX;

/// The feeds of all rules that others read.
#[derive(Default)]
pub(super) struct Feeds {
    /// Positions of the rules, each after those whose signals it reads.
    order: Arc<[usize]>,
    /// For each rule that reads others their positions, each with the scan that does.
    upstream: BTreeMap<usize, Vec<(usize, usize)>>,
    /// Rules that read one which isn't there as they were planned beside it.
    without: Vec<(usize, String)>,
    /// By the position of the rule whose findings they are.
    feeds: BTreeMap<usize, Feed>,
    /// Segments of signals so far. They share the numbers of no others, and are never stored.
    segments: u64,
    /// What a restart has yet to store.
    unstored: Commit,
}

/// Segments of signals are numbered from here on.
const FIRST_SEGMENT: u64 = 1 << 63;

impl Feeds {
    /// The feeds that these rules need, still empty.
    pub(super) fn new(setups: &[RuleSetup]) -> Self {
        let position: BTreeMap<&str, usize> =
            setups.iter().enumerate().map(|(at, setup)| (setup.rule.meta.id.as_str(), at)).collect();
        let reads = setups.iter().map(|setup| {
            let scans = setup.rule.scans.iter().flat_map(|scan| &scan.upstream);
            (setup.rule.meta.id.clone(), scans.map(|upstream| upstream.rule.clone()).collect::<BTreeSet<_>>())
        });
        let strata = strata(&reads.collect()).order;
        let rank: BTreeMap<&str, usize> = strata.iter().enumerate().map(|(rank, id)| (id.as_str(), rank)).collect();
        let mut order: Vec<usize> = (0..setups.len()).collect();
        order.sort_by_key(|at| rank.get(setups[*at].rule.meta.id.as_str()));
        let mut feeds: BTreeMap<usize, Feed> = BTreeMap::new();
        let mut upstream: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        let mut without = Vec::new();
        for (rule, setup) in setups.iter().enumerate() {
            for (scan, read) in setup.rule.scans.iter().enumerate() {
                for above in &read.upstream {
                    let planned = setup.rule.upstream.iter().find(|rule| rule.meta.id == above.rule);
                    let there = position
                        .get(above.rule.as_str())
                        .copied()
                        .filter(|from| planned.is_some_and(|planned| planned.version == setups[*from].rule.version));
                    let Some(from) = there else {
                        without.push((rule, above.rule.clone()));
                        continue;
                    };
                    let feed = feeds.entry(from).or_insert_with(|| Feed::new(Arc::clone(&setups[from].rule)));
                    feed.readers.push(Reader::new(ScanId { rule, scan }, &setup.rule, read, above.there));
                    upstream.entry(rule).or_default().push((from, scan));
                }
            }
        }
        Feeds { order: order.into(), upstream, without, feeds, segments: 0, unstored: Commit::default() }
    }

    /// Positions of the rules, each after those whose signals it reads.
    pub(super) fn order(&self) -> Arc<[usize]> {
        Arc::clone(&self.order)
    }

    /// What they hold, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.feeds.values().map(Feed::bytes).sum()
    }

    /// Forgets what no reader needs any more.
    pub(super) fn expire(&mut self, watermarks: &Watermarks, commit: &mut Commit) {
        commit.puts.append(&mut self.unstored.puts);
        self.feeds.values_mut().for_each(|feed| feed.expire(watermarks, commit));
    }

    fn next_segment(&mut self) -> u64 {
        self.segments += 1;
        FIRST_SEGMENT + self.segments
    }
}

impl Evaluator {
    /// Before a rule is evaluated: what its upstream rules lack it lacks too, and without them it stops.
    pub(super) fn follow(&mut self, rule: usize) {
        for (position, id) in &self.feeds.without {
            let state = &mut self.rules[*position];
            if *position == rule && state.stopped().is_none() {
                state.stop(format!(
                    "it reads the signals of `{id}`, which isn't loaded as it was when this rule was planned"
                ));
            }
        }
        let Some(upstream) = self.feeds.upstream.get(&rule) else { return };
        let mut warm: Vec<(usize, Timestamp)> = Vec::new();
        for &(from, scan) in upstream {
            let above = &self.rules[from];
            warm.push((scan, above.warm_after()));
            let (lost, stopped) = (above.lost(), above.stopped().map(|_| above.id().to_owned()));
            let state = &mut self.rules[rule];
            if let Some(lost) = lost {
                state.lose_upstream(scan, lost);
            }
            if let Some(id) = stopped.filter(|_| state.stopped().is_none()) {
                state.stop(format!("it reads the signals of `{id}`, which was stopped"));
            }
        }
        self.rules[rule].warm_upstream(&warm);
    }

    /// Adds to what a rule has just said the events that show it through what other rules said. What rests on what they found
    /// in the past, and is no later, is of the past too.
    pub(super) fn show_evidence(&self, rule: usize, statements: &mut [Statement]) {
        let Some(upstream) = self.feeds.upstream.get(&rule) else { return };
        let feeds: BTreeSet<usize> = upstream.iter().map(|(from, _)| *from).collect();
        for statement in statements.iter_mut().filter(|statement| !statement.said.withdrawn) {
            let time = statement.finding.event_time;
            for event_id in &statement.finding.evidence {
                let is_past = |from| self.feeds.feeds.get(from).is_some_and(|feed| feed.is_past(event_id, time));
                if statement.said.revision == 1 && feeds.iter().any(is_past) {
                    statement.marks.insert(Mark::Backfilled);
                }
                let known = |row: &RowRef| row.segment.event_id(row.row) == event_id;
                if statement.evidence.iter().any(known) {
                    continue;
                }
                let found = feeds.iter().find_map(|from| self.feeds.feeds.get(from)?.event(event_id));
                statement.evidence.extend(found.cloned());
            }
            statement.evidence.sort_by(|a, b| (a.order(), a.segment.table).cmp(&(b.order(), b.segment.table)));
        }
    }

    /// Feeds what a rule has just said, and what has become final of what it had said before, to those that read it.
    pub(super) fn feed(
        &mut self,
        rule: usize,
        statements: &[Statement],
        sealed: &Watermarks,
        watermarks: &Watermarks,
        commit: &mut Commit,
    ) {
        let Some(mut feed) = self.feeds.feeds.remove(&rule) else { return };
        if !statements.is_empty() {
            let segment = self.feeds.next_segment();
            feed.take(segment, statements, sealed, &mut self.rules, commit);
        }
        feed.give(watermarks, &mut self.rules, self.limits, self.full);
        self.feeds.feeds.insert(rule, feed);
    }

    /// After a restart, before the rows are back: takes up what was durable of these rules' signals. A store that has a
    /// `history` and doesn't know a feed has run without it.
    pub fn restore_signals(&mut self, stored: &[(Vec<u8>, Vec<u8>)], history: bool) {
        let orphans = self.feeds.load(stored, history);
        self.orphans.extend(orphans);
    }

    /// After a restart, when a rule knows again what it had said: those that read it get back what they had of it. A feed
    /// that the store doesn't know begins with what the rule knows.
    pub(super) fn resume_feed(&mut self, rule: usize, watermarks: &Watermarks) {
        let Some(mut feed) = self.feeds.feeds.remove(&rule) else { return };
        if feed.since.is_none() {
            let segment = self.feeds.next_segment();
            let from_now = !self.known.contains(&rule);
            feed.begin(segment, &self.rules[rule], from_now, watermarks, &mut self.feeds.unstored);
        }
        let known = &self.known;
        begin_readers(&mut feed, &mut self.rules, watermarks, |to| !known.contains(&to.rule));
        feed.give(watermarks, &mut self.rules, self.limits, self.full);
        self.feeds.feeds.insert(rule, feed);
    }

    /// Another set of rules: what was kept for readers that go on stays with them, new ones begin with what is kept.
    /// `went_on` says which of the present rules did, with all that they had been given.
    pub(super) fn reload_feeds(
        &mut self,
        before: &[RuleSetup],
        went_on: &BTreeSet<String>,
        watermarks: &Watermarks,
        commit: &mut Commit,
    ) {
        let mut old = std::mem::replace(&mut self.feeds, Feeds::new(&self.setups));
        self.feeds.segments = old.segments;
        for from in self.feeds.order().iter().copied() {
            let Some(mut feed) = self.feeds.feeds.remove(&from) else { continue };
            let id = feed.rule.meta.id.clone();
            let position = before.iter().position(|setup| setup.rule.meta.id == id);
            match position.and_then(|position| old.feeds.remove(&position)) {
                Some(known) if known.rule.version == feed.rule.version => {
                    let name = |to: ScanId| before.get(to.rule).map(|setup| setup.rule.meta.id.as_str());
                    let carried = |reader: &Reader| {
                        let same = |other: &Reader| {
                            other.to.scan == reader.to.scan && name(other.to) == Some(reader.rule.as_str())
                        };
                        known.readers.iter().position(same).filter(|_| went_on.contains(&reader.rule))
                    };
                    let from: Vec<Option<usize>> = feed.readers.iter().map(carried).collect();
                    feed.inherit(known, &from);
                }
                known => {
                    if let Some(known) = known {
                        known.forget(commit);
                    }
                    let segment = self.feeds.next_segment();
                    feed.begin(segment, &self.rules[from], !went_on.contains(&id), watermarks, commit);
                }
            }
            let setups = &self.setups;
            begin_readers(&mut feed, &mut self.rules, watermarks, |to| {
                !went_on.contains(&setups[to.rule].rule.meta.id)
            });
            self.feeds.feeds.insert(from, feed);
        }
        for feed in old.feeds.into_values() {
            feed.forget(commit);
        }
    }
}

/// Says from when on readers that `begin` now have everything, and leaves out for those that aren't filled what is past.
fn begin_readers(feed: &mut Feed, rules: &mut [RuleState], watermarks: &Watermarks, begin: impl Fn(ScanId) -> bool) {
    for reader in 0..feed.readers.len() {
        let to = feed.readers[reader].to;
        if !begin(to) {
            continue;
        }
        let Some(state) = rules.get_mut(to.rule) else { continue };
        let since = match state.is_backfilling() {
            true => feed.since.unwrap_or(Timestamp::MIN),
            false => feed.skip(reader, watermarks),
        };
        state.signals_since(to.scan, since);
    }
}

/// Coverage of a rule that has seen events since then, and everything that its upstream rules say.
pub(super) fn uncovered(rule: &CompiledRule, events: Timestamp) -> Coverage {
    let since = rule.scans.iter().map(|scan| if scan.table.plane().is_some() { events } else { Timestamp::MIN });
    Coverage { since: since.collect(), ..Coverage::whole(rule.scans.len()) }
}

/// What rows of signals are taken in under.
pub(super) fn admission(limits: super::Limits, full: bool, late: bool) -> Admission {
    let signals = if late { Timestamp::MAX } else { Timestamp::MIN };
    Admission { limits, full, reached: [Timestamp::MIN, Timestamp::MIN, signals], past: false }
}
