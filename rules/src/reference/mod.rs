//! Reference tables: what rules may join besides the two streams.
//!
//! Each file of a folder is a table named after its stem. `agents`, `aliases` and `tools` have documented columns and exist in
//! any case, empty where there is no file, so that a rule can name them on every installation. What `aliases` says of
//! principals is in force for all rows.

mod aliases;
mod read;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{Array, BooleanArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::row::{RowConverter, SortField};
use sha2::{Digest, Sha256};

pub use aliases::{Alias, Aliases, Contradiction};
pub use table::{AGENTS, ALIASES, ReferenceColumn, TOOLS};

/// The most rows that one table may have.
const MAX_ROWS: usize = 1_000_000;
/// The largest file, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// A file that can't be a reference table.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// The folder or a file in it can't be read.
    #[error("{path}: {error}", path = .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file is not the table that its name promises.
    #[error("{path}{row}: {reason}", path = .path.display(), row = .row.map(|row| format!(", row {row}")).unwrap_or_default())]
    Invalid {
        /// Which.
        path: PathBuf,
        /// Which row, counted from 1 without the header, where it is one row's fault.
        row: Option<usize>,
        /// What is wrong and what to do.
        reason: String,
    },
}

impl ReferenceError {
    fn invalid(path: &Path, row: Option<usize>, reason: impl Into<String>) -> Self {
        ReferenceError::Invalid { path: path.to_path_buf(), row, reason: reason.into() }
    }
}

/// Tables by name.
#[derive(Clone, Debug)]
pub struct ReferenceTables(pub(crate) BTreeMap<String, RecordBatch>);

/// The documented tables, empty.
impl Default for ReferenceTables {
    fn default() -> Self {
        let empty = |columns: &[ReferenceColumn]| {
            let fields: Vec<_> = columns.iter().map(ReferenceColumn::field).collect();
            RecordBatch::new_empty(Arc::new(Schema::new(fields)))
        };
        ReferenceTables(table::DOCUMENTED.iter().map(|(name, columns)| ((*name).to_owned(), empty(columns))).collect())
    }
}

impl ReferenceTables {
    /// The tables in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RecordBatch)> {
        self.0.iter().map(|(name, rows)| (name.as_str(), rows))
    }

    /// The rows of one table.
    pub fn get(&self, name: &str) -> Option<&RecordBatch> {
        self.0.get(name)
    }

    /// A hash of one table's columns and values, as 16 hex digits: another one means that the table says something else.
    pub fn digest(&self, name: &str) -> Option<String> {
        let rows = self.get(name)?;
        let mut hash = Sha256::new();
        for field in rows.schema_ref().fields() {
            hash.update(field.name().as_bytes());
            hash.update([0]);
        }
        let fields = rows.schema_ref().fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
        let encoded = RowConverter::new(fields).and_then(|converter| converter.convert_columns(rows.columns())).ok()?;
        for row in &encoded {
            hash.update((row.as_ref().len() as u64).to_le_bytes());
            hash.update(row.as_ref());
        }
        Some(hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Reads every `.csv`, `.json`, `.jsonl`, `.yaml` and `.yml` file of a folder. Files whose name begins with a dot and
    /// `.md` files are not tables.
    ///
    /// # Errors
    /// At the first file that is not a table, with the row where it is one row's fault.
    pub fn load_dir(folder: &Path) -> Result<Self, ReferenceError> {
        let unreadable = |error| ReferenceError::Unreadable { path: folder.to_path_buf(), error };
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if path.is_file() && !hidden && path.extension().is_none_or(|extension| extension != "md") {
                files.push(path);
            }
        }
        files.sort();
        let mut tables = ReferenceTables::default();
        let mut read_from: BTreeMap<String, PathBuf> = BTreeMap::new();
        for path in files {
            let name = table::name_of(&path)?;
            if let Some(earlier) = read_from.get(&name) {
                let reason = format!("the table `{name}` is also in {}; keep one of them", earlier.display());
                return Err(ReferenceError::invalid(&path, None, reason));
            }
            let rows = table::build(&path, &name, read::records(&path)?)?;
            if name == table::ALIASES_NAME {
                let alias = |Contradiction { row, reason }| ReferenceError::invalid(&path, Some(row), reason);
                Aliases::new(aliases::rows(&rows)).map_err(alias)?;
            }
            tables.0.insert(name.clone(), rows);
            read_from.insert(name, path);
        }
        Ok(tables)
    }

    /// What the table `aliases` says of principals.
    pub fn aliases(&self) -> Aliases {
        // Contradictions were refused when the table was read.
        self.get(table::ALIASES_NAME)
            .map(|rows| Aliases::new(aliases::rows(rows)).unwrap_or_default())
            .unwrap_or_default()
    }

    /// The tables of files that are in memory: names with their texts.
    ///
    /// # Errors
    /// As [`ReferenceTables::load_dir`].
    pub fn of_texts(files: &[(&str, &str)]) -> Result<Self, ReferenceError> {
        let mut tables = ReferenceTables::default();
        for (name, text) in files {
            let path = Path::new(name);
            let table = table::name_of(path)?;
            let rows = table::build(path, &table, read::records_of(path, text)?)?;
            tables.0.insert(table, rows);
        }
        Ok(tables)
    }

    /// Ids of the agents that are marked `shared`: many people or jobs act through them, so what is done as the principal of
    /// such an id is grouped by session.
    pub fn shared_agents(&self) -> BTreeSet<String> {
        let Some(agents) = self.get("agents") else { return BTreeSet::new() };
        let ids = agents.column_by_name("agent_id").and_then(|ids| ids.as_any().downcast_ref::<StringArray>());
        let shared = agents.column_by_name("shared").and_then(|shared| shared.as_any().downcast_ref::<BooleanArray>());
        let (Some(ids), Some(shared)) = (ids, shared) else { return BTreeSet::new() };
        let marked = ids.iter().zip(shared.iter()).filter(|(_, shared)| *shared == Some(true));
        marked.filter_map(|(id, _)| id.map(str::to_owned)).collect()
    }
}

#[cfg(test)]
mod tests;
