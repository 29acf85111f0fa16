//! One event on its way from a decoder into a batch.

use std::borrow::Cow;

use crate::plane::Plane;
use crate::tables::{identity, runtime};
use crate::timestamp::Timestamp;

const WIDEST: usize =
    if runtime::COLUMNS.len() > identity::COLUMNS.len() { runtime::COLUMNS.len() } else { identity::COLUMNS.len() };

/// The value of one column of one event. Text borrows from the record where it can.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    #[default]
    Null,
    /// Text.
    Text(Cow<'a, str>),
    /// A list of texts.
    List(Vec<Cow<'a, str>>),
    /// A moment.
    Time(Timestamp),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// True or false.
    Bool(bool),
}

/// One event, column by column, before it is appended to a batch. Holds only the values that there are: most events fill
/// less than half of their columns.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    plane: Plane,
    /// The columns that have a value, one bit each.
    present: u64,
    /// The columns that have a place in `values`, one bit each, and for each of them which.
    placed: u64,
    places: [u8; WIDEST],
    /// The values in the order in which they were first set, NULL where one was taken away, and the column of each.
    values: Vec<Cell<'a>>,
    columns: [u8; WIDEST],
}

const _: () = assert!(WIDEST <= 64, "`present` has a bit for each column");

impl<'a> Row<'a> {
    /// An empty row of the plane's table.
    pub fn new(plane: Plane) -> Self {
        Row::reusing(plane, Vec::with_capacity(WIDEST))
    }

    /// An empty row that uses the memory of another one.
    pub(crate) fn reusing(plane: Plane, values: Vec<Cell<'a>>) -> Self {
        Row { plane, present: 0, placed: 0, places: [0; WIDEST], values, columns: [0; WIDEST] }
    }

    /// The row's memory, empty and free of what it borrowed.
    pub(crate) fn into_memory(mut self) -> Vec<Cell<'static>> {
        self.values.clear();
        // Nothing is left to convert: collecting keeps the allocation and lets go of the lifetime.
        self.values.into_iter().map_while(|_| None).collect()
    }

    /// The plane whose table the row belongs to.
    pub fn plane(&self) -> Plane {
        self.plane
    }

    /// The values that there are, with their columns, in column order.
    pub fn cells(&self) -> impl Iterator<Item = (usize, &Cell<'a>)> {
        (0..WIDEST).filter(|column| !self.is_null(*column)).map(|column| (column, self.get(column)))
    }

    /// The cell of the column at this position (the constants of [`crate::tables`]).
    #[inline]
    pub fn get(&self, column: usize) -> &Cell<'a> {
        if self.is_null(column) { &Cell::Null } else { &self.values[usize::from(self.places[column])] }
    }

    /// Sets a cell. The cell's variant must fit the column's type; [`crate::EventBatchBuilder::append`] rejects the row otherwise.
    #[inline]
    pub fn set(&mut self, column: usize, cell: Cell<'a>) {
        let bit = 1 << column;
        if self.placed & bit != 0 {
            self.replace(column, cell);
        } else if !matches!(cell, Cell::Null) {
            self.present |= bit;
            self.placed |= bit;
            self.places[column] = self.values.len() as u8;
            self.columns[self.values.len()] = column as u8;
            self.values.push(cell);
        }
    }

    #[cold]
    fn replace(&mut self, column: usize, cell: Cell<'a>) {
        let bit = 1 << column;
        if matches!(cell, Cell::Null) {
            self.present &= !bit;
        } else {
            self.present |= bit;
        }
        self.values[usize::from(self.places[column])] = cell;
    }

    /// Sets a text; an empty one counts as absent.
    #[inline]
    pub fn text(&mut self, column: usize, value: impl Into<Cow<'a, str>>) {
        let value = value.into();
        if !value.is_empty() {
            self.set(column, Cell::Text(value));
        }
    }

    /// Sets a text where there is one.
    pub fn maybe_text(&mut self, column: usize, value: Option<impl Into<Cow<'a, str>>>) {
        if let Some(value) = value {
            self.text(column, value);
        }
    }

    /// The text of a column, where it has one.
    pub fn text_of(&self, column: usize) -> Option<&str> {
        match self.get(column) {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether the column has no value yet.
    #[inline]
    pub fn is_null(&self, column: usize) -> bool {
        self.present & 1 << column == 0
    }

    /// The columns that have a value, one bit each.
    #[inline]
    pub(crate) fn present(&self) -> u64 {
        self.present
    }

    /// The values in any order, each with its column; a NULL among them is none.
    #[inline]
    pub(crate) fn values(&self) -> impl Iterator<Item = (usize, &Cell<'a>)> {
        self.columns.iter().map(|column| usize::from(*column)).zip(&self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_counts_however_often_it_changes() {
        let mut row = Row::new(Plane::Model);
        for round in 0..1_000 {
            row.set(runtime::INPUT_TOKENS, Cell::Int(round));
            row.set(runtime::TOOL, Cell::Null);
            row.set(runtime::INPUT_TOKENS, Cell::Null);
            row.text(runtime::TOOL, format!("tool {round}"));
        }
        row.set(runtime::INPUT_TOKENS, Cell::Int(7));
        let cells: Vec<_> = row.cells().collect();
        let expected = [(runtime::TOOL, Cell::Text("tool 999".into())), (runtime::INPUT_TOKENS, Cell::Int(7))];
        assert_eq!(cells, expected.iter().map(|(column, cell)| (*column, cell)).collect::<Vec<_>>());
        assert_eq!(row.get(runtime::TARGET), &Cell::Null);
    }
}
