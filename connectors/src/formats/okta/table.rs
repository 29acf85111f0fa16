//! The tables of Okta's fields and event types, read once from the files beside.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde::Deserialize;
use watershed_schemas::Plane;

use crate::formats::mapping::{FieldTable, Fields, Patterns, embedded, split};

/// Everything that is known about Okta events.
pub(super) struct Table {
    pub(super) fields: Fields,
    pub(super) events: Patterns<Event>,
    pub(super) outcomes: HashMap<String, String>,
    pub(super) risks: HashMap<String, String>,
    pub(super) risk_paths: Vec<Vec<String>>,
    pub(super) second_factors: Vec<String>,
    pub(super) principal_types: HashMap<String, String>,
    pub(super) clients: Vec<String>,
    pub(super) nobody: Vec<String>,
    pub(super) target_principals: Vec<String>,
    pub(super) credentials: HashMap<String, String>,
    pub(super) credential_ids: Vec<Vec<String>>,
    pub(super) roles: Vec<String>,
    pub(super) role_paths: Vec<Vec<String>>,
    pub(super) countries: HashMap<String, String>,
}

/// What an event type means.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    pub(super) kind: String,
    #[serde(default)]
    pub(super) about: About,
    #[serde(default)]
    pub(super) by_result: BTreeMap<String, String>,
    pub(super) credential: Option<String>,
    #[serde(default)]
    pub(super) mfa: bool,
}

/// Whether the principal is who acted or whom it was done to.
#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum About {
    #[default]
    Actor,
    Target,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    fields: FieldTable,
    outcomes: HashMap<String, String>,
    risks: HashMap<String, String>,
    risk_paths: Vec<String>,
    second_factors: Vec<String>,
    principal_types: HashMap<String, String>,
    clients: Vec<String>,
    nobody: Vec<String>,
    target_principals: Vec<String>,
    credentials: HashMap<String, String>,
    credential_ids: Vec<String>,
    roles: Vec<String>,
    role_paths: Vec<String>,
    events: BTreeMap<String, Event>,
}

pub(super) static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let file: File = embedded(include_str!("mapping.yaml"));
    let countries: HashMap<String, String> = embedded(include_str!("countries.yaml"));
    let paths = |paths: Vec<String>| paths.iter().map(|path| split(path)).collect();
    Table {
        fields: Fields::new(Plane::Access, file.fields),
        events: Patterns::new(file.events),
        outcomes: file.outcomes,
        risks: file.risks,
        risk_paths: paths(file.risk_paths),
        second_factors: file.second_factors,
        principal_types: file.principal_types,
        clients: file.clients,
        nobody: file.nobody,
        target_principals: file.target_principals,
        credentials: file.credentials,
        credential_ids: paths(file.credential_ids),
        roles: file.roles,
        role_paths: paths(file.role_paths),
        countries: countries.into_iter().map(|(name, code)| (name.to_lowercase(), code)).collect(),
    }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_and_value_belongs_to_its_closed_set() {
        let doc = Plane::Access.columns()[watershed_schemas::tables::identity::KIND].doc;
        let kinds: Vec<&str> = doc.trim_start_matches("One of: ").split(", ").collect();
        for event in TABLE.events.iter() {
            for kind in event.by_result.values().chain([&event.kind]) {
                assert!(kinds.contains(&kind.as_str()), "`{kind}` is no kind of identity event");
            }
        }
        for outcome in TABLE.outcomes.values() {
            assert!(["success", "failure", "unknown"].contains(&outcome.as_str()), "{outcome}");
        }
        for code in TABLE.countries.values() {
            assert!(code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()), "{code}");
        }
    }
}
