//! Why did it fire, and why did it not?

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::array::{AsArray, RecordBatch, UInt32Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::common::ScalarValue;
use watershed_connectors::escape::one_line;
use watershed_rules::explain::{Condition, Explained, Input, Needs, Part};
use watershed_schemas::tables::{runtime, signals};
use watershed_schemas::{Signal, Table, Timestamp};

use super::check::{Check, Names, check, event_of};
use super::diagnosis_report::{Behind, Diagnosis, EventReport, Fit, MissedBy, OtherKey, Placed, Reason};
use super::sample::{AskedEvent, Fate, Sample};
use super::tuples::{Candidates, Seen, Tuple, raw, texts};

/// How many events of one kind are told of.
const SHOWN: usize = 20;

struct Doctor<'a> {
    explained: &'a Explained,
    sample: &'a Sample,
    candidates: Candidates<'a>,
    names: Names<'a>,
    keys: BTreeSet<Vec<String>>,
}

/// Says why the events that the sample was asked about made the rule fire, or why they did not.
pub fn diagnose(explained: &Explained, sample: &Sample) -> Diagnosis {
    let tables: Vec<Table> = explained.rule.scans.iter().map(|scan| scan.table).collect();
    let keys = keys(explained, sample);
    let candidates = candidates(explained, sample, &keys);
    let names = Names {
        tables: &tables,
        labels: &explained.anatomy.labels,
        computed: explained.anatomy.computed.iter().map(|value| value.text()).collect(),
    };
    let doctor = Doctor { explained, sample, candidates, names, keys };
    doctor.diagnose()
}

/// The values of the partition key that the events have in any scan's place.
fn keys(explained: &Explained, sample: &Sample) -> BTreeSet<Vec<String>> {
    let scans = &explained.rule.scans;
    let of = |event: &AskedEvent| {
        scans
            .iter()
            .filter(|scan| scan.table == event.plane.into())
            .map(|scan| scan.key.iter().map(|column| texts(&event.row, *column).concat()).collect())
            .collect::<Vec<Vec<String>>>()
    };
    let mut keys: BTreeSet<Vec<String>> = sample.asked.iter().flat_map(of).collect();
    // What other rules said of these events, and of whom they are about, is asked about too.
    for (scan, rows) in scans.iter().zip(&sample.rows).filter(|(scan, _)| scan.table == Table::Signals) {
        let named = key_of_rows(rows, &scan.key);
        let about = sample.asked.iter().filter_map(|event| {
            let place = |column: &usize| event.plane.column(Table::Signals.columns()[*column].name);
            let value = |column: &usize| Some(texts(&event.row, place(column)?).concat());
            scan.key.iter().map(value).collect::<Option<Vec<String>>>()
        });
        keys.extend(about);
        keys.extend(
            named.into_iter().enumerate().filter(|(row, _)| rests_on_asked(rows, *row, sample)).map(|(_, key)| key),
        );
    }
    keys
}

/// Whether a signal rests on an event that is asked about.
fn rests_on_asked(signals: &RecordBatch, row: usize, sample: &Sample) -> bool {
    sample.asked.iter().any(|event| is_evidence(signals, row, event.id()))
}

fn is_evidence(signals: &RecordBatch, row: usize, event_id: &str) -> bool {
    let evidence = signals.column(signals::EVIDENCE).as_list::<i32>().value(row);
    evidence.as_string::<i32>().iter().flatten().any(|id| id == event_id)
}

/// The rows that share a key with an event that is asked about.
fn candidates<'a>(explained: &'a Explained, sample: &Sample, keys: &BTreeSet<Vec<String>>) -> Candidates<'a> {
    let asked: BTreeSet<(usize, Vec<String>)> =
        sample.asked.iter().map(|event| (event.plane.index(), identity(&event.row, 0))).collect();
    let (mut rows, mut wanted) = (Vec::new(), Vec::new());
    for (scan, all) in explained.rule.scans.iter().zip(&sample.rows) {
        let named = key_of_rows(all, &scan.key);
        let near: Vec<u32> = (0..all.num_rows())
            .filter(|row| keys.contains(&named[*row]))
            .filter_map(|row| u32::try_from(row).ok())
            .collect();
        let near =
            take_record_batch(all, &UInt32Array::from(near)).unwrap_or_else(|_| RecordBatch::new_empty(all.schema()));
        wanted.push(
            (0..near.num_rows())
                .map(|row| match scan.table {
                    Table::Signals => rests_on_asked(&near, row, sample),
                    table => asked.contains(&(table.index(), identity(&near, row))),
                })
                .collect(),
        );
        rows.push(near);
    }
    Candidates { anatomy: &explained.anatomy, rows, asked: wanted, cut: Cell::new(false) }
}

