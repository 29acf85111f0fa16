//! Case files: what is kept of each incident for the person who opens it, long after rules and correlator have forgotten it.
//!
//! [`Cases`] follows the core: what a step said and gathered goes into the files of the incidents concerned, in the same commit as
//! everything else. In memory is a small entry of every incident; whole files are there only while they may change, or where there
//! is no store. Nothing here has a clock: times are handed in.
//!
//! It is not: a way for evidence to reach a message. What a receiver may see is decided by the router.

mod entry;
mod erase;
pub mod export;
mod file;
mod live;
mod stored;
#[cfg(test)]
pub(crate) mod tests;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use watershed_schemas::{Case, Notification, Timestamp};

use crate::core::Output;
use crate::router::HeldBack;
use crate::store::{self, Commit, StateStore};

pub use entry::{Ambiguous, Entry, Filter};
use erase::Erasures;
pub use erase::{ERASED, Erased};
use file::Grows;
use live::Live;
pub use stored::INDEX_PREFIX;

/// Bounds of what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long after its last event a case is kept, in event time.
    pub retention: Duration,
    /// Most cases; beyond it the oldest that are not open go first.
    pub most: usize,
    /// Most whole case files that stay in memory where there is a store to read them from.
    pub in_memory: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { retention: Duration::from_secs(90 * 86_400), most: 1_000_000, in_memory: 1_000 }
    }
}

/// Most cases where there is no store, all of them in memory.
const MOST_WITHOUT_STORE: usize = 10_000;

/// What happened to case files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Cases that were kept long enough.
    pub expired: u64,
    /// Cases that went early because there were too many.
    pub dropped: u64,
    /// Cases of which something was erased.
    pub erased: u64,
    /// Cases that the store did not give back.
    pub unreadable: u64,
}

/// All case files.
pub struct Cases {
    settings: Settings,
    store: Option<Arc<dyn StateStore>>,
    index: BTreeMap<String, Entry>,
    /// By time of the last event.
    by_age: BTreeSet<(Timestamp, String)>,
    /// Whole files that are in memory.
    live: BTreeMap<String, Live>,
    /// Whose data was erased: what comes of it later is masked as well.
    erasures: Erasures,
    counts: Counts,
}

