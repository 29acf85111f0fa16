//! Records into Arrow: which columns a table has, and of what type.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanBuilder, ListBuilder, RecordBatch, StringBuilder};
use datafusion::arrow::datatypes::{Field, Schema};
use serde_json::Value;
use watershed_schemas::{ColumnType, Table};

use super::ReferenceError;
use super::read::Records;
use crate::views::view;

/// A documented column of a reference table.
#[derive(Clone, Copy, Debug)]
pub struct ReferenceColumn {
    /// Its name.
    pub name: &'static str,
    /// Its type: text, list of texts, or boolean.
    pub ty: ColumnType,
    /// Whether every row must have a value.
    pub required: bool,
    /// What it holds.
    pub doc: &'static str,
}

impl ReferenceColumn {
    pub(super) fn field(&self) -> Field {
        Field::new(self.name, self.ty.arrow(), true)
    }
}

const fn column(name: &'static str, ty: ColumnType, required: bool, doc: &'static str) -> ReferenceColumn {
    ReferenceColumn { name, ty, required, doc }
}

/// The columns of `agents`: what is intended of each agent, and who answers for it.
pub const AGENTS: [ReferenceColumn; 8] = [
    column("agent_id", ColumnType::Text, true, "Id of the agent, as in `runtime.agent_id`"),
    column("owner", ColumnType::Text, false, "Who answers for it"),
    column("team", ColumnType::Text, false, "The owner's team"),
    column("scopes", ColumnType::TextList, false, "Scopes that its tokens are meant to have"),
    column("tools", ColumnType::TextList, false, "Tools that it is meant to use"),
    column("tenants", ColumnType::TextList, false, "Tenants that it is meant to serve"),
    column("revocation_path", ColumnType::Text, false, "How its access is taken away: a system, a page, a command"),
    column(
        "shared",
        ColumnType::Bool,
        false,
        "Whether many people or jobs act through it; then what is done as the principal of this id, or of another id that is tied to it, is grouped by session",
    ),
];

/// The columns of `tools`: what a tool asks for, and how much harm it can do.
pub const TOOLS: [ReferenceColumn; 3] = [
    column("tool", ColumnType::Text, true, "Name of the tool, as in `runtime.tool`"),
    column("required_scope", ColumnType::Text, false, "The scope that a token needs for it"),
    column("sensitivity", ColumnType::Text, false, "low, medium or high"),
];

/// The columns of `aliases`: other ids of principals. It has these and no others, so that a misspelt header is noticed.
pub const ALIASES: [ReferenceColumn; 4] = [
    column("tenant", ColumnType::Text, false, "The organisation; `default` where it is left out"),
    column("principal", ColumnType::Text, true, "What the principal is called"),
    column("alias", ColumnType::Text, true, "Another id of it; of one principal only"),
    column("type", ColumnType::Text, false, "human, service, agent, workload or device"),
];

/// Name of the table whose rows are in force for all principals.
pub(super) const ALIASES_NAME: &str = "aliases";

/// The tables that exist in any case.
pub(super) const DOCUMENTED: [(&str, &[ReferenceColumn]); 3] =
    [("agents", &AGENTS), (ALIASES_NAME, &ALIASES), ("tools", &TOOLS)];

/// The table that a file is, by its stem.
pub(super) fn name_of(path: &Path) -> Result<String, ReferenceError> {
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if !is_name(&name) {
        let reason = format!("`{name}` can't name a table; use lower-case letters, digits and `_`, a letter first");
        return Err(ReferenceError::invalid(path, None, reason));
    }
    if Table::from_name(&name).is_some() || view(&name).is_some() {
        return Err(ReferenceError::invalid(
            path,
            None,
            format!("`{name}` is the engine's own table; rename the file"),
        ));
    }
    Ok(name)
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.len() <= 100 && name.chars().all(plain)
}

