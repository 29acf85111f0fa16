//! What an identity could reach, from the state tables as of a moment.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use watershed_schemas::{Reach, StateTable, Timestamp};

use super::{Deeds, ENTRIES, Knowledge, Subject};
use crate::core::{Held, StateAt};

/// What was found of one identity, unbounded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Could {
    /// What it is called; of a session without an identity that session.
    pub(super) principal: String,
    /// Its ids as events have them; none where nobody knows whose it is.
    pub(super) ids: BTreeSet<String>,
    pub(super) credentials: BTreeSet<String>,
    pub(super) sessions: BTreeSet<String>,
    scopes: BTreeSet<String>,
    roles: BTreeSet<String>,
    tenants: BTreeSet<String>,
    delegates: BTreeSet<String>,
    shared_with: BTreeSet<String>,
    /// Credentials and sessions that were revoked, ended or past their end.
    pub(super) over: BTreeSet<String>,
    /// Credentials that the state tables have never heard of.
    pub(super) unheard: BTreeSet<String>,
    /// Whether an account of it is known, and says that it is not active.
    pub(super) inactive: Option<String>,
}

impl Could {
    /// What this subject could reach.
    pub(crate) fn of(subject: &Subject, knowledge: &Knowledge<'_>) -> Could {
        let mut could = Could { tenants: BTreeSet::from([subject.tenant.clone()]), ..Could::default() };
        let Some(id) = &subject.principal else {
            could.principal = subject.sessions.first().cloned().unwrap_or_default();
            could.used(subject, knowledge);
            return could;
        };
        let acting = knowledge.principals.acting(&subject.tenant, id, subject.at);
        could.principal = acting.principal;
        could.ids = acting.ids;
        let ids: BTreeSet<&str> = could.ids.iter().map(String::as_str).collect();
        let held = knowledge.state.held(&subject.tenant, &ids, Some(subject.at));
        could.own(&held, subject.at);
        for other in acting.delegates.iter().take(ENTRIES) {
            could.delegate(other, subject, knowledge);
        }
        could.delegates.extend(acting.delegates);
        could.tenants.extend(acting.tenants);
        could.registered(knowledge);
        could.used(subject, knowledge);
        could
    }

    /// Whether nothing is known of it.
    pub(super) fn is_nothing(&self) -> bool {
        let found = [&self.credentials, &self.sessions, &self.scopes, &self.roles, &self.delegates, &self.over];
        found.into_iter().all(BTreeSet::is_empty) && self.inactive.is_none()
    }

    /// What it holds itself.
    fn own(&mut self, held: &[Held], at: Timestamp) {
        for held in held {
            let columns = &held.columns;
            let status = text(columns, "status");
            match held.table {
                "accounts" => {
                    self.inactive = status.filter(|status| *status != "active").map(str::to_owned);
                }
                "grants" if status == Some("granted") => self.granted(columns),
                "sessions" if self.is_own(text(columns, "principal")) => {
                    let Some(session) = text(columns, "session_id") else { continue };
                    if matches!(status, Some("ended" | "revoked")) {
                        self.over.insert(session.to_owned());
                    } else {
                        self.sessions.insert(session.to_owned());
                        self.delegates.extend(agent(columns));
                    }
                }
                "tokens" if self.is_own(text(columns, "principal")) || self.is_own(text(columns, "on_behalf_of")) => {
                    self.token(columns, at);
                }
                _ => {}
            }
        }
    }

    fn is_own(&self, id: Option<&str>) -> bool {
        id.is_some_and(|id| self.ids.contains(id))
    }

    fn granted(&mut self, columns: &Map<String, Value>) {
        let (Some(kind), Some(name)) = (text(columns, "kind"), text(columns, "name")) else { return };
        match kind {
            "scope" => self.scopes.insert(name.to_owned()),
            "consent" => self.delegates.insert(format!("client:{name}")),
            _ => self.roles.insert(format!("{kind}:{name}")),
        };
    }

    /// A token in its name, or on its behalf.
    fn token(&mut self, columns: &Map<String, Value>, at: Timestamp) {
        let Some(credential) = text(columns, "credential_id") else { return };
        let expired =
            text(columns, "expires_at").and_then(|end| Timestamp::parse(end).ok()).is_some_and(|end| end <= at);
        if expired || text(columns, "status") == Some("revoked") {
            self.over.insert(credential.to_owned());
            return;
        }
        self.credentials.insert(credential.to_owned());
        self.scopes.extend(texts(columns, "scopes"));
        self.delegates.extend(agent(columns));
    }

