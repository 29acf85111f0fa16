//! A row being filled from values of any type.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};
use watershed_schemas::tables::{identity, runtime};
use watershed_schemas::vocabulary;
use watershed_schemas::{Cell, ColumnSet, ColumnType, EventBatchBuilder, Plane, Row};

use super::attributes::{self, Attributes};
use super::names::Names;
use crate::formats::{Context, time};

/// A column whose words are a closed set.
struct Closed {
    column: usize,
    words: &'static [&'static str],
    fallback: Option<&'static str>,
}

static CLOSED: LazyLock<[Vec<Closed>; 2]> = LazyLock::new(|| {
    Plane::ALL.map(|plane| {
        let closed = |(column, name)| {
            let words = vocabulary::closed_set(plane, name)?;
            Some(Closed { column, words, fallback: vocabulary::fallback(plane, name) })
        };
        plane.columns().iter().map(|column| column.name).enumerate().filter_map(closed).collect()
    })
});

/// What a row has where its record says nothing.
#[derive(Clone, Copy)]
pub(in crate::formats) struct Defaults {
    /// The column `source`.
    pub(in crate::formats) source: &'static str,
    /// The column `kind`.
    pub(in crate::formats) kind: &'static str,
}

/// A row being filled. A value that its column can't hold is kept in `attributes` under the column's name.
pub(in crate::formats) struct Draft<'a> {
    /// The cells so far.
    pub(in crate::formats) row: Row<'a>,
    /// What has no column so far.
    pub(in crate::formats) attributes: Attributes<'a>,
    plane: Plane,
    /// The columns that are filled; values of others are validated and left out.
    columns: ColumnSet,
    /// Columns, one bit each, whose last value did not fit.
    misfits: u64,
    /// Members that were left out, each of which may be an attribute.
    pub(super) left_out: usize,
}

impl<'a> Draft<'a> {
    /// An empty row for this batch, of which these columns are filled.
    pub(in crate::formats) fn new(out: &mut EventBatchBuilder, columns: ColumnSet) -> Self {
        let (row, attributes, plane) = (out.row(), Attributes::default(), out.plane());
        Draft { row, attributes, plane, columns, misfits: 0, left_out: 0 }
    }

    /// The columns that are filled.
    pub(super) fn columns(&self) -> ColumnSet {
        self.columns
    }

    /// Whether there may be more attributes than the limit allows, which only a draft of all columns can tell.
    pub(in crate::formats) fn may_exceed(&self, attributes: usize) -> bool {
        // A word outside of its closed set becomes an attribute at the end.
        let words = CLOSED[self.plane.index()].len();
        self.left_out + self.attributes.at_most() + words > attributes
    }

    /// The plane of the row.
    pub(in crate::formats) fn plane(&self) -> Plane {
        self.plane
    }

    /// The position of the column of this name.
    pub(in crate::formats) fn column(&self, name: &str) -> Option<usize> {
        Names::of(self.plane).find(name)
    }

    /// The type of a column.
    #[inline]
    pub(in crate::formats) fn ty(&self, column: usize) -> ColumnType {
        self.plane.columns()[column].ty
    }

    /// Sets a column to a cell of its own type. Of repeated members the last one counts.
    #[inline]
    pub(in crate::formats) fn place(&mut self, column: usize, cell: Cell<'a>) {
        if self.misfits & 1 << column != 0 {
            self.fits_after_all(column);
        }
        self.row.set(column, cell);
    }

    #[cold]
    fn fits_after_all(&mut self, column: usize) {
        self.misfits &= !(1 << column);
        self.attributes.remove(self.plane.columns()[column].name);
    }

    /// A value that the column can't hold, as JSON text.
    pub(in crate::formats) fn misfit(&mut self, column: usize, json: Cow<'a, str>) {
        self.row.set(column, Cell::Null);
        self.misfits |= 1 << column;
        self.attributes.set(Cow::Borrowed(self.plane.columns()[column].name), json);
    }

    /// A text for a column of any type; an empty one is no value.
    #[inline]
    pub(in crate::formats) fn text(&mut self, column: usize, text: Cow<'a, str>) {
        if text.is_empty() {
            return self.place(column, Cell::Null);
        }
        let cell = match self.ty(column) {
            ColumnType::Text => return self.place(column, Cell::Text(text)),
            ColumnType::TextList => return self.place(column, Cell::List(words(text))),
            ColumnType::Timestamp => time::parse_time(&text).map(Cell::Time),
            ColumnType::Int => text.trim().parse().ok().map(Cell::Int),
            ColumnType::Float => text.trim().parse().ok().filter(|number: &f64| number.is_finite()).map(Cell::Float),
            ColumnType::Bool => boolean(&text).map(Cell::Bool),
        };
        match cell {
            Some(cell) => self.place(column, cell),
            None => self.misfit(column, attributes::quote(&text)),
        }
    }

