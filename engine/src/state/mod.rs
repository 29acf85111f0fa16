//! What is known of identities, as of every moment that a rule may still ask for.
//!
//! `accounts`, `grants`, `tokens` and `sessions` are folds over accepted `identity` rows. What they mean is SQL
//! ([`watershed_rules::state_sql`]); here they are kept row by row: per key the events that say something of it, in the
//! order of event time, source and id. A late row goes to its place, and what follows it says the rest anew. Versions are
//! made from the events when somebody asks.
//!
//! * What a rule can't ask for any more is folded: of the events before a moment those stay that still say something.
//! * Everything that is kept is in the step's [`Commit`], and comes back from there.
//! * What changed is told, so that whoever has asked can ask again ([`Change`]).
//!
//! It is not: a directory of identities. What no event said is unknown, and expiry is a column, not an event.

mod deeds;
mod fold;
mod held;
mod index;
mod members;
mod stored;
#[cfg(test)]
mod tests;
mod value;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use smallvec::SmallVec;
use watershed_rules::CompiledRule;
use watershed_schemas::{ColumnSet, EventBatch, Plane, StateTable, Timestamp};

use crate::principals::{InForce, Renamed};
use crate::store::Commit;
use crate::verify::Witness;
use crate::watermark::Watermarks;

pub use deeds::columns;
use fold::Table;
pub use held::NamedWith;
pub use index::{EntryId, asked};
use members::Members;
pub use stored::PREFIX as STATE_PREFIX;
use stored::{Stored, Unwritten};

/// The versions of some ids became others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which table.
    pub table: StateTable,
    /// The column that the id is looked up by.
    pub column: usize,
    /// What [`asked`] says of the id.
    pub asked: u64,
    /// The id, where it is one that was found; nothing where ids are called otherwise.
    pub entry: Option<EntryId>,
    /// From when on versions are others.
    pub since: Timestamp,
}

/// How much is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accounts, grants, tokens or sessions.
    pub keys: usize,
    /// Events that say something of them.
    pub events: usize,
    /// What they take in memory.
    pub bytes: usize,
    /// Events that were not taken in, as there was no room.
    pub dropped: u64,
}

/// Changes of ids, each once.
type Changes = BTreeMap<(StateTable, usize, u64, Option<EntryId>), Change>;

/// The state tables.
pub struct StateTables {
    tables: [Option<Table>; 4],
    /// Most bytes that all of them hold.
    limit: usize,
    /// Whether every version is kept.
    whole: bool,
    /// For how long versions are kept beyond what rules and late rows need.
    back: Duration,
    changes: Changes,
    members: Members,
    unwritten: Unwritten,
    /// Before this moment versions are folded: nobody may ask for them.
    folded_to: Timestamp,
    /// For each table since when something is missing for which there was no room.
    lost: [Option<Timestamp>; 4],
    /// For each table the events for which there was no room.
    dropped: [u64; 4],
}

impl StateTables {
    /// Tables that hold at most so many bytes, none of which is kept yet.
    pub fn new(limit: usize) -> Self {
        StateTables {
            tables: Default::default(),
            limit,
            whole: false,
            back: Duration::ZERO,
            changes: Changes::new(),
            members: Members::default(),
            unwritten: Unwritten::default(),
            folded_to: Timestamp::MIN,
            lost: [None; 4],
            dropped: [0; 4],
        }
    }

    /// From now on the tables that these rules read are kept. One that was is kept on.
    pub fn keep_for(&mut self, rules: &[Arc<CompiledRule>]) {
        let strata = rules.iter().flat_map(|rule| rule.strata().into_iter().chain([Arc::clone(rule)]));
        let read: BTreeSet<StateTable> = strata
            .flat_map(|rule| rule.scans.iter().filter_map(|scan| scan.table.state()).collect::<Vec<_>>())
            .collect();
        for table in read {
            self.keep(table);
        }
    }

    /// From now on this table is kept.
    pub fn keep(&mut self, table: StateTable) {
        self.tables[table.index()].get_or_insert_with(|| Table::new(table));
    }

    /// Nothing is folded.
    pub fn keep_every_version(&mut self) {
        self.whole = true;
    }

    /// The tables that are kept.
    pub fn kept(&self) -> impl Iterator<Item = StateTable> {
        self.tables.iter().flatten().map(|table| table.table)
    }

    /// The columns that they are folded from.
    pub fn columns(&self, plane: Plane) -> ColumnSet {
        let kept = self.tables.iter().flatten().filter(|_| plane == Plane::Access);
        kept.fold(ColumnSet::default(), |columns, table| columns.with(table.columns))
    }