    /// Somebody who acts for it, or for whom it answers: what they hold in its name counts as its own.
    fn delegate(&mut self, other: &str, subject: &Subject, knowledge: &Knowledge<'_>) {
        let acting = knowledge.principals.acting(&subject.tenant, other, subject.at);
        let ids: BTreeSet<&str> = acting.ids.iter().map(String::as_str).collect();
        for held in knowledge.state.held(&subject.tenant, &ids, Some(subject.at)) {
            if held.table == "tokens" && self.is_own(text(&held.columns, "on_behalf_of")) {
                self.token(&held.columns, subject.at);
            }
        }
    }

    /// What the registry of agents says: agents that it owns, and where its agents may go.
    fn registered(&mut self, knowledge: &Knowledge<'_>) {
        let agents = &knowledge.registry.agents;
        let owned =
            agents.iter().filter(|(_, agent)| agent.owner.as_ref().is_some_and(|owner| self.ids.contains(owner)));
        let owned: Vec<String> = owned.map(|(id, _)| id.clone()).collect();
        self.delegates.extend(owned);
        let reachable = self.delegates.iter().chain(&self.ids);
        let tenants: Vec<String> = reachable
            .filter_map(|id| agents.get(id.as_str()))
            .flat_map(|agent| agent.tenants.iter().cloned())
            .collect();
        self.tenants.extend(tenants);
    }

    /// Credentials of it, and those that were used: who else was ever named with them, and what became of them.
    fn used(&mut self, subject: &Subject, knowledge: &Knowledge<'_>) {
        let all: Vec<String> = self.credentials.union(&subject.credentials).cloned().collect();
        for credential in all {
            let named = knowledge.state.named_with(&subject.tenant, &credential, subject.at);
            let Some(named) = named else {
                self.unheard.insert(credential);
                continue;
            };
            let names = knowledge.principals.names().read();
            let others = named.principals.iter().map(|id| names.canonical(&subject.tenant, id));
            let others =
                others.filter(|other| *other != self.principal && !self.ids.contains(*other)).map(str::to_owned);
            self.shared_with.extend(others);
            // One agent with a credential is its user; two share it.
            if named.agents.len() > 1 || !self.credentials.contains(&credential) {
                self.shared_with.extend(named.agents.iter().cloned());
            }
            if named.over {
                self.over.insert(credential);
            }
        }
    }

    /// Who counts what it did.
    pub(crate) fn deeds(&self, subject: &Subject) -> Deeds {
        let sessions = self.sessions.union(&subject.sessions).cloned().collect();
        let credentials = self.credentials.union(&subject.credentials).cloned().collect();
        Deeds::new(subject, self.ids.clone(), self.principal.clone(), sessions, credentials)
    }

    /// The same as lists, together with what was seen being done.
    pub(super) fn reach(self, deeds: &Deeds) -> Reach {
        let mut omitted = 0_u32;
        let mut list = |all: BTreeSet<String>| -> Vec<String> {
            let more = all.len().saturating_sub(ENTRIES);
            omitted = omitted.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
            all.into_iter().take(ENTRIES).collect()
        };
        let mut shared_with = self.shared_with;
        shared_with.extend(deeds.sharing());
        let reach = Reach {
            credentials: list(self.credentials),
            sessions: list(self.sessions),
            scopes: list(self.scopes),
            roles: list(self.roles),
            tenants: list(self.tenants),
            delegates: list(self.delegates),
            shared_with: list(shared_with),
            omitted: 0,
        };
        Reach { omitted, ..reach }
    }

    /// Whether anything of this table is missing, and since when.
    pub(super) fn lost(knowledge: &Knowledge<'_>) -> impl Iterator<Item = (StateTable, Timestamp)> {
        StateTable::ALL.into_iter().filter_map(|table| Some((table, knowledge.state.lost(table)?)))
    }
}

fn text<'a>(columns: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    columns.get(name)?.as_str()
}

fn texts<'a>(columns: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = String> + 'a {
    columns.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned()))
}

/// The agent that a token or session is with.
fn agent(columns: &Map<String, Value>) -> Option<String> {
    Some(text(columns, "agent_id")?.to_owned())
}