impl Cases {
    /// The cases that a store holds, or none.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub fn open(settings: Settings, store: Option<Arc<dyn StateStore>>) -> Result<Self, store::Error> {
        let most = if store.is_some() { settings.most } else { settings.most.min(MOST_WITHOUT_STORE) };
        let mut cases = Cases {
            settings: Settings { most, ..settings },
            index: BTreeMap::new(),
            by_age: BTreeSet::new(),
            live: BTreeMap::new(),
            erasures: Erasures::default(),
            counts: Counts::default(),
            store,
        };
        if let Some(store) = &cases.store {
            cases.erasures.restore(store.scan(erase::PREFIX)?);
            for (_, value) in store.scan(INDEX_PREFIX)? {
                if let Ok(entry) = serde_json::from_slice::<Entry>(&value) {
                    cases.by_age.insert((entry.last_event_time, entry.incident_id.clone()));
                    cases.index.insert(entry.incident_id.clone(), entry);
                }
            }
        }
        Ok(cases)
    }

    /// Takes in what a step said, who was told of it and who was not. `now` is the time of the pipeline, `heard` the newest event time.
    ///
    /// # Errors
    /// Where a case can't be read back from the store.
    pub fn take(
        &mut self,
        output: &Output,
        notifications: &[Notification],
        held_back: &[(String, HeldBack)],
        [now, heard]: [Timestamp; 2],
        commit: &mut Commit,
    ) -> Result<(), store::Error> {
        let mut touched: BTreeSet<String> = BTreeSet::new();
        for revision in &output.incidents {
            if let Some(live) = self.open_file(&revision.incident_id)? {
                live.case.revise(revision);
            } else {
                self.live.insert(revision.incident_id.clone(), Live::new(file::opened(revision)));
            }
            touched.insert(revision.incident_id.clone());
        }
        for gathered in &output.gathered {
            if let Some(live) = self.open_file(&gathered.incident_id)? {
                live.case.gather(&gathered.moments);
                touched.insert(gathered.incident_id.clone());
            }
        }
        for telling in &output.tellings {
            let id = &telling.incident.incident_id;
            if let Some(live) = self.open_file(id)?
                && live.case.advise(telling.blast_radius.as_ref(), &telling.first_moves)
            {
                touched.insert(id.clone());
            }
        }
        for notification in notifications {
            let grouped = notification.group.iter().flat_map(|group| &group.incidents);
            let about: BTreeSet<&String> = grouped.chain([&notification.incident_id]).collect();
            for id in about {
                if let Some(live) = self.open_file(id)? {
                    live.case.tell(notification, now);
                    touched.insert(id.clone());
                }
            }
        }
        for (id, held) in held_back {
            if let Some(live) = self.open_file(id)? {
                live.case.hold_back(held, now);
                touched.insert(id.clone());
            }
        }
        for id in touched {
            self.write(&id, commit);
        }
        self.expire(heard, commit);
        Ok(())
    }

    /// The file of a case, in memory so that it can change.
    fn open_file(&mut self, id: &str) -> Result<Option<&mut Live>, store::Error> {
        if !self.live.contains_key(id) && self.index.contains_key(id) {
            match self.load(id)? {
                Some(case) => {
                    self.live.insert(id.to_owned(), Live::stored(case));
                }
                None => self.counts.unreadable += 1,
            }
        }
        Ok(self.live.get_mut(id))
    }

    fn load(&self, id: &str) -> Result<Option<Case>, store::Error> {
        match &self.store {
            Some(store) => stored::load(store.as_ref(), id),
            None => Ok(None),
        }
    }

    /// Brings entry and store up to date with a file that has changed.
    fn write(&mut self, id: &str, commit: &mut Commit) {
        let Some(live) = self.live.get_mut(id) else { return };
        self.erasures.hold(&mut live.case);
        let entry = Entry::of(&live.case);
        if let Some(before) = self.index.get(id) {
            self.by_age.remove(&(before.last_event_time, id.to_owned()));
        }
        self.by_age.insert((entry.last_event_time, id.to_owned()));
        if self.store.is_some() {
            commit.put(|| stored::index_key(id), &entry);
            live.write(commit);
        }
        self.index.insert(id.to_owned(), entry);
    }

    /// Drops the cases that were kept long enough, and those that are too many.
    fn expire(&mut self, heard: Timestamp, commit: &mut Commit) {
        let due = heard.minus(self.settings.retention);
        let mut kept_open = 0;
        loop {
            let oldest = self.by_age.iter().nth(kept_open).cloned();
            let Some((last, id)) = oldest else { return };
            let too_old = last < due;
            if !too_old && self.index.len() <= self.settings.most {
                return;
            }
            if self.index.get(&id).is_some_and(Entry::is_open) {
                // Of those that nobody has settled there are few that are so old.
                kept_open += 1;
                if kept_open > MOST_WITHOUT_STORE {
                    return;
                }
                continue;
            }
            self.by_age.remove(&(last, id.clone()));
            if let Some(entry) = self.index.remove(&id) {
                self.live.remove(&id);
                if self.store.is_some() {
                    commit.forget(stored::keys(&entry));
                }
                if too_old {
                    self.counts.expired += 1;
                } else {
                    self.counts.dropped += 1;
                }
            }
        }
    }

    /// The commit that held everything so far is durable: what is not likely to change may leave memory.
    pub fn committed(&mut self) {
        if self.store.is_none() {
            return;
        }
        let index = &self.index;
        self.live.retain(|id, _| index.get(id).is_some_and(Entry::is_open));
        while self.live.len() > self.settings.in_memory {
            let oldest = self.live.iter().min_by_key(|(id, live)| (live.case.incident.last_event_time, (*id).clone()));
            let Some(id) = oldest.map(|(id, _)| id.clone()) else { return };
            self.live.remove(&id);
        }
    }

    /// Every case, the latest first.
    pub fn list(&self, filter: &Filter) -> impl Iterator<Item = &Entry> {
        let entries = self.by_age.iter().rev().filter_map(|(_, id)| self.index.get(id));
        entries.filter(|entry| filter.takes(entry))
    }

    /// The entry of the case whose id begins so.
    ///
    /// # Errors
    /// Where several do.
    pub fn find(&self, prefix: &str) -> Result<Option<&Entry>, Ambiguous> {
        if let Some(entry) = self.index.get(prefix) {
            return Ok(Some(entry));
        }
        let mut found = self.index.range(prefix.to_owned()..).take_while(|(id, _)| id.starts_with(prefix));
        let first = found.next().map(|(_, entry)| entry);
        match found.count() {
            0 => Ok(first.filter(|_| !prefix.is_empty())),
            more => Err(Ambiguous { prefix: prefix.to_owned(), count: more + 1 }),
        }
    }

    /// The whole file of a case.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub fn get(&self, id: &str) -> Result<Option<Case>, store::Error> {
        match self.live.get(id) {
            Some(live) => Ok(Some(live.case.clone())),
            None if self.index.contains_key(id) => self.load(id),
            None => Ok(None),
        }
    }

    /// Masks what case files say of a principal. It is done once `commit` is.
    ///
    /// # Errors
    /// Where the store can't be read: it must be asked for again.
    pub fn erase(
        &mut self,
        tenant: &str,
        principal: &str,
        now: Timestamp,
        commit: &mut Commit,
    ) -> Result<Erased, store::Error> {
        let (key, at) = self.erasures.add(tenant, principal, now);
        commit.put(|| key, &at);
        let ids: Vec<String> =
            self.index.values().filter(|entry| entry.tenant == tenant).map(|entry| entry.incident_id.clone()).collect();
        let mut erased = Erased::default();
        for id in ids {
            let was_live = self.live.contains_key(&id);
            let Some(live) = self.open_file(&id)? else { continue };
            if erase::erase(&mut live.case, principal, now) {
                erased.cases += 1;
                self.counts.erased += 1;
                self.write(&id, commit);
            } else if !was_live {
                self.live.remove(&id);
            }
        }
        Ok(erased)
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
}
