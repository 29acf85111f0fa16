//! The tables of CloudTrail's fields and calls, read once from the file beside.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde::Deserialize;
use watershed_schemas::Plane;

use crate::formats::mapping::{FieldTable, Fields, Patterns, embedded, split};

/// Everything that is known about CloudTrail records.
pub(super) struct Table {
    pub(super) fields: Fields,
    pub(super) callers: Vec<Vec<String>>,
    pub(super) principal_types: HashMap<String, String>,
    pub(super) denied: Vec<String>,
    pub(super) calls: Patterns<Call>,
}

/// What a call means.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    pub(super) kind: String,
    /// The kind where the call was refused.
    pub(super) denied: Option<String>,
    /// The kind where `requestParameters.status` is `Inactive`.
    pub(super) inactive: Option<String>,
    #[serde(default)]
    principal: Vec<String>,
    #[serde(default)]
    credential: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
    pub(super) credential_type: Option<String>,
    pub(super) auth_method: Option<String>,
    expires_at: Option<String>,
    grant_type: Option<String>,
    #[serde(skip)]
    pub(super) paths: Paths,
}

/// The paths of a call, split.
#[derive(Default)]
pub(super) struct Paths {
    pub(super) principal: Vec<Subject>,
    pub(super) credential: Vec<Vec<String>>,
    pub(super) roles: Vec<Vec<String>>,
    pub(super) expires_at: Vec<Vec<String>>,
    pub(super) grant_type: Vec<Vec<String>>,
}

/// Whom a call is about.
pub(super) struct Subject {
    /// `user`, `role` or `group` where the value is a bare name.
    pub(super) named: Option<&'static str>,
    pub(super) path: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    fields: FieldTable,
    callers: Vec<String>,
    principal_types: HashMap<String, String>,
    denied: Vec<String>,
    events: BTreeMap<String, Call>,
}

fn subject(text: &str) -> Subject {
    for named in ["user", "role", "group"] {
        if let Some(path) = text.strip_prefix(named).and_then(|rest| rest.strip_prefix(':')) {
            return Subject { named: Some(named), path: split(path) };
        }
    }
    Subject { named: None, path: split(text) }
}

pub(super) static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut file: File = embedded(include_str!("mapping.yaml"));
    for call in file.events.values_mut() {
        call.paths = Paths {
            principal: call.principal.iter().map(|text| subject(text)).collect(),
            credential: call.credential.iter().map(|path| split(path)).collect(),
            roles: call.roles.iter().map(|path| split(path)).collect(),
            expires_at: call.expires_at.iter().map(|path| split(path)).collect(),
            grant_type: call.grant_type.iter().map(|path| split(path)).collect(),
        };
    }
    Table {
        fields: Fields::new(Plane::Access, file.fields),
        callers: file.callers.iter().map(|path| split(path)).collect(),
        principal_types: file.principal_types,
        denied: file.denied,
        calls: Patterns::new(file.events),
    }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_belongs_to_its_closed_set() {
        let doc = Plane::Access.columns()[watershed_schemas::tables::identity::KIND].doc;
        let kinds: Vec<&str> = doc.trim_start_matches("One of: ").split(", ").collect();
        for call in TABLE.calls.iter() {
            for kind in [Some(&call.kind), call.denied.as_ref(), call.inactive.as_ref()].into_iter().flatten() {
                assert!(kinds.contains(&kind.as_str()), "`{kind}` is no kind of identity event");
            }
        }
    }
}
