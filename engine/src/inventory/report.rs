//! The inventory as it is shown: facts beside what is intended, and the gaps between them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watershed_rules::ReferenceTables;
use watershed_schemas::{Plane, Timestamp};

use super::facts::{Facts, Kind, Status, Tie};
use super::gaps::{self, Gap};
use super::{Inventory, Resolve, Thing};
use crate::registry::{Registered, Registry};

mod entries;
mod tokens;

/// Credential ids that are shown of tokens that are reported together.
const EXAMPLES: usize = 5;

/// From when on something is a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long a credential may be in force.
    pub max_age: Duration,
    /// How long before the end something must have been used last to count as unused.
    pub unused_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let day = Duration::from_secs(86_400);
        Options { max_age: 90 * day, unused_after: 30 * day }
    }
}

impl Options {
    /// The options as the query of a request: seconds.
    pub fn query(&self) -> [(&'static str, String); 2] {
        [("max_age", self.max_age.as_secs().to_string()), ("unused_after", self.unused_after.as_secs().to_string())]
    }

    /// The options that the query of a request states; what it leaves out is as usual.
    ///
    /// # Errors
    /// When it states another option, or one that is no number of seconds.
    pub fn from_query(query: Option<&str>) -> Result<Self, String> {
        let mut options = Options::default();
        for (name, value) in seconds(query)? {
            match &*name {
                "max_age" => options.max_age = value,
                "unused_after" => options.unused_after = value,
                _ => return Err(format!("there is no option `{name}`; there are max_age and unused_after")),
            }
        }
        Ok(options)
    }
}

/// Reads a query of which every value is a number of seconds.
pub(crate) fn seconds(query: Option<&str>) -> Result<Vec<(Cow<'_, str>, Duration)>, String> {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let read = pairs.map(|(name, value)| match value.parse() {
        Ok(value) => Ok((name, Duration::from_secs(value))),
        Err(_) => Err(format!("`{name}` is not a number of seconds")),
    });
    read.collect()
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// An AI agent.
    Agent,
    /// A service account or workload.
    Workload,
    /// A credential that stands until it is taken away: an API key, an access key, a certificate.
    Credential,
    /// Tokens of one type and holder, reported together.
    Tokens,
    /// A scope.
    Scope,
    /// A tool.
    Tool,
}

impl What {
    /// Every one.
    pub const ALL: [What; 6] = [What::Agent, What::Workload, What::Credential, What::Tokens, What::Scope, What::Tool];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            What::Agent => "agent",
            What::Workload => "workload",
            What::Credential => "credential",
            What::Tokens => "tokens",
            What::Scope => "scope",
            What::Tool => "tool",
        }
    }
}

/// What an agent is meant for; absent where the registry doesn't say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intended {
    /// Scopes.
    pub scopes: Option<Vec<String>>,
    /// Tools.
    pub tools: Option<Vec<String>>,
}

/// One gap of an entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Found {
    /// Which kind.
    pub gap: Gap,
    /// What shows it.
    pub detail: String,
    /// Of how many of the tokens that are reported together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
}

/// One thing that was seen, or that the registry names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// What it is.
    pub what: Option<What>,
    /// Its tenant.
    pub tenant: String,
    /// Its id.
    pub id: String,
    /// What it calls itself.
    pub names: Vec<String>,
    /// Its types, as identity systems say.
    pub types: Vec<String>,
    /// Planes that saw it.
    pub planes: Vec<String>,
    /// Sources that saw it.
    pub sources: Vec<String>,
    /// When it was first heard of.
    pub first_seen: Option<Timestamp>,
    /// When it was last heard of.
    pub last_seen: Option<Timestamp>,
    /// When it was first used.
    pub first_use: Option<Timestamp>,
    /// When it was last used.
    pub last_use: Option<Timestamp>,
    /// The event of the last use.
    pub last_use_event_id: Option<String>,
    /// When it was made, where that was heard.
    pub created_at: Option<Timestamp>,
    /// Whole days since it was made or replaced; where that wasn't heard since it was first heard of.
    pub age_days: Option<u64>,
    /// When it went out of force.
    pub ended_at: Option<Timestamp>,
    /// Who answers for it.
    pub owners: Vec<String>,
    /// Who says so: `registry`, `identity`, `holder` or `creator`.
    pub owner_from: Option<String>,
    /// What it is meant for.
    pub intended: Intended,
    /// Scopes that it was granted or asked for.
    pub held_scopes: Vec<String>,
    /// Scopes that it used, as far as that is told.
    pub used_scopes: Vec<String>,
    /// Tools that it called.
    pub used_tools: Vec<String>,
    /// Roles and groups.
    pub roles: Vec<String>,
    /// Agents that have or use it.
    pub agents: Vec<String>,
    /// Principals that have it, use it, or that it serves.
    pub principals: Vec<String>,
    /// OAuth clients.
    pub clients: Vec<String>,
    /// Credentials that it has.
    pub credentials: Vec<String>,
    /// How many tokens are reported together, where they are.
    pub tokens: Option<u64>,
    /// Tenants in which the same agent was seen, or is meant to be.
    pub tenants: Vec<String>,
    /// How its access is taken away.
    pub revocation_path: Option<String>,
    /// Whether a list above is cut.
    pub cut: bool,
    /// What is wrong.
    pub gaps: Vec<Found>,
}

