//! The parts of a rule's plan, as its author thinks of them.

use super::condition::{Condition, Value};
use super::window::Windows;

/// How the two sides of a join belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// A row of either side, both of them in the output.
    Both,
    /// A partner on the right, whichever: EXISTS, IN.
    Presence,
    /// No partner on the right: NOT EXISTS.
    Absence,
    /// A partner on the right if there is one: LEFT JOIN.
    Perhaps,
    /// Whether there is a partner on the right becomes a value, at this position of [`super::Anatomy::computed`].
    Known(usize),
}

/// A node of a rule's plan.
#[derive(Clone, Debug)]
pub enum Part {
    /// The rows of a scan that meet its filters.
    Scan(usize),
    /// Rows that are not events: a reference table or constants.
    Reference(String),
    /// Rows that also meet conditions.
    Where {
        /// What comes in.
        input: Box<Part>,
        /// All must hold.
        conditions: Vec<Condition>,
    },
    /// Rows of two sides that meet conditions together.
    Join {
        /// The side that is kept.
        left: Box<Part>,
        /// The other.
        right: Box<Part>,
        /// All must hold of a pair.
        conditions: Vec<Condition>,
        /// What a pair, or its absence, means.
        needs: Needs,
    },
    /// Rows gathered by equal values.
    Groups {
        /// What comes in.
        input: Box<Part>,
        /// What is equal within a group; `None` stands for a value that single rows don't show.
        by: Vec<Option<Value>>,
        /// What is computed for each group: positions of [`super::Anatomy::computed`].
        aggregates: Vec<usize>,
    },
    /// Rows, each with values that depend on its neighbours.
    Windowed {
        /// What comes in.
        input: Box<Part>,
        /// The functions.
        windows: Windows,
        /// Where their values go: positions of [`super::Anatomy::computed`].
        values: Vec<usize>,
    },
    /// Rows, each once for every element of a list.
    Each {
        /// What comes in.
        input: Box<Part>,
        /// The list.
        list: Value,
        /// Where the element goes: a position of [`super::Anatomy::computed`].
        element: usize,
    },
    /// Rows of any of these.
    AnyOf(Vec<Part>),
    /// Rows that something adds to which can't be taken apart.
    Opaque {
        /// What comes in.
        input: Box<Part>,
        /// What it is.
        what: String,
    },
}

impl Part {
    /// The scans whose rows come out of it, in order.
    pub fn scans(&self) -> Vec<usize> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found
    }

    fn collect(&self, found: &mut Vec<usize>) {
        match self {
            Part::Scan(scan) => found.push(*scan),
            Part::Reference(_) => {}
            Part::Where { input, .. }
            | Part::Groups { input, .. }
            | Part::Windowed { input, .. }
            | Part::Each { input, .. }
            | Part::Opaque { input, .. } => input.collect(found),
            Part::Join { left, right, .. } => {
                left.collect(found);
                right.collect(found);
            }
            Part::AnyOf(parts) => parts.iter().for_each(|part| part.collect(found)),
        }
    }
}
