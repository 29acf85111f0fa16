//! What a canonical column is.

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};

/// The types that canonical columns have. Text is one Arrow string type throughout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// A list of UTF-8 texts, never holding NULL.
    TextList,
    /// Microseconds since 1970-01-01 in UTC.
    Timestamp,
    /// A 64-bit signed integer.
    Int,
    /// A 64-bit floating point number.
    Float,
    /// True or false.
    Bool,
}

impl ColumnType {
    /// The Arrow type of the column.
    pub fn arrow(self) -> DataType {
        match self {
            ColumnType::Text => DataType::Utf8,
            ColumnType::TextList => DataType::new_list(DataType::Utf8, true),
            ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            ColumnType::Int => DataType::Int64,
            ColumnType::Float => DataType::Float64,
            ColumnType::Bool => DataType::Boolean,
        }
    }

    /// The name that a person who writes SQL knows the type by.
    pub fn sql(self) -> &'static str {
        match self {
            ColumnType::Text => "VARCHAR",
            ColumnType::TextList => "VARCHAR[]",
            ColumnType::Timestamp => "TIMESTAMP",
            ColumnType::Int => "BIGINT",
            ColumnType::Float => "DOUBLE",
            ColumnType::Bool => "BOOLEAN",
        }
    }
}

/// One column of a canonical table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name in SQL and in the canonical JSON.
    pub name: &'static str,
    /// Its type.
    pub ty: ColumnType,
    /// Whether every accepted row has a value.
    pub required: bool,
    /// What it holds, with unit or closed set where it has one.
    pub doc: &'static str,
    /// The attribute of OCSF that it corresponds to; empty where there is none.
    pub ocsf: &'static str,
    /// The OpenTelemetry attribute that it corresponds to; empty where there is none.
    pub otel: &'static str,
}

impl Column {
    /// The Arrow field of the column. Every field is nullable in Arrow: a batch may leave out what nobody reads.
    pub fn field(&self) -> Field {
        Field::new(self.name, self.ty.arrow(), !self.required)
    }
}

/// Some columns of one plane's table, by position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColumnSet(u64);

impl ColumnSet {
    /// Every column.
    pub const ALL: ColumnSet = ColumnSet(u64::MAX);

    /// Whether the column at this position is among them.
    #[inline]
    pub fn contains(self, column: usize) -> bool {
        self.0 & 1 << column != 0
    }

    /// Whether all of the other's columns are among them.
    pub fn includes(self, other: ColumnSet) -> bool {
        self.0 & other.0 == other.0
    }

    /// The columns of both.
    #[must_use]
    pub fn with(self, other: ColumnSet) -> ColumnSet {
        ColumnSet(self.0 | other.0)
    }

    /// The columns that are in both.
    #[must_use]
    pub fn common(self, other: ColumnSet) -> ColumnSet {
        ColumnSet(self.0 & other.0)
    }
}

impl FromIterator<usize> for ColumnSet {
    fn from_iter<I: IntoIterator<Item = usize>>(columns: I) -> Self {
        ColumnSet(columns.into_iter().fold(0, |bits, column| bits | 1 << column))
    }
}