/// Types the records: documented columns as documented, others as text, or as a list where a row has a list.
pub(super) fn build(path: &Path, table: &str, records: Records) -> Result<RecordBatch, ReferenceError> {
    let documented = DOCUMENTED.iter().find(|(name, _)| *name == table).map_or(&[][..], |(_, columns)| *columns);
    if let Some(bad) = records.columns.iter().find(|name| !is_name(name)) {
        let reason = format!("`{bad}` can't name a column; use lower-case letters, digits and `_`, a letter first");
        return Err(ReferenceError::invalid(path, None, reason));
    }
    let others = records.columns.iter().filter(|name| documented.iter().all(|column| column.name != name.as_str()));
    let others: Vec<&String> = others.collect();
    if let Some(unknown) = others.first().filter(|_| table == ALIASES_NAME) {
        let known: Vec<&str> = documented.iter().map(|column| column.name).collect();
        let reason = format!("`{unknown}` is no column of `{table}`; it has {}", known.join(", "));
        return Err(ReferenceError::invalid(path, None, reason));
    }
    let others = others.into_iter().map(|name| {
        let listed = records.rows.iter().any(|row| matches!(row.get(name), Some(Value::Array(_))));
        (name.as_str(), if listed { ColumnType::TextList } else { ColumnType::Text }, false)
    });
    let columns: Vec<(&str, ColumnType, bool)> =
        documented.iter().map(|column| (column.name, column.ty, column.required)).chain(others).collect();
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays = Vec::with_capacity(columns.len());
    for (name, ty, required) in columns {
        fields.push(Field::new(name, ty.arrow(), true));
        let values: Vec<Option<&Value>> =
            records.rows.iter().map(|row| row.get(name).filter(|value| !value.is_null())).collect();
        if let Some(at) = values.iter().position(|value| required && value.is_none()) {
            return Err(ReferenceError::invalid(path, Some(at + 1), format!("`{name}` is missing")));
        }
        let array = match ty {
            ColumnType::TextList => list_column(&values),
            ColumnType::Bool => bool_column(&values),
            _ => text_column(&values),
        };
        arrays.push(
            array.map_err(|(row, reason)| ReferenceError::invalid(path, Some(row), format!("`{name}` {reason}")))?,
        );
    }
    if arrays.is_empty() {
        return Err(ReferenceError::invalid(path, None, "the table has no column; begin it with a header or a row"));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|error| ReferenceError::invalid(path, None, error.to_string()))
}

type Column = Result<ArrayRef, (usize, String)>;

fn text_column(values: &[Option<&Value>]) -> Column {
    let mut builder = StringBuilder::new();
    for (at, value) in values.iter().enumerate() {
        match value {
            None => builder.append_null(),
            Some(value) => builder.append_value(scalar(value).ok_or_else(|| (at + 1, "is not a text".to_owned()))?),
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// A list is a JSON or YAML list, or one text whose items are separated by blanks or semicolons, as scopes are.
fn list_column(values: &[Option<&Value>]) -> Column {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for (at, value) in values.iter().enumerate() {
        match value {
            None => builder.append(false),
            Some(Value::Array(items)) => {
                for item in items {
                    let text = scalar(item).ok_or_else(|| (at + 1, "holds something that is not a text".to_owned()))?;
                    builder.values().append_value(text);
                }
                builder.append(true);
            }
            Some(value) => {
                let text = scalar(value).ok_or_else(|| (at + 1, "is not a list of texts".to_owned()))?;
                for item in text.split([' ', ';']).filter(|item| !item.is_empty()) {
                    builder.values().append_value(item);
                }
                builder.append(true);
            }
        }
    }
    Ok(Arc::new(builder.finish()))
}

fn bool_column(values: &[Option<&Value>]) -> Column {
    let mut builder = BooleanBuilder::new();
    for (at, value) in values.iter().enumerate() {
        match value.map(|value| scalar(value).map(|text| text.to_ascii_lowercase())) {
            None => builder.append_null(),
            Some(Some(text)) if text == "true" => builder.append_value(true),
            Some(Some(text)) if text == "false" => builder.append_value(false),
            Some(text) => {
                let text = text.unwrap_or_else(|| "a list".to_owned());
                return Err((at + 1, format!("is {text}; write true or false")));
            }
        }
    }
    Ok(Arc::new(builder.finish()))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