/// A bound that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Of what.
    pub what: String,
    /// How many entries are kept.
    pub kept: u64,
    /// How many there were, estimated.
    pub about: u64,
}

/// The inventory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Time of the oldest event.
    pub from: Option<Timestamp>,
    /// Time of the newest event: ages and quiet times count back from here.
    pub until: Option<Timestamp>,
    /// Longest that a credential may be in force, in seconds.
    pub max_age_seconds: u64,
    /// Quiet time after which something is unused, in seconds.
    pub unused_after_seconds: u64,
    /// Agents that the registry names; without any nothing can be unknown to it.
    pub registered_agents: u64,
    /// Whether it is told which scope a tool needs, or events name the scopes that they used.
    pub scope_use_is_told: bool,
    /// How many entries there are of each kind.
    pub counts: BTreeMap<String, u64>,
    /// How many entries have each gap.
    pub gaps: BTreeMap<String, u64>,
    /// Bounds that were reached.
    pub cut: Vec<Cut>,
    /// The entries.
    pub entries: Vec<Entry>,
}

impl Inventory {
    /// Holds what was seen against the reference tables. Ids that `resolve` says are one principal are one entry.
    pub fn report(&self, options: &Options, reference: &ReferenceTables, resolve: Resolve<'_>) -> Report {
        let registry = Registry::of(reference);
        let end = self.newest.unwrap_or(Timestamp::MIN);
        let told = registry.tools.values().any(Option::is_some)
            || Kind::ALL
                .iter()
                .any(|kind| self.things(*kind).any(|thing| thing.facts.tied(Tie::UsedScope).next().is_some()));
        let reporting = Reporting {
            options,
            registry: &registry,
            resolve,
            end,
            principals: self.principals(resolve),
            scopes_are_told: told,
        };
        let mut entries = reporting.agents(self);
        entries.extend(reporting.workloads());
        entries.extend(reporting.credentials(self));
        entries.extend(reporting.scopes(self));
        entries.extend(reporting.tools(self));
        entries.sort_by(|a, b| (a.what, &a.tenant, &a.id).cmp(&(b.what, &b.tenant, &b.id)));

        let mut counts: BTreeMap<String, u64> = What::ALL.iter().map(|what| (what.name().to_owned(), 0)).collect();
        let mut found: BTreeMap<String, u64> = Gap::ALL.iter().map(|gap| (gap.name().to_owned(), 0)).collect();
        for entry in &entries {
            *counts.entry(entry.what.map_or("other", What::name).to_owned()).or_default() += 1;
            for gap in entry.gaps.iter().map(|found| found.gap).collect::<BTreeSet<_>>() {
                *found.entry(gap.name().to_owned()).or_default() += 1;
            }
        }
        counts.insert("principal".to_owned(), reporting.principals.len() as u64);
        Report {
            from: self.oldest,
            until: self.newest,
            max_age_seconds: options.max_age.as_secs(),
            unused_after_seconds: options.unused_after.as_secs(),
            registered_agents: registry.agents.len() as u64,
            scope_use_is_told: told,
            counts,
            gaps: found,
            cut: self.cut(),
            entries,
        }
    }

    fn cut(&self) -> Vec<Cut> {
        let cut = |kind: &Kind| {
            let sample = &self.things[*kind as usize];
            sample.about().map(|about| Cut { what: kind.name().to_owned(), kept: sample.len() as u64, about })
        };
        Kind::ALL.iter().filter_map(cut).collect()
    }

    /// What is known of each principal, under whatever ids.
    fn principals(&self, resolve: Resolve<'_>) -> BTreeMap<(String, String), Facts> {
        let mut principals: BTreeMap<(String, String), Facts> = BTreeMap::new();
        for Thing { key, facts } in self.things(Kind::Principal) {
            let canonical = resolve(&key.tenant, &key.id);
            principals.entry((key.tenant.clone(), canonical)).or_default().merge(facts);
        }
        principals
    }
}