fn key_of_rows(rows: &RecordBatch, key: &[usize]) -> Vec<Vec<String>> {
    let columns: Vec<Vec<String>> = key.iter().map(|column| texts(rows, *column)).collect();
    (0..rows.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect()
}

fn identity(rows: &RecordBatch, row: usize) -> Vec<String> {
    [runtime::TENANT, runtime::SOURCE, runtime::EVENT_ID].map(|column| raw(rows, column, row).to_owned()).to_vec()
}

impl Doctor<'_> {
    fn diagnose(&self) -> Diagnosis {
        let seen = self.candidates.look(&self.explained.anatomy.root);
        let signals = self.signals(&seen);
        let mut reasons = Vec::new();
        if signals.iter().all(|signal| signal.withdrawn) {
            reasons = self.not_history();
            if reasons.len() < self.sample.asked.len() {
                let before = reasons.len();
                self.why_not(&seen, &mut reasons);
                if reasons.len() == before {
                    reasons.extend(self.undecided(&seen));
                }
            }
        }
        let mut between = Vec::new();
        if !self.sample.by_entity {
            self.between(&seen, &mut between);
        }
        // What decides is not said twice.
        between.retain(|known| !reasons.contains(known));
        let (events, more_events) = self.events();
        let fired = signals.iter().any(|signal| !signal.withdrawn);
        Diagnosis {
            rule: self.explained.rule.meta.id.clone(),
            events,
            more_events,
            entity: self.sample.by_entity,
            signals,
            between,
            reasons,
            notes: self.notes(&seen, fired),
        }
    }

    /// The events that no rule sees.
    fn not_history(&self) -> Vec<Reason> {
        let refused = self.sample.asked.iter().filter_map(|event| match event.fate {
            Fate::Refused(why) => Some(Reason::NotHistory { event_id: one_line(event.id(), 80), why }),
            Fate::Accepted | Fate::Repeat => None,
        });
        refused.collect()
    }

    fn notes(&self, seen: &Seen, fired: bool) -> Vec<String> {
        let mut notes = Vec::new();
        if fired && !self.any_asked(&seen.out) {
            notes.push("the rule fired, and its parts taken one by one do not show why".to_owned());
        }
        if let Some(reason) = &self.sample.stopped {
            notes.push(format!("the rule was stopped while it ran: {}", one_line(reason, 400)));
        }
        if self.sample.more_asked {
            notes.push("there are more such events; only the first 1000 are looked at".to_owned());
        }
        if self.candidates.cut.get() || self.sample.cut.contains(&true) {
            notes.push("there are more rows than are looked at one by one; what is said here may miss some".to_owned());
        }
        let mut open = BTreeSet::new();
        opaque(&self.explained.anatomy.root, &mut open);
        notes.extend(
            open.into_iter().map(|what| format!("{what}: this can't be taken apart, and is taken to hold here")),
        );
        notes
    }

    /// What the rule makes of each event: those that can take a place first.
    fn events(&self) -> (Vec<EventReport>, usize) {
        let mut events: Vec<EventReport> = self.sample.asked.iter().map(|event| self.event(event)).collect();
        events.sort_by_key(|event| Reverse(event.scans.iter().any(|fit| fit.fits)));
        let fitting = events.iter().filter(|event| event.scans.iter().any(|fit| fit.fits)).count();
        // Of an entity most events mean nothing to the rule.
        let shown = if self.sample.by_entity && fitting > 0 { fitting.min(SHOWN) } else { SHOWN };
        let more = events.len().saturating_sub(shown);
        events.truncate(shown);
        events.sort_by(|a, b| (a.event_time, &a.event_id).cmp(&(b.event_time, &b.event_id)));
        (events, more)
    }

    fn event(&self, event: &AskedEvent) -> EventReport {
        let scans = &self.explained.rule.scans;
        let fit = |scan: usize| {
            // The event alone, in the place of this scan.
            let mut rows: Vec<RecordBatch> =
                scans.iter().map(|scan| RecordBatch::new_empty(scan.table.schema())).collect();
            rows[scan] = event.row.clone();
            let alone = Candidates {
                anatomy: &self.explained.anatomy,
                rows,
                asked: vec![vec![true]; scans.len()],
                cut: Cell::new(false),
            };
            let mut tuple = Tuple { rows: vec![None; scans.len()], computed: Vec::new(), members: Vec::new() };
            tuple.rows[scan] = Some(0);
            let checks = self.explained.anatomy.filters[scan].iter();
            let checks = checks.map(|filter| check(filter, &tuple, &alone, &self.names));
            let unmet: Vec<Check> = checks.filter(|check| check.holds == Some(false)).collect();
            Fit { scan: self.names.scan(scan), fits: unmet.is_empty(), unmet }
        };
        let text = |column| one_line(raw(&event.row, column, 0), 80);
        let time = crate::acceptance::event_times(&event.row).value(0);
        EventReport {
            event_id: text(runtime::EVENT_ID),
            table: event.plane.table(),
            event_time: Timestamp::from_micros(time),
            kind: text(runtime::KIND),
            not_history: match event.fate {
                Fate::Accepted => None,
                Fate::Refused(reason) => Some(reason),
                Fate::Repeat => Some("it came before under the same id, and counts once"),
            },
            scans: (0..scans.len()).filter(|scan| scans[*scan].table == event.plane.into()).map(fit).collect(),
            behind: self.behind(event.id()),
        }
    }

    /// The signals that the rule reads and that rest on this event.
    fn behind(&self, event_id: &str) -> Vec<Behind> {
        let mut found = Vec::new();
        let scans = self.explained.rule.scans.iter().enumerate().zip(&self.sample.rows);
        for ((scan, _), rows) in scans.filter(|((_, scan), _)| scan.table == Table::Signals) {
            for row in (0..rows.num_rows()).filter(|row| is_evidence(rows, *row, event_id)) {
                found.push(Behind {
                    scan: self.names.scan(scan),
                    rule: raw(rows, signals::RULE, row).to_owned(),
                    signal_id: raw(rows, signals::SIGNAL_ID, row).to_owned(),
                    event_time: Timestamp::from_micros(crate::acceptance::event_times(rows).value(row)),
                });
            }
        }
        found
    }

    /// The signals that the events show, or that rest on rows which they take part in.
    fn signals(&self, seen: &Seen) -> Vec<Signal> {
        let ids: BTreeSet<String> = self.sample.asked.iter().map(|event| one_line(event.id(), 80)).collect();
        let together: BTreeSet<String> = seen
            .out
            .iter()
            .filter(|tuple| self.candidates.is_asked(tuple))
            .flat_map(|tuple| self.placed(tuple))
            .map(|placed| placed.event_id)
            .collect();
        let shown_by = |signal: &&Signal| {
            let evidence: BTreeSet<String> = signal.evidence.iter().map(|id| one_line(id, 80)).collect();
            !evidence.is_disjoint(&ids) || (!evidence.is_empty() && evidence.is_subset(&together))
        };
        self.sample.signals.iter().filter(shown_by).cloned().collect()
    }

    /// The lowest part into which an event that is asked about comes, and out of which none comes.
    fn why_not(&self, seen: &Seen, reasons: &mut Vec<Reason>) {
        if self.any_asked(&seen.out) {
            return;
        }
        match seen.part {
            Part::Scan(scan) => reasons.push(Reason::NoneFits { scan: self.names.scan(*scan) }),
            Part::Reference(_) => {}
            Part::Where { conditions, .. } => match self.nearest(&seen.below[0].out, conditions) {
                None => self.why_not(&seen.below[0], reasons),
                Some((tuple, checks)) => {
                    let unmet = conditions.iter().zip(&checks).filter(|(_, check)| check.holds != Some(true));
                    let read: BTreeSet<usize> = unmet.flat_map(|(condition, _)| computed(condition)).collect();
                    reasons.push(Reason::Unmet {
                        events: self.placed(&tuple),
                        group: tuple.members.len(),
                        checks: checks.into_iter().filter(|check| check.holds != Some(true)).collect(),
                    });
                    self.why_no_partner(&seen.below[0], &read, reasons);
                }
            },
            Part::Groups { .. } | Part::Windowed { .. } | Part::Each { .. } | Part::Opaque { .. } => {
                self.why_not(&seen.below[0], reasons);
            }
            Part::AnyOf(_) => seen.below.iter().for_each(|below| self.why_not(below, reasons)),
            Part::Join { conditions, needs, .. } => self.why_no_pair(seen, conditions, *needs, reasons),
        }
    }

    /// Why there is no partner where a condition asks whether there is one.
    fn why_no_partner(&self, seen: &Seen, read: &BTreeSet<usize>, reasons: &mut Vec<Reason>) {
        if let Part::Join { conditions, needs: Needs::Known(at), .. } = seen.part
            && read.contains(at)
            && !seen.out.iter().any(|tuple| {
                self.candidates.is_asked(tuple) && tuple.computed[*at] == Some(ScalarValue::Boolean(Some(true)))
            })
        {
            self.why_no_pair(seen, conditions, Needs::Presence, reasons);
        }
        seen.below.iter().for_each(|below| self.why_no_partner(below, read, reasons));
    }

    fn why_no_pair(&self, seen: &Seen, conditions: &[Condition], needs: Needs, reasons: &mut Vec<Reason>) {
        let [left, right] = seen.below.as_slice() else { return };
        if needs == Needs::Absence {
            match seen
                .prevented
                .iter()
                .max_by_key(|(kept_out, by)| (self.candidates.count_asked(kept_out), self.candidates.count_asked(by)))
            {
                Some((kept_out, by)) if self.candidates.is_asked(by) => {
                    let own: BTreeSet<usize> = left.part.scans().into_iter().collect();
                    let (events, by_events) = self
                        .placed_in(by)
                        .into_iter()
                        .partition(|(scan, _)| own.contains(scan) && kept_out.rows[*scan].is_some());
                    let plain = |placed: Vec<(usize, Placed)>| placed.into_iter().map(|(_, placed)| placed).collect();
                    reasons.push(Reason::Prevented {
                        events: plain(events),
                        by: plain(by_events),
                        checks: conditions.iter().map(|c| check(c, by, &self.candidates, &self.names)).collect(),
                    });
                }
                _ => self.why_not(left, reasons),
            }
            return;
        }
        if matches!(needs, Needs::Perhaps | Needs::Known(_)) {
            return self.why_not(left, reasons);
        }
        match (left.out.is_empty(), right.out.is_empty()) {
            (false, false) => {
                let pairs = self.candidates.pairs(&left.out, &right.out);
                match self.nearest(&pairs, conditions) {
                    Some((pair, checks)) => {
                        reasons.push(Reason::NoPair { events: self.placed(&pair), checks, pairs: pairs.len() });
                    }
                    None => {
                        self.why_not(left, reasons);
                        self.why_not(right, reasons);
                    }
                }
            }
            (true, _) if self.came(right) || left.part.scans().len() > 1 => self.why_empty(left, reasons),
            (_, true) if self.came(left) || right.part.scans().len() > 1 => self.why_empty(right, reasons),
            _ => {
                self.why_empty(left, reasons);
                self.why_empty(right, reasons);
            }
        }
    }

    fn came(&self, seen: &Seen) -> bool {
        self.any_asked(&seen.out)
    }

    /// Why nothing at all came out of a part.
    fn why_empty(&self, seen: &Seen, reasons: &mut Vec<Reason>) {
        if !seen.out.is_empty() {
            return;
        }
        match seen.part {
            Part::Scan(scan) => reasons.push(self.never_came(*scan)),
            _ => {
                let before = reasons.len();
                self.why_not(seen, reasons);
                if reasons.len() == before {
                    seen.below.iter().for_each(|below| self.why_empty(below, reasons));
                }
            }
        }
    }

    fn never_came(&self, scan: usize) -> Reason {
        let selectivity = &self.sample.scans[scan];
        let emptied = selectivity.left.iter().position(|left| *left == 0);
        Reason::NeverCame {
            scan: self.names.scan(scan),
            seen: selectivity.seen,
            matched: self.sample.rows[scan].num_rows() as u64,
            emptied_by: emptied.map(|at| self.explained.anatomy.filters[scan][at].text.clone()),
            missed_by: self.missed_by(scan),
            other_key: self.other_key(scan),
        }
    }

    /// Of the events of the scan's table that fit nowhere the one that misses fewest of the scan's conditions.
    fn missed_by(&self, scan: usize) -> Option<MissedBy> {
        let table = self.explained.rule.scans[scan].table;
        let misfits =
            self.sample.asked.iter().filter(|event| table == event.plane.into()).map(|event| self.event(event));
        let misfits = misfits.filter(|report| report.scans.iter().all(|fit| !fit.fits));
        let name = self.names.scan(scan);
        let missed = misfits.filter_map(|report| {
            let fit = report.scans.into_iter().find(|fit| fit.scan == name)?;
            Some(MissedBy { event_id: report.event_id, unmet: fit.unmet })
        });
        missed.min_by_key(|missed| missed.unmet.len())
    }

    /// Of the rows that match a scan but for their key the one that is nearest in time to what is asked about.
    fn other_key(&self, scan: usize) -> Option<OtherKey> {
        let rows = &self.sample.rows[scan];
        let times = crate::acceptance::event_times(rows);
        let asked: Vec<i64> =
            self.sample.asked.iter().map(|event| crate::acceptance::event_times(&event.row).value(0)).collect();
        let distance = |row: &usize| asked.iter().map(|time| time.abs_diff(times.value(*row))).min().unwrap_or(0);
        let row = (0..rows.num_rows()).min_by_key(distance)?;
        let one = rows.slice(row, 1);
        let key = &self.explained.rule.scans[scan].key;
        let differs = key.iter().enumerate().filter_map(|(at, column)| {
            let value = texts(&one, *column).concat();
            let wanted: BTreeSet<&String> = self.keys.iter().filter_map(|key| key.get(at)).collect();
            let name = format!("{}.{}", self.names.labels[scan], self.names.tables[scan].columns()[*column].name);
            (!wanted.contains(&value)).then(|| (name, value, wanted.into_iter().take(3).cloned().collect()))
        });
        let event = Placed {
            scan: self.names.scan(scan),
            event_id: one_line(raw(&one, runtime::EVENT_ID, 0), 80),
            event_time: Timestamp::from_micros(times.value(row)),
        };
        Some(OtherKey { differs: differs.collect(), event })
    }

    /// The tuple that comes nearest to meeting all conditions, of those with most events that are asked about.
    fn nearest(&self, tuples: &[Tuple], conditions: &[Condition]) -> Option<(Tuple, Vec<Check>)> {
        let asked: Vec<Tuple> = tuples.iter().filter(|tuple| self.candidates.is_asked(tuple)).cloned().collect();
        let mut unmet = vec![0_usize; asked.len()];
        for condition in conditions {
            if let Some(tried) = self.candidates.tried(condition, &asked) {
                for (count, holds) in unmet.iter_mut().zip(tried.holds.iter()) {
                    *count += usize::from(holds != Some(true));
                }
            }
        }
        let most = asked.iter().map(|tuple| self.candidates.count_asked(tuple)).max()?;
        let fewest = asked
            .iter()
            .zip(&unmet)
            .filter(|(tuple, _)| self.candidates.count_asked(tuple) == most)
            .map(|(_, unmet)| *unmet)
            .min()?;
        let best = asked.iter().zip(&unmet);
        let best = best.filter(|(tuple, unmet)| self.candidates.count_asked(tuple) == most && **unmet == fewest);
        let checked = best.take(1_000).map(|(tuple, _)| {
            let checks: Vec<Check> =
                conditions.iter().map(|condition| check(condition, tuple, &self.candidates, &self.names)).collect();
            (tuple.clone(), checks)
        });
        checked.min_by_key(|(_, checks)| {
            checks
                .iter()
                .filter_map(|check| check.missed.as_ref())
                .fold(0_i64, |sum, missed| sum.saturating_add(missed.by_us))
        })
    }

    /// What holds between the named events alone, at every join that two of them meet.
    fn between(&self, seen: &Seen, found: &mut Vec<Reason>) {
        seen.below.iter().for_each(|below| self.between(below, found));
        let Part::Join { conditions, needs, .. } = seen.part else { return };
        let [left, right] = seen.below.as_slice() else { return };
        let wholly = |tuple: &&Tuple| {
            let rows = tuple.rows.iter().flatten().count();
            tuple.members.is_empty() && rows > 0 && self.candidates.count_asked(tuple) == rows
        };
        let side = |seen: &Seen| seen.out.iter().filter(wholly).take(SHOWN).cloned().collect::<Vec<_>>();
        for pair in self.candidates.pairs(&side(left), &side(right)).iter().take(SHOWN) {
            let events = self.placed(pair);
            let different: BTreeSet<(&str, Timestamp)> =
                events.iter().map(|placed| (placed.event_id.as_str(), placed.event_time)).collect();
            // An event beside itself says nothing.
            if different.len() < events.len() {
                continue;
            }
            let checks: Vec<Check> =
                conditions.iter().map(|condition| check(condition, pair, &self.candidates, &self.names)).collect();
            if checks.iter().any(|check| check.holds == Some(false)) {
                found.push(match needs {
                    Needs::Absence => Reason::PreventsNothing { events, checks },
                    _ => Reason::NoPair { events, checks, pairs: 1 },
                });
            }
        }
    }

    fn undecided(&self, seen: &Seen) -> Option<Reason> {
        let tuple = seen
            .out
            .iter()
            .filter(|tuple| self.candidates.is_asked(tuple))
            .max_by_key(|tuple| self.candidates.count_asked(tuple))?;
        let mut open = BTreeSet::new();
        opaque(&self.explained.anatomy.root, &mut open);
        Some(Reason::Undecided { events: self.placed(tuple), open: open.into_iter().collect() })
    }

    fn any_asked(&self, tuples: &[Tuple]) -> bool {
        tuples.iter().any(|tuple| self.candidates.is_asked(tuple))
    }

    fn placed(&self, tuple: &Tuple) -> Vec<Placed> {
        self.placed_in(tuple).into_iter().map(|(_, placed)| placed).collect()
    }

    /// The events of a tuple, those of a group once each, with the scan of each.
    fn placed_in(&self, tuple: &Tuple) -> Vec<(usize, Placed)> {
        let mut found: BTreeMap<(usize, Timestamp, String), Placed> = BTreeMap::new();
        let single = std::slice::from_ref(tuple);
        for member in if tuple.members.is_empty() { single } else { tuple.members.as_slice() } {
            for scan in 0..member.rows.len() {
                let Some((event_id, event_time)) = event_of(scan, member, &self.candidates) else { continue };
                let place = (scan, event_time, event_id.clone());
                found.entry(place).or_insert_with(|| Placed { scan: self.names.scan(scan), event_id, event_time });
            }
        }
        found.into_iter().map(|((scan, _, _), placed)| (scan, placed)).collect()
    }
}

