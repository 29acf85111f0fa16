//! One tenant's ids, with everything that was stated of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use watershed_schemas::Timestamp;

use super::fold::{Cluster, Link, Why};
use super::link::{Pair, Relation, Seen};
use super::named::Named;

/// What one principal is to another: the relation, from whom, to whom, and the source that states it.
pub(super) type Stated = (Relation, Arc<str>, Arc<str>, Arc<str>);

/// An id, what it was called and what it is called now.
pub(super) type Called = (Arc<str>, Arc<str>, Arc<str>);

/// What is known of a tenant.
#[derive(Debug, Default)]
pub(super) struct Tenant {
    /// For each pair of ids the sources that state it.
    pub(super) links: BTreeMap<Pair, BTreeMap<Arc<str>, Seen>>,
    neighbours: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
    pub(super) relations: BTreeMap<Stated, Seen>,
    /// For each id those that act for it or belong to it.
    toward: HashMap<Arc<str>, BTreeSet<(Relation, Arc<str>)>>,
    /// What the alias file says.
    pub(super) named: Named,
    /// What ids are called that are called something else.
    pub(super) called: HashMap<Arc<str>, Arc<str>>,
    /// The ids of each principal that has several, by what it is called.
    pub(super) members: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Links that were refused.
    pub(super) refused: BTreeMap<Pair, Why>,
    /// Ids about which something new was said.
    touched: BTreeSet<Arc<str>>,
}

/// What became of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Learned {
    /// It says nothing new.
    Known,
    /// It has to be stored.
    New {
        /// Whether a link between two ids came that nobody had stated before.
        another: bool,
    },
    /// One of the ids has as many links as it may have.
    Full,
}

impl Tenant {
    /// Takes in that a source states two ids of one principal. No id may have more links than `most`.
    pub(super) fn link(&mut self, pair: &Pair, source: &Arc<str>, seen: Seen, most: usize) -> Learned {
        let another = !self.links.contains_key(pair);
        if another {
            let full = |id| self.neighbours.get(id).is_some_and(|known: &BTreeSet<_>| known.len() >= most);
            if full(&pair.0) || full(&pair.1) {
                return Learned::Full;
            }
            for (id, other) in [(&pair.0, &pair.1), (&pair.1, &pair.0)] {
                self.neighbours.entry(Arc::clone(id)).or_default().insert(Arc::clone(other));
            }
        }
        let sources = self.links.entry(pair.clone()).or_default();
        let (changed, counts) = match sources.get_mut(source) {
            Some(known) => known.join(seen),
            None => {
                sources.insert(Arc::clone(source), seen);
                (true, true)
            }
        };
        if counts {
            self.touched.insert(Arc::clone(&pair.0));
        }
        if changed { Learned::New { another } } else { Learned::Known }
    }

    /// Takes in that a source states what one principal is to another.
    pub(super) fn relate(&mut self, relation: Stated, seen: Seen) -> Learned {
        match self.relations.get_mut(&relation) {
            Some(known) => match known.join(seen) {
                (true, _) => Learned::New { another: false },
                (false, _) => Learned::Known,
            },
            None => {
                let (kind, from, to, _) = &relation;
                self.toward.entry(Arc::clone(to)).or_default().insert((*kind, Arc::clone(from)));
                self.relations.insert(relation, seen);
                Learned::New { another: true }
            }
        }
    }

    /// The ids that act for this one or belong to it, as some source said up to this moment.
    pub(super) fn toward(&self, id: &Arc<str>, at: Timestamp) -> impl Iterator<Item = &Arc<str>> {
        self.toward.get(id).into_iter().flatten().filter_map(move |(kind, from)| {
            let first = (*kind, Arc::clone(from), Arc::clone(id), Arc::from(""));
            let stated = self.relations.range(first..);
            let same = stated.take_while(|((other, source, to, _), _)| other == kind && source == from && to == id);
            same.into_iter().any(|(_, seen)| seen.first <= at).then_some(from)
        })
    }

    /// Whether an id is tied to another one.
    pub(super) fn ties(&self, id: &str) -> bool {
        self.neighbours.contains_key(id) || self.named.principal(id).is_some()
    }

