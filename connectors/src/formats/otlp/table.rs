//! The alias tables, read once from the file beside.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;
use watershed_schemas::Plane;

use super::item::Attributes;
use crate::formats::mapping::embedded;

/// Everything that is known about attribute names and values.
pub(super) struct Table {
    /// Attribute → column and rank within the column's list; the least rank wins.
    pub(super) columns: HashMap<String, (usize, usize)>,
    pub(super) parts: Parts,
    pub(super) flattened: Vec<String>,
    roles: Vec<RoleValues>,
    presence: Vec<Presence>,
    events: HashMap<String, Role>,
    pub(super) providers: HashMap<String, String>,
    pub(super) verdicts: HashMap<String, String>,
    pub(super) verdict_members: Vec<String>,
    pub(super) verdict_flags: Vec<Flag>,
    pub(super) categories: HashMap<String, String>,
}

/// Attributes that hold what an event says, by the part that they play.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parts {
    pub(super) input: Vec<String>,
    pub(super) output: Vec<String>,
    pub(super) arguments: Vec<String>,
    pub(super) result: Vec<String>,
    pub(super) query: Vec<String>,
    pub(super) documents: Vec<String>,
    pub(super) verdict: Vec<String>,
    pub(super) category: Vec<String>,
    pub(super) excerpt: Vec<String>,
}

/// What a member of a verdict object means by true and false.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flag {
    pub(super) name: String,
    pub(super) yes: String,
    pub(super) no: String,
}

/// What an event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A call of a model.
    Model,
    /// A call of a tool.
    Tool,
    /// A run of an agent.
    Agent,
    /// Exactly one row of this kind.
    Kind(String),
}

impl From<String> for Role {
    fn from(text: String) -> Self {
        match text.as_str() {
            "model" => Role::Model,
            "tool" => Role::Tool,
            "agent" => Role::Agent,
            _ => Role::Kind(text),
        }
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Role::from)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleValues {
    attribute: String,
    values: HashMap<String, Role>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Presence {
    attribute: String,
    role: Role,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    columns: HashMap<String, Vec<String>>,
    parts: Parts,
    roles: Vec<RoleValues>,
    presence: Vec<Presence>,
    flattened: Vec<String>,
    events: HashMap<String, Role>,
    providers: HashMap<String, String>,
    verdicts: HashMap<String, String>,
    verdict_members: Vec<String>,
    verdict_flags: Vec<Flag>,
    categories: HashMap<String, String>,
}

impl Table {
    /// What an event with these attributes is.
    pub(super) fn role(&self, attributes: &Attributes<'_>) -> Option<&Role> {
        let find = |name: &str| attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let named = self.roles.iter().find_map(|role| role.values.get(find(&role.attribute)?.as_text()?));
        named.or_else(|| self.presence.iter().find(|sign| find(&sign.attribute).is_some()).map(|sign| &sign.role))
    }

    /// What an event of this name is.
    pub(super) fn event(&self, name: &str) -> Option<&Role> {
        self.events.get(name)
    }
}

pub(super) static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let file: File = embedded(include_str!("aliases.yaml"));
    let mut columns = HashMap::new();
    for (name, aliases) in file.columns {
        let column =
            Plane::Model.column(&name).unwrap_or_else(|| panic!("the embedded aliases name no column `{name}`"));
        columns.extend(aliases.into_iter().enumerate().map(|(rank, alias)| (alias, (column, rank))));
    }
    Table {
        columns,
        parts: file.parts,
        flattened: file.flattened,
        roles: file.roles,
        presence: file.presence,
        events: file.events,
        providers: file.providers,
        verdicts: file.verdicts,
        verdict_members: file.verdict_members,
        verdict_flags: file.verdict_flags,
        categories: file.categories,
    }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_and_verdict_belongs_to_its_closed_set() {
        let doc = |column: usize| Plane::Model.columns()[column].doc;
        let kinds = doc(watershed_schemas::tables::runtime::KIND);
        let verdicts = doc(watershed_schemas::tables::runtime::VERDICT);
        let roles = TABLE.roles.iter().flat_map(|role| role.values.values());
        for role in roles.chain(TABLE.presence.iter().map(|sign| &sign.role)).chain(TABLE.events.values()) {
            if let Role::Kind(kind) = role {
                assert!(kinds.split([' ', ',']).any(|known| known == kind), "`{kind}` is no kind of runtime event");
            }
        }
        let flags = TABLE.verdict_flags.iter().flat_map(|flag| [&flag.yes, &flag.no]);
        for verdict in TABLE.verdicts.values().chain(flags) {
            assert!(verdicts.split([' ', ',']).any(|known| known == verdict), "`{verdict}` is no verdict");
        }
    }
}