/// The computed values that a condition reads.
fn computed(condition: &Condition) -> impl Iterator<Item = usize> {
    condition.inputs.iter().filter_map(|input| match input {
        Input::Computed(at) => Some(*at),
        Input::Column(..) => None,
    })
}

/// What can't be taken apart in these parts.
fn opaque(part: &Part, found: &mut BTreeSet<String>) {
    let untried = |conditions: &[Condition], found: &mut BTreeSet<String>| {
        let open = conditions.iter().filter(|condition| !condition.can_be_tried());
        found.extend(open.map(|condition| format!("`{}`", condition.text)));
    };
    match part {
        Part::Scan(_) => {}
        Part::Reference(name) => {
            found.insert(format!("the table `{name}`"));
        }
        Part::Where { input, conditions } => {
            untried(conditions, found);
            opaque(input, found);
        }
        Part::Join { left, right, conditions, .. } => {
            untried(conditions, found);
            opaque(left, found);
            opaque(right, found);
        }
        Part::Groups { input, by, .. } => {
            if by.iter().any(Option::is_none) {
                found.insert("a value that rows are grouped by".to_owned());
            }
            opaque(input, found);
        }
        Part::Windowed { input, .. } | Part::Each { input, .. } => opaque(input, found),
        Part::AnyOf(parts) => parts.iter().for_each(|part| opaque(part, found)),
        Part::Opaque { input, what } => {
            found.insert(format!("`{what}`"));
            opaque(input, found);
        }
    }
}
