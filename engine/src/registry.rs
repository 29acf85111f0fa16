//! What is intended: the reference tables `agents` and `tools`.

use std::collections::BTreeMap;

use datafusion::arrow::array::{Array, ListArray, RecordBatch, StringArray};
use watershed_rules::ReferenceTables;

/// An agent as the registry has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) owner: Option<String>,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) tools: Option<Vec<String>>,
    pub(crate) tenants: Vec<String>,
    /// How its credentials are revoked.
    pub(crate) revocation_path: Option<String>,
    /// How it is stopped.
    pub(crate) pause_path: Option<String>,
}

/// The registry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    pub(crate) agents: BTreeMap<String, Registered>,
    /// For each tool the scope that it needs.
    pub(crate) tools: BTreeMap<String, Option<String>>,
    /// Tools of which the registry says how sensitive they are.
    pub(crate) sensitivity: BTreeMap<String, String>,
    /// How tools are taken from agents, where the registry says so.
    pub(crate) disable_path: BTreeMap<String, String>,
}

impl Registry {
    /// What the reference tables say.
    pub(crate) fn of(tables: &ReferenceTables) -> Self {
        let mut registry = Registry::default();
        if let Some(rows) = tables.get("agents") {
            for row in 0..rows.num_rows() {
                let Some(id) = text(rows, "agent_id", row) else { continue };
                let agent = Registered {
                    owner: text(rows, "owner", row),
                    scopes: list(rows, "scopes", row),
                    tools: list(rows, "tools", row),
                    tenants: list(rows, "tenants", row).unwrap_or_default(),
                    revocation_path: text(rows, "revocation_path", row),
                    pause_path: text(rows, "pause_path", row),
                };
                registry.agents.insert(id, agent);
            }
        }
        if let Some(rows) = tables.get("tools") {
            for row in 0..rows.num_rows() {
                let Some(tool) = text(rows, "tool", row) else { continue };
                registry.sensitivity.extend(text(rows, "sensitivity", row).map(|how| (tool.clone(), how)));
                registry.disable_path.extend(text(rows, "disable_path", row).map(|how| (tool.clone(), how)));
                registry.tools.insert(tool, text(rows, "required_scope", row));
            }
        }
        registry
    }

    /// The scopes that these tools need, as far as the registry says.
    pub(crate) fn scopes_of<'a>(&'a self, tools: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
        tools.filter_map(|tool| self.tools.get(tool)?.as_deref())
    }
}

fn text(rows: &RecordBatch, column: &str, row: usize) -> Option<String> {
    let column = rows.column_by_name(column)?.as_any().downcast_ref::<StringArray>()?;
    (!column.is_null(row)).then(|| column.value(row).to_owned()).filter(|text| !text.is_empty())
}

fn list(rows: &RecordBatch, column: &str, row: usize) -> Option<Vec<String>> {
    let column = rows.column_by_name(column)?.as_any().downcast_ref::<ListArray>()?;
    if column.is_null(row) {
        return None;
    }
    let values = column.value(row);
    let values = values.as_any().downcast_ref::<StringArray>()?;
    Some(values.iter().flatten().map(str::to_owned).collect())
}
