//! One fabric of identities: which ids are one principal.
//!
//! Events name principals by whatever id their source knows: an e-mail address, an object id, an ARN. Some state two ids at
//! once. A *fold* over these links, and over what an alias file says, makes principals of ids; rows are kept as they came
//! and read by the names that are in force ([`InForce`]).
//!
//! * A link joins its two ids for all time: identity is not dated. What it was learned from, and since when, is kept.
//! * What a principal is called is a function of its set of ids alone.
//! * A link that would make one of two established principals is refused and reported (see `fold`).
//! * The result depends on the set of links only, never on their order of arrival; only what hangs together with a new link is
//!   folded anew.
//! * Whom a principal acts for and who owns it is kept beside it and never joins anything.
//!
//! It is not: a directory. What was never stated is not known, and no address, device or display name links anything.

mod delegates;
mod fold;
mod id;
mod learn;
mod link;
mod named;
mod names;
mod stored;
mod tenant;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use watershed_schemas::{ColumnSet, EventBatch, Plane};

use crate::store::Commit;

use learn::{Says, Settled};
use link::{Pair, Seen};
use named::Named;
use tenant::{Learned, Tenant};

pub use delegates::Acting;
pub use link::Relation;
pub use names::{InForce, Names, Renamed};
pub use stored::PREFIX;
pub use view::{Conflict, Identity, LinkedId, Provenance, Related};
pub use watershed_rules::{Alias, Aliases};

/// How much is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most links and relations of all tenants.
    pub links: usize,
    /// Most ids that events tie directly to one id.
    pub links_per_id: usize,
    /// Most ids of one principal.
    pub ids: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { links: 1_000_000, links_per_id: 256, ids: 64 }
    }
}

/// What was learned, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pairs of ids that some event states to be one principal.
    pub links: usize,
    /// What principals are to each other.
    pub relations: usize,
    /// Ids that are called something else.
    pub renamed: usize,
    /// Links that are refused.
    pub conflicts: usize,
    /// Statements that were not learned because a limit was reached.
    pub overflow: u64,
    /// Ids that came to be called something else while running.
    pub corrections: u64,
}

/// Everything that is known of principals.
#[derive(Debug, Default)]
pub struct Principals {
    limits: Limits,
    tenants: BTreeMap<Arc<str>, Tenant>,
    names: InForce,
    /// The alias file that is in force.
    aliases: Aliases,
    settled: Settled,
    links: usize,
    relations: usize,
    overflow: u64,
    corrections: u64,
}

impl Principals {
    /// Nobody is known yet.
    pub fn new(limits: Limits) -> Self {
        Principals { limits, ..Principals::default() }
    }

    /// The names that are in force.
    pub fn names(&self) -> &InForce {
        &self.names
    }

    /// The columns of every row that are looked at, whether a rule matches it or not.
    pub fn columns(plane: Plane) -> ColumnSet {
        learn::columns(plane)
    }

    /// Learns from the accepted rows of a batch. Names change with [`Principals::settle`].
    pub fn learn(&mut self, batch: &EventBatch, accepted: Option<&[u32]>, commit: &mut Commit) {
        let mut settled = std::mem::take(&mut self.settled);
        learn::statements(batch, accepted, &mut settled, |statement| self.take(statement, commit));
        self.settled = settled;
    }