    /// Takes in the accepted rows of a batch (`None`: all of them). A row that came before is nothing new.
    pub fn take(&mut self, batch: &EventBatch, accepted: Option<&[u32]>) {
        if batch.plane != Plane::Access {
            return;
        }
        let all = 0..u32::try_from(batch.rows.num_rows()).unwrap_or(u32::MAX);
        let rows: Box<dyn Iterator<Item = u32>> = match accepted {
            Some(rows) => Box::new(rows.iter().copied()),
            None => Box::new(all),
        };
        let Some(reader) = deeds::Reader::new(&batch.rows) else { return };
        let mut held = self.bytes();
        for row in rows {
            for table in self.tables.iter_mut().flatten() {
                for (key, event) in reader.events(table.table, row as usize) {
                    let weight = event.bytes() + key.bytes();
                    if held + weight > self.limit {
                        let lost = &mut self.lost[table.table.index()];
                        *lost = Some(lost.map_or(event.time, |lost| lost.min(event.time)));
                        self.unwritten.lost(&self.lost);
                        self.dropped[table.table.index()] += 1;
                        continue;
                    }
                    let since = event.time;
                    let before = table.bytes();
                    let inserted = table.insert(key, event);
                    held += table.bytes() - before;
                    let Some(at) = inserted else { continue };
                    self.unwritten.put(table, at);
                    table.changed(at.key, since, &self.members, &mut self.changes);
                }
            }
        }
    }