    /// Takes up another alias file.
    pub(super) fn name(&mut self, named: Named) {
        self.touched.extend(self.named.ids().cloned());
        self.touched.extend(named.ids().cloned());
        self.named = named;
    }

    /// Whether something new was said since the last look.
    pub(super) fn is_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Whether anything was said of an id.
    pub(super) fn knows(&self, id: &str) -> bool {
        let related = || self.relations.keys().any(|(_, from, to, _)| **from == *id || **to == *id);
        self.neighbours.contains_key(id) || self.named.principal(id).is_some() || related()
    }

    /// What an id is called.
    pub(super) fn canonical(&self, id: &Arc<str>) -> Arc<str> {
        Arc::clone(self.called.get(id).unwrap_or(id))
    }

    /// Folds anew what hangs together with ids about which something new was said. Returns the ids that are called something
    /// else now, each with what it was called before and is called now.
    pub(super) fn settle(&mut self, most: usize) -> Vec<Called> {
        let mut renamed = Vec::new();
        let mut seen: BTreeSet<Arc<str>> = BTreeSet::new();
        for start in std::mem::take(&mut self.touched) {
            if seen.contains(&start) {
                continue;
            }
            let ids = self.cluster(start);
            seen.extend(ids.iter().cloned());
            self.fold(ids.into_iter().collect(), most, &mut renamed);
        }
        renamed.sort();
        renamed
    }

    /// Every id that hangs together with this one.
    fn cluster(&self, start: Arc<str>) -> BTreeSet<Arc<str>> {
        let mut found = BTreeSet::from([Arc::clone(&start)]);
        let mut open = vec![start];
        while let Some(id) = open.pop() {
            let learned = self.neighbours.get(&id).into_iter().flatten();
            for other in learned.chain(self.named.neighbours(&id)) {
                if found.insert(Arc::clone(other)) {
                    open.push(Arc::clone(other));
                }
            }
        }
        found
    }

    fn fold(&mut self, ids: Vec<Arc<str>>, most: usize, renamed: &mut Vec<Called>) {
        let place = |id: &Arc<str>| ids.binary_search(id).ok();
        let mut pairs: Vec<Pair> = Vec::new();
        for (id, others) in ids.iter().filter_map(|id| Some((id, self.neighbours.get(id)?))) {
            pairs.extend(others.iter().filter(|other| id < other).map(|other| Pair(Arc::clone(id), Arc::clone(other))));
        }
        let mut links = Vec::new();
        let mut pair_of = Vec::new();
        for (at, pair) in pairs.iter().enumerate() {
            let (Some(sources), Some(a), Some(b)) = (self.links.get(pair), place(&pair.0), place(&pair.1)) else {
                continue;
            };
            for (source, seen) in sources {
                links.push(Link {
                    first: seen.first,
                    source,
                    event_id: &seen.event_id,
                    ends: [a, b],
                    principal: seen.principal,
                });
                pair_of.push(at);
            }
        }
        let named = ids.iter().map(|id| self.named.principal(id).and_then(place)).collect();
        let cluster = Cluster { ids: ids.clone(), named, links, most };
        let folded = cluster.fold();
        drop(cluster);
        for pair in &pairs {
            self.refused.remove(pair);
        }
        for (link, why) in folded.refused {
            // Of several sources the first one counts.
            self.refused.entry(pairs[pair_of[link]].clone()).or_insert(why);
        }
        for id in &ids {
            let before = self.canonical(id);
            if let Some(members) = self.members.get_mut(&before) {
                members.remove(id);
                if members.is_empty() {
                    self.members.remove(&before);
                }
            }
        }
        let mut sizes = vec![0_usize; ids.len()];
        folded.canonical.iter().for_each(|at| sizes[*at] += 1);
        for (id, at) in ids.iter().zip(folded.canonical) {
            let (before, now) = (self.canonical(id), Arc::clone(&ids[at]));
            if sizes[at] > 1 {
                self.members.entry(Arc::clone(&now)).or_default().insert(Arc::clone(id));
            }
            if now == *id {
                self.called.remove(id);
            } else {
                self.called.insert(Arc::clone(id), Arc::clone(&now));
            }
            if before != now {
                renamed.push((Arc::clone(id), before, now));
            }
        }
    }
}