    fn take(&mut self, statement: learn::Statement<'_>, commit: &mut Commit) {
        let learn::Statement { tenant: name, source, event_id, time, says } = statement;
        let full = self.links + self.relations >= self.limits.links;
        if !self.tenants.contains_key(name) {
            self.tenants.insert(name.into(), Tenant::default());
        }
        let Some(tenant) = self.tenants.get_mut(name) else { return };
        let source: Arc<str> = source.into();
        let (a, b, principal) = match says {
            Says::Alias(own, other) => (own, other, [own < other, other < own]),
            Says::Aliases(one, other) => (one, other, [false; 2]),
            Says::Relation(relation, from, to) => {
                let key = (relation, Arc::from(from), Arc::from(to), source);
                if full && !tenant.relations.contains_key(&key) {
                    self.overflow += 1;
                    return;
                }
                let learned = tenant.relate(key.clone(), Seen::new(time, event_id, [false; 2]));
                if let (Learned::New { another }, Some(seen)) = (learned, tenant.relations.get(&key)) {
                    self.relations += usize::from(another);
                    stored::put_relation(name, &key, seen, commit);
                }
                return;
            }
        };
        let pair = Pair::new(a.into(), b.into());
        if full && !tenant.links.contains_key(&pair) {
            self.overflow += 1;
            return;
        }
        match tenant.link(&pair, &source, Seen::new(time, event_id, principal), self.limits.links_per_id) {
            Learned::Known => {}
            Learned::Full => self.overflow += 1,
            Learned::New { another } => {
                self.links += usize::from(another);
                if let Some(seen) = tenant.links.get(&pair).and_then(|sources| sources.get(&source)) {
                    stored::put_link(name, &pair, &source, seen, commit);
                }
            }
        }
    }

    /// Takes up another alias file. Names change with [`Principals::settle`].
    pub fn name(&mut self, aliases: Aliases, commit: &mut Commit) {
        if aliases == self.aliases {
            return;
        }
        stored::put_aliases(&aliases, commit);
        self.take_up(aliases);
    }

    fn take_up(&mut self, aliases: Aliases) {
        let mut named: BTreeMap<&str, Named> = BTreeMap::new();
        for row in aliases.rows() {
            named.entry(&row.tenant).or_default().add(row);
        }
        for (tenant, state) in &mut self.tenants {
            state.name(named.remove(&**tenant).unwrap_or_default());
        }
        for (tenant, named) in named {
            self.tenants.entry(tenant.into()).or_default().name(named);
        }
        self.aliases = aliases;
    }

    /// Works out what ids are called after everything that was learned since the last call. The names in force stay until
    /// [`Principals::rename`].
    #[must_use]
    pub fn settle(&mut self) -> Vec<Renamed> {
        let mut renamed = Vec::new();
        for (name, tenant) in self.tenants.iter_mut().filter(|(_, tenant)| tenant.is_touched()) {
            let changes = tenant.settle(self.limits.ids);
            renamed.extend(changes.into_iter().map(|(id, before, now)| Renamed {
                tenant: Arc::clone(name),
                id,
                before,
                now,
            }));
        }
        renamed
    }

    /// Puts names in force.
    pub fn rename(&mut self, renamed: &[Renamed]) {
        self.corrections += renamed.len() as u64;
        self.names.rename(renamed);
    }

    /// What was learned.
    pub fn counts(&self) -> Counts {
        Counts {
            links: self.links,
            relations: self.relations,
            renamed: self.names.read().len(),
            conflicts: self.tenants.values().map(|tenant| tenant.refused.len()).sum(),
            overflow: self.overflow,
            corrections: self.corrections,
        }
    }

    /// Takes up what was durable before a restart: names are as they were then.
    pub fn restore(&mut self, stored: &[(Vec<u8>, Vec<u8>)]) {
        for (_, value) in stored {
            match serde_json::from_slice(value) {
                Ok(stored::Record::Link { tenant, ids: [a, b], source, seen }) => {
                    let tenant = self.tenants.entry(tenant.into()).or_default();
                    let pair = Pair::new(a.into(), b.into());
                    let learned = tenant.link(&pair, &source.into(), seen, usize::MAX);
                    self.links += usize::from(learned == Learned::New { another: true });
                }
                Ok(stored::Record::Relation { tenant, relation, from, to, source, seen }) => {
                    let tenant = self.tenants.entry(tenant.into()).or_default();
                    tenant.relate((relation, from.into(), to.into(), source.into()), seen);
                    self.relations += 1;
                }
                Ok(stored::Record::Aliases { rows }) => {
                    if let Ok(aliases) = Aliases::new(rows) {
                        self.take_up(aliases);
                    }
                }
                Err(_) => {}
            }
        }
        let renamed = self.settle();
        self.names.rename(&renamed);
    }
}