/// What a report is made with.
struct Reporting<'a> {
    options: &'a Options,
    registry: &'a Registry,
    resolve: Resolve<'a>,
    end: Timestamp,
    principals: BTreeMap<(String, String), Facts>,
    scopes_are_told: bool,
}

impl Reporting<'_> {
    /// What the facts alone say.
    fn entry(&self, what: What, tenant: &str, id: &str, facts: &Facts) -> Entry {
        let list = |tie: Tie| -> Vec<String> { facts.tied(tie).map(str::to_owned).collect() };
        let both = |one: Tie, other: Tie| -> BTreeSet<&str> { facts.tied(one).chain(facts.tied(other)).collect() };
        let owned = |names: BTreeSet<&str>| -> Vec<String> { names.into_iter().map(str::to_owned).collect() };
        let people: BTreeSet<String> =
            both(Tie::Principal, Tie::UsedByPrincipal).into_iter().map(|id| (self.resolve)(tenant, id)).collect();
        let planes = [(Plane::Model, Tie::RuntimeSource), (Plane::Access, Tie::IdentitySource)];
        let seen_by = planes.into_iter().filter(|(_, tie)| facts.tied(*tie).next().is_some());
        Entry {
            what: Some(what),
            tenant: tenant.to_owned(),
            id: id.to_owned(),
            names: list(Tie::Name),
            types: list(Tie::Type),
            planes: seen_by.map(|(plane, _)| plane.table().to_owned()).collect(),
            sources: owned(both(Tie::RuntimeSource, Tie::IdentitySource)),
            first_seen: facts.times.first_seen,
            last_seen: facts.times.last_seen,
            first_use: facts.times.first_use,
            last_use: facts.times.last_use.as_ref().map(|(time, _)| *time),
            last_use_event_id: facts.times.last_use.as_ref().map(|(_, id)| id.clone()),
            created_at: facts.times.created,
            age_days: facts.since().map(|since| gaps::days(since, self.end)),
            ended_at: gaps::ended(facts, self.end),
            owners: Vec::new(),
            owner_from: None,
            intended: Intended::default(),
            held_scopes: list(Tie::HeldScope),
            used_scopes: self.used_scopes(facts).into_iter().collect(),
            used_tools: list(Tie::Tool),
            roles: list(Tie::Role),
            agents: owned(both(Tie::Agent, Tie::UsedByAgent)),
            principals: people.into_iter().collect(),
            clients: list(Tie::Client),
            credentials: list(Tie::Credential),
            tokens: None,
            tenants: Vec::new(),
            revocation_path: None,
            cut: facts.ties.values().any(|names| names.cut),
            gaps: Vec::new(),
        }
    }

    /// The scopes that were seen in use, and those that the used tools need.
    fn used_scopes(&self, facts: &Facts) -> BTreeSet<String> {
        let needed = self.registry.scopes_of(facts.tied(Tie::Tool));
        facts.tied(Tie::UsedScope).chain(needed).map(str::to_owned).collect()
    }

    /// Says who answers for it.
    fn own(&self, entry: &mut Entry, registered: Option<&Registered>, facts: &Facts, holders: &[&str]) {
        let of = |tie: Tie| -> Vec<String> { facts.tied(tie).map(str::to_owned).collect() };
        let choices = [
            ("registry", registered.and_then(|agent| agent.owner.clone()).into_iter().collect()),
            ("identity", of(Tie::Owner)),
            ("holder", holders.iter().map(|holder| (*holder).to_owned()).collect()),
            ("creator", of(Tie::Creator)),
        ];
        if let Some((from, owners)) = choices.into_iter().find(|(_, owners)| !owners.is_empty()) {
            entry.owners = owners;
            entry.owner_from = Some(from.to_owned());
        }
    }

    /// Whether it was used when all who answer for it had left.
    fn used_after_owners_left(&self, entry: &Entry) -> Option<String> {
        let used = entry.last_use?;
        let mut gone = Vec::new();
        for owner in &entry.owners {
            let id = (self.resolve)(&entry.tenant, owner);
            let (at, status) = self.principals.get(&(entry.tenant.clone(), id))?.status_at(used)?;
            if status != Status::Ended {
                return None;
            }
            gone.push(format!("{owner} left at {at}"));
        }
        if gone.is_empty() {
            return None;
        }
        let event = entry.last_use_event_id.as_deref().unwrap_or_default();
        Some(format!("{}; used at {used} ({event})", gone.join(", ")))
    }
}

impl Entry {
    /// Adds a gap, where there is one.
    fn gap(&mut self, gap: Gap, detail: Option<String>) {
        if let Some(detail) = detail {
            self.gaps.push(Found { gap, detail, tokens: None });
        }
    }
}
