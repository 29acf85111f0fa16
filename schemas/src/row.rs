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

/// One event, column by column, before it is appended to a batch. Reused from event to event.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    plane: Plane,
    cells: [Cell<'a>; WIDEST],
}

impl<'a> Row<'a> {
    /// An empty row of the plane's table.
    pub fn new(plane: Plane) -> Self {
        Row { plane, cells: [const { Cell::Null }; WIDEST] }
    }

    /// The plane whose table the row belongs to.
    pub fn plane(&self) -> Plane {
        self.plane
    }

    /// The cells in column order.
    pub fn cells(&self) -> &[Cell<'a>] {
        &self.cells[..self.plane.columns().len()]
    }

    /// The cell of the column at this position (the constants of [`crate::tables`]).
    pub fn get(&self, column: usize) -> &Cell<'a> {
        &self.cells[column]
    }

    /// Sets a cell. The cell's variant must fit the column's type; [`crate::EventBatchBuilder::append`] rejects the row otherwise.
    pub fn set(&mut self, column: usize, cell: Cell<'a>) {
        self.cells[column] = cell;
    }

    /// Sets a text; an empty one counts as absent.
    pub fn text(&mut self, column: usize, value: impl Into<Cow<'a, str>>) {
        let value = value.into();
        if !value.is_empty() {
            self.cells[column] = Cell::Text(value);
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
        match &self.cells[column] {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether the column has no value yet.
    pub fn is_null(&self, column: usize) -> bool {
        matches!(self.cells[column], Cell::Null)
    }
}
