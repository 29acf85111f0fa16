//! Which columns of a remembered row are kept.
//!
//! Most of an event is text that no rule reads: what was said, with which arguments, and what has no column. A remembered
//! row keeps the columns that some rule reads and those that an incident shows; of long texts otherwise only the
//! fingerprint that an incident shows of them.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, new_null_array};
use datafusion::arrow::datatypes::DataType;
use datafusion::physical_expr::utils::collect_columns;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use watershed_rules::{CompiledRule, Scan};
use watershed_schemas::{ColumnSet, Plane};

/// Columns of which an incident shows a fingerprint, and an excerpt at most.
pub const FINGERPRINTED: [&str; 2] = ["content", "arguments"];

/// Most bytes that are remembered of a text for an excerpt: somewhat more than is shown, so that a secret which begins in what is
/// shown is recognised.
const EXCERPT_BYTES: usize = 320;

/// What incidents keep of prompts, completions and arguments beside their fingerprint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvidenceText {
    /// Their beginning, secrets masked.
    #[default]
    Excerpt,
    /// Nothing.
    Fingerprint,
}

/// The columns that a scan reads: to match, to find its key, and in its plan.
pub(super) fn columns_of(scan: &Scan) -> ColumnSet {
    let matched = scan.filters.iter().flat_map(|filter| collect_columns(&filter.expr));
    let matched = matched.map(|column| column.index());
    scan.projection.iter().chain(&scan.key).copied().chain(matched).collect()
}

/// The columns that must be there in any case, and those that some of these rules read.
pub fn read_columns(plane: Plane, rules: &[Arc<CompiledRule>]) -> ColumnSet {
    let required = plane.columns().iter().enumerate().filter(|(_, column)| column.required).map(|(at, _)| at);
    let scans = rules.iter().flat_map(|rule| &rule.scans).filter(|scan| scan.table == plane.into());
    scans.fold(required.collect(), |columns: ColumnSet, scan| columns.with(columns_of(scan)))
}

/// The rows with these columns; others are NULL, or fingerprints. What remains holds no more memory than it needs.
pub(super) fn thinned(plane: Plane, rows: RecordBatch, keep: ColumnSet, texts: EvidenceText) -> RecordBatch {
    let count = rows.num_rows();
    // One array of NULLs serves all columns of a type.
    let mut nothing: Vec<ArrayRef> = Vec::new();
    let mut null = |ty: &DataType| {
        let known = nothing.iter().find(|array| array.data_type() == ty).cloned();
        known.unwrap_or_else(|| {
            let array = new_null_array(ty, count);
            nothing.push(Arc::clone(&array));
            array
        })
    };
    let (schema, columns, _) = rows.into_parts();
    let columns = columns.into_iter().zip(plane.columns()).enumerate().map(|(at, (mut array, column))| {
        if keep.contains(at) {
            array.shrink_to_fit();
            array
        } else if let Some(said) = array.as_string_opt::<i32>().filter(|_| FINGERPRINTED.contains(&column.name)) {
            Arc::new(said.iter().map(|text| text.map(|text| abridged(text, texts))).collect::<StringArray>())
        } else {
            null(array.data_type())
        }
    });
    RecordBatch::try_new(schema, columns.collect())
        .expect("as many rows of the same types, and no required one is left out")
}

/// What is left of a text that no rule reads: its fingerprint, and after a space its beginning.
fn abridged(text: &str, texts: EvidenceText) -> String {
    let mut abridged = fingerprint(text);
    if texts == EvidenceText::Excerpt {
        abridged.push(' ');
        abridged.push_str(&text[..text.floor_char_boundary(EXCERPT_BYTES)]);
    }
    abridged
}

/// Fingerprint and beginning of a text, of which the column holds the whole or what [`thinned`] left of it.
pub(crate) fn fingerprint_and_excerpt(text: &str, whole: bool) -> (String, Option<&str>) {
    match text.split_once(' ') {
        _ if whole => (fingerprint(text), Some(&text[..text.floor_char_boundary(EXCERPT_BYTES)])),
        Some((fingerprint, excerpt)) => (fingerprint.to_owned(), Some(excerpt)),
        None => (text.to_owned(), None),
    }
}

/// The first 72 bits of SHA-256: short enough to compare by eye.
pub fn fingerprint(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(text.as_bytes())[..9])
}