    /// What changed since it was last asked.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes).into_values().collect()
    }

    /// From now on ids are read by these names.
    pub fn read_by(&mut self, names: InForce) {
        self.members = Members::new(names);
    }

    /// These ids are called something else now: whoever has asked for what names them can ask again.
    pub fn rename(&mut self, renamed: &[Renamed]) {
        self.members.rename(renamed);
        let ids: BTreeSet<(&str, &str)> =
            renamed.iter().map(|renamed| (renamed.tenant.as_ref(), renamed.id.as_ref())).collect();
        for table in self.tables.iter().flatten() {
            for &column in table.table.lookups() {
                if deeds::is_called(table.table, column) {
                    for Renamed { tenant, before, now, .. } in renamed {
                        for name in [before, now] {
                            let asked = asked(table.table, column, tenant, name);
                            let change =
                                Change { table: table.table, column, asked, entry: None, since: Timestamp::MIN };
                            self.changes.insert((table.table, column, asked, None), change);
                        }
                    }
                }
            }
            for key in table.naming(&ids) {
                table.changed(key, Timestamp::MIN, &self.members, &mut self.changes);
            }
        }
    }

    /// The ids that are called so, where anything is known of them.
    pub fn find(&self, table: StateTable, column: usize, tenant: &str, value: &str) -> SmallVec<[EntryId; 1]> {
        let mut found = SmallVec::new();
        let Some(known) = &self.tables[table.index()] else { return found };
        if deeds::is_called(table, column) {
            self.members.each(tenant, value, |id| found.extend(known.index.find(column, tenant, id)));
        } else {
            found.extend(known.index.find(column, tenant, value));
        }
        found
    }

    /// The organisation of an id that was found.
    pub fn tenant(&self, table: StateTable, entry: EntryId) -> Option<&str> {
        Some(self.tables[table.index()].as_ref()?.index.tenant(entry))
    }

    /// Every text that the versions of an id have had in a column, or more.
    pub fn each_text(&self, table: StateTable, entry: EntryId, column: usize, mut see: impl FnMut(&str)) {
        let Some(known) = &self.tables[table.index()] else { return };
        let names = self.members.names.read();
        let tenant = known.index.tenant(entry);
        for key in known.index.keys(entry) {
            known.each_text(*key, column, &mut |text| {
                see(if deeds::is_called(table, column) { names.canonical(tenant, text) } else { text });
            });
        }
    }

    /// The versions of all that these ids name, in these columns, each once.
    pub fn versions(&self, table: StateTable, entries: &[EntryId], columns: &[usize]) -> RecordBatch {
        let names = self.members.names.read();
        let mut rows = versions::Rows::new(table, columns, Some(&names));
        if let Some(table) = &self.tables[table.index()] {
            let keys: BTreeSet<_> = entries.iter().flat_map(|entry| table.index.keys(*entry)).copied().collect();
            table.each_version_of(&keys, &names, |version| rows.push(version));
        }
        rows.finish()
    }

    /// The versions of these ids one after the other, and of which of them each row is.
    pub fn versions_of_each(&self, table: StateTable, entries: &[EntryId]) -> (RecordBatch, Vec<usize>) {
        let columns: Vec<usize> = (0..table.columns().len()).collect();
        let names = self.members.names.read();
        let mut rows = versions::Rows::new(table, &columns, Some(&names));
        let mut of = Vec::new();
        for (position, entry) in entries.iter().enumerate() {
            let Some(table) = &self.tables[table.index()] else { continue };
            for key in table.index.keys(*entry) {
                table.each_version(*key, |version| {
                    rows.push(version);
                    of.push(position);
                });
            }
        }
        (rows.finish(), of)
    }

    /// Since when something is missing for which there was no room.
    pub fn lost(&self, table: StateTable) -> Option<Timestamp> {
        self.lost[table.index()]
    }

    /// For each table the moment from which on every version is whole for a rule that comes now. Of a table that nobody has
    /// read so far nothing is known yet.
    pub fn known_since(&self, watermarks: &Watermarks) -> [Timestamp; 4] {
        let unread = watermarks.heard(Plane::Access);
        [0, 1, 2, 3].map(|table: usize| if self.tables[table].is_some() { self.folded_to } else { unread })
    }

    /// From now on versions are kept for so long after they can matter to anything that still comes: incidents ask for what
    /// held when they happened.
    pub fn keep_back(&mut self, time: Duration) {
        self.back = time;
    }

    /// Folds what neither an acceptable row nor one of these rules can ask for any more. `witness` sees the versions that go.
    pub fn expire<'a>(
        &mut self,
        rules: impl Iterator<Item = &'a CompiledRule>,
        watermarks: &Watermarks,
        witness: Option<&mut Box<dyn Witness>>,
    ) {
        let back = watermarks.oldest_accepted(Plane::Access).minus(self.back);
        let limit = asked_since(rules, watermarks).min(back);
        if self.whole || limit <= self.folded_to {
            return;
        }
        self.folded_to = limit;
        self.unwritten.folded_to(limit);
        let mut witness = witness;
        for table in self.tables.iter_mut().flatten() {
            let mut gone = witness.is_some().then(|| versions::Rows::whole(table.table));
            for key in table.due(limit) {
                let (dropped, kept) = table.fold(key, limit, |version| {
                    if let Some(gone) = &mut gone {
                        gone.push(version);
                    }
                });
                for event in dropped {
                    self.unwritten.delete(table, key, &event);
                }
                for at in kept {
                    self.unwritten.put(table, fold::Place { key, event: at });
                }
            }
            if let (Some(witness), Some(gone)) = (&mut witness, gone) {
                witness.folded(table.table, gone.finish());
            }
        }
    }

    /// Shows all versions that are left.
    pub fn show_rest(&self, witness: &mut dyn Witness) {
        for table in self.tables.iter().flatten() {
            let mut rows = versions::Rows::whole(table.table);
            table.each(|version| rows.push(version));
            witness.folded(table.table, rows.finish());
        }
    }

    /// Makes durable what changed.
    pub fn persist(&mut self, commit: &mut Commit) {
        self.unwritten.write(commit);
    }

    /// Takes up what was durable before a restart.
    pub fn restore(&mut self, pairs: &[(Vec<u8>, Vec<u8>)]) {
        for (_, value) in pairs {
            match stored::read(value) {
                Some(Stored::FoldedTo(moment)) => self.folded_to = moment,
                Some(Stored::Lost(lost)) => self.lost = lost,
                Some(Stored::Event { table, key, event, folded }) => {
                    self.keep(table);
                    let Some(table) = &mut self.tables[table.index()] else { continue };
                    table.restore(key, event, folded);
                }
                None => {}
            }
        }
    }

    /// How much is known, of each table that is kept.
    pub fn counts(&self) -> BTreeMap<StateTable, Counts> {
        let of = |table: &Table| Counts {
            keys: table.keys(),
            events: table.events(),
            bytes: table.bytes(),
            dropped: self.dropped[table.table.index()],
        };
        self.tables.iter().flatten().map(|table| (table.table, of(table))).collect()
    }

    /// What all of it takes in memory.
    pub fn bytes(&self) -> usize {
        self.tables.iter().flatten().map(Table::bytes).sum()
    }
}

/// The moment from which on versions may still be asked for: by a late identity event, or by an output that isn't sealed.
fn asked_since<'a>(rules: impl Iterator<Item = &'a CompiledRule>, watermarks: &Watermarks) -> Timestamp {
    let scans = rules.flat_map(|rule| rule.scans.iter().filter(|scan| scan.lookup.is_some()));
    let bounds = scans.flat_map(|scan| {
        Plane::ALL.into_iter().map(|plane| match (scan.keep[plane.index()], scan.around.0) {
            (None, _) => Timestamp::MAX,
            (Some(_), i64::MIN) => Timestamp::MIN,
            (Some(keep), _) => watermarks.oldest_accepted(plane).plus_micros(keep.saturating_neg()),
        })
    });
    bounds.fold(watermarks.oldest_accepted(Plane::Access), Timestamp::min)
}
