//! What a principal held at a time.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};
use watershed_schemas::Timestamp;

use super::StateTables;
use super::deeds::{Fill, fills, is_called};
use super::fold::{Table, Version};
use super::value::Value;
use crate::core::{Held, StateAt};

impl StateAt for StateTables {
    fn held(&self, tenant: &str, ids: &BTreeSet<&str>, at: Option<Timestamp>) -> Vec<Held> {
        let names = self.members.names.read();
        let mut held = Vec::new();
        for table in self.tables.iter().flatten() {
            let by_principal = table.table.lookups().iter().filter(|column| is_called(table.table, **column));
            let entries =
                by_principal.flat_map(|column| ids.iter().filter_map(|id| table.index.find(*column, tenant, id)));
            let keys = entries.flat_map(|entry| table.index.keys(entry)).copied().collect();
            table.each_version_of(&keys, &names, |version| {
                let holds = match at {
                    Some(at) => version.event.time <= at && version.valid_to.is_none_or(|until| at < until),
                    None => version.valid_to.is_none(),
                };
                if holds {
                    held.push(shown(table, version));
                }
            });
        }
        held.sort_by(|a, b| (a.table, a.valid_from).cmp(&(b.table, b.valid_from)));
        held
    }
}

/// Who a credential was ever named with, up to a moment, and whether it was over then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedWith {
    /// Identities that it was issued to, or that it was moved to, as records have them.
    pub principals: BTreeSet<String>,
    /// Agents that it was issued to.
    pub agents: BTreeSet<String>,
    /// Whether it was revoked, deleted or past its end.
    pub over: bool,
}

impl StateTables {
    /// What tokens say of a credential up to this moment; nothing where it was never heard of.
    pub fn named_with(&self, tenant: &str, credential: &str, at: Timestamp) -> Option<NamedWith> {
        use watershed_schemas::{StateTable, tables::tokens};
        let table = self.tables[StateTable::Tokens.index()].as_ref()?;
        let entry = table.index.find(tokens::CREDENTIAL_ID, tenant, credential)?;
        let mut found: Option<NamedWith> = None;
        for key in table.index.keys(entry) {
            table.each_version(*key, |version| {
                if version.event.time > at {
                    return;
                }
                let columns = shown(table, version).columns;
                let text = |name: &str| columns.get(name).and_then(Json::as_str).map(str::to_owned);
                let named = found.get_or_insert_default();
                named.principals.extend(text("principal"));
                named.agents.extend(text("agent_id"));
                let end = text("expires_at").and_then(|end| Timestamp::parse(&end).ok());
                // Versions come oldest first: the last one says how it stands.
                named.over = text("status").as_deref() == Some("revoked") || end.is_some_and(|end| end <= at);
            });
        }
        found
    }

    /// Versions that ended before this moment are folded away.
    pub fn folded_to(&self) -> Timestamp {
        if self.whole { Timestamp::MIN } else { self.folded_to }
    }
}

fn shown(table: &Table, version: &Version<'_>) -> Held {
    let columns = fills(table.table).iter().zip(table.table.columns()).filter_map(|(fill, column)| {
        let value = match fill {
            Fill::EventId => Json::from(version.event.event_id.as_ref()),
            Fill::Source => Json::from(version.event.source.as_ref()),
            Fill::Key(part) => Json::from(version.key.parts[*part].as_ref()),
            Fill::Last(place) | Fill::First(place) => match &version.values[*place] {
                Value::None => return None,
                Value::Time(time) => Json::from(Timestamp::from_micros(*time).to_string()),
                Value::Text(text) => Json::from(text.as_ref()),
                Value::Texts(texts) => texts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().into(),
            },
            Fill::ValidFrom | Fill::ValidTo | Fill::Tenant => return None,
        };
        Some((column.name.to_owned(), value))
    });
    Held {
        table: table.table.name(),
        valid_from: version.event.time,
        valid_to: version.valid_to,
        columns: columns.collect::<Map<String, Json>>(),
    }
}