    /// A whole number for a column of any type.
    pub(in crate::formats) fn int(&mut self, column: usize, number: i64) {
        let cell = match self.ty(column) {
            ColumnType::Text => Cell::Text(Cow::Owned(number.to_string())),
            ColumnType::Timestamp => Cell::Time(time::from_number(number)),
            ColumnType::Int => Cell::Int(number),
            #[expect(clippy::cast_precision_loss, reason = "a float column holds what a float can")]
            ColumnType::Float => Cell::Float(number as f64),
            ColumnType::Bool | ColumnType::TextList => return self.misfit(column, Cow::Owned(number.to_string())),
        };
        self.place(column, cell);
    }

    /// A number with a fraction, or beyond 64 bits, for a column of any type but text.
    pub(in crate::formats) fn float(&mut self, column: usize, number: f64) {
        let cell = match self.ty(column) {
            ColumnType::Float if number.is_finite() => Some(Cell::Float(number)),
            ColumnType::Timestamp => time::from_float(number).map(Cell::Time),
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and inside the exact range")]
            ColumnType::Int if number.fract() == 0.0 && number.abs() < 9e15 => Some(Cell::Int(number as i64)),
            ColumnType::Text => Some(Cell::Text(Cow::Owned(number.to_string()))),
            _ => None,
        };
        match cell {
            Some(cell) => self.place(column, cell),
            None => self.misfit(column, serde_json::to_string(&number).map_or(Cow::Borrowed("null"), Cow::Owned)),
        }
    }

    /// A boolean for a column of any type.
    pub(in crate::formats) fn boolean(&mut self, column: usize, value: bool) {
        let literal = if value { "true" } else { "false" };
        match self.ty(column) {
            ColumnType::Bool => self.place(column, Cell::Bool(value)),
            ColumnType::Text => self.place(column, Cell::Text(Cow::Borrowed(literal))),
            _ => self.misfit(column, Cow::Borrowed(literal)),
        }
    }

    /// A value as JSON text: an object, an array, or a number whose digits matter.
    pub(in crate::formats) fn json(&mut self, column: usize, json: Cow<'a, str>) {
        let nested = json.starts_with(['{', '[']);
        let keeps_json = self.plane == Plane::Model && matches!(column, runtime::CONTENT | runtime::ARGUMENTS);
        match self.ty(column) {
            ColumnType::Text if !nested || keeps_json => self.place(column, Cell::Text(json)),
            _ => self.misfit(column, json),
        }
    }

    /// Completes the row and appends it, or rejects it with the reason. `bytes` are the event's own, for its id.
    pub(in crate::formats) fn finish(
        mut self,
        context: &Context<'a>,
        defaults: Defaults,
        bytes: &[u8],
        part: Option<usize>,
        out: &mut EventBatchBuilder,
    ) {
        let columns = self.plane.columns();
        if let Some((_, column)) =
            columns.iter().enumerate().find(|(at, column)| column.required && self.misfits & 1 << at != 0)
        {
            return out.reject(part, format!("`{}` is not a {}", column.name, column.ty.sql()));
        }
        for closed in &CLOSED[self.plane.index()] {
            let native = match self.row.get(closed.column) {
                Cell::Text(word) if !closed.words.contains(&word.as_ref()) => attributes::quote(word),
                _ => continue,
            };
            self.attributes.set(Cow::Borrowed(columns[closed.column].name), native);
            self.row.set(closed.column, closed.fallback.map_or(Cell::Null, |word| Cell::Text(Cow::Borrowed(word))));
        }
        if self.row.is_null(runtime::SOURCE) {
            self.row.text(runtime::SOURCE, defaults.source);
        }
        if self.row.is_null(runtime::KIND) {
            self.row.text(runtime::KIND, defaults.kind);
        }
        if self.row.is_null(runtime::EVENT_ID) {
            self.row.text(runtime::EVENT_ID, fingerprint(bytes));
        }
        // The sender may lie about when its record was received: it is believed where nobody else knows.
        let claimed = self.row.get(runtime::INGEST_TIME).clone();
        context.complete(&mut self.row);
        if self.row.is_null(runtime::INGEST_TIME) {
            self.row.set(runtime::INGEST_TIME, claimed);
        }
        if self.columns.contains(attributes_column(self.plane)) {
            match self.attributes.finish(context.limits.attributes) {
                Ok(text) => self.row.set(attributes_column(self.plane), text.map_or(Cell::Null, Cell::Text)),
                Err(reason) => return out.reject(part, reason),
            }
        }
        if self.columns != ColumnSet::ALL {
            out.left_out();
        }
        out.append(&self.row, part);
        out.recycle(self.row);
    }
}

/// The position of the column `attributes`.
pub(in crate::formats) fn attributes_column(plane: Plane) -> usize {
    match plane {
        Plane::Model => runtime::ATTRIBUTES,
        Plane::Access => identity::ATTRIBUTES,
    }
}

/// 32 hexadecimal digits that identify these bytes.
fn fingerprint(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(32);
    for byte in &Sha256::digest(bytes)[..16] {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn words(text: Cow<'_, str>) -> Vec<Cow<'_, str>> {
    match text {
        Cow::Borrowed(text) => text.split_whitespace().map(Cow::Borrowed).collect(),
        Cow::Owned(text) => text.split_whitespace().map(|word| Cow::Owned(word.to_owned())).collect(),
    }
}

fn boolean(text: &str) -> Option<bool> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}
