//! From a member's name to its column, once per member of every record.

use std::sync::LazyLock;

use watershed_schemas::tables::{identity, runtime};
use watershed_schemas::{Column, Plane};

const SLOTS: usize = 256;
const EMPTY: u8 = u8::MAX;

static NAMES: LazyLock<[Names; 2]> = LazyLock::new(|| Plane::ALL.map(Names::new));

/// The columns of a plane by name: a sparse table with open addressing, so that a lookup is one comparison.
pub(super) struct Names {
    columns: &'static [Column],
    slots: [u8; SLOTS],
}

impl Names {
    /// The names of a plane's table.
    pub(super) fn of(plane: Plane) -> &'static Names {
        &NAMES[plane.index()]
    }

    fn new(plane: Plane) -> Names {
        let columns = plane.columns();
        let mut slots = [EMPTY; SLOTS];
        for (position, column) in (0_u8..).zip(columns) {
            let mut at = slot(column.name.as_bytes());
            while slots[at] != EMPTY {
                at = (at + 1) % SLOTS;
            }
            slots[at] = position;
        }
        Names { columns, slots }
    }

    /// The position of the column of this name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let mut at = slot(name.as_bytes());
        // A quarter of the slots is in use at most, so an empty one always ends the search.
        while self.slots[at] != EMPTY {
            let position = usize::from(self.slots[at]);
            if self.columns[position].name == name {
                return Some(position);
            }
            at = (at + 1) % SLOTS;
        }
        None
    }
}

fn slot(name: &[u8]) -> usize {
    let (Some(first), Some(last)) = (name.first(), name.last()) else {
        return 0;
    };
    let mixed = u32::from(*first)
        | u32::from(*last) << 8
        | u32::from(name[name.len() / 2]) << 16
        | u32::from(name.len() as u8) << 24;
    (mixed.wrapping_mul(0x9E37_79B1) >> 24) as usize
}

const UNION: usize = {
    let mut shared = 0;
    let mut at = 0;
    while at < identity::COLUMNS.len() {
        if in_runtime(identity::COLUMNS[at].name) {
            shared += 1;
        }
        at += 1;
    }
    runtime::COLUMNS.len() + identity::COLUMNS.len() - shared
};

/// The columns of `runtime`, then those that only `identity` has.
pub(super) const fn all_columns() -> [&'static str; UNION] {
    let mut names = [""; UNION];
    let mut filled = 0;
    while filled < runtime::COLUMNS.len() {
        names[filled] = runtime::COLUMNS[filled].name;
        filled += 1;
    }
    let mut at = 0;
    while at < identity::COLUMNS.len() {
        if !in_runtime(identity::COLUMNS[at].name) {
            names[filled] = identity::COLUMNS[at].name;
            filled += 1;
        }
        at += 1;
    }
    names
}

const fn in_runtime(name: &str) -> bool {
    let mut at = 0;
    while at < runtime::COLUMNS.len() {
        if same(runtime::COLUMNS[at].name.as_bytes(), name.as_bytes()) {
            return true;
        }
        at += 1;
    }
    false
}

const fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        if left[at] != right[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_column_and_nothing_else() {
        for plane in Plane::ALL {
            let names = Names::of(plane);
            for (position, column) in plane.columns().iter().enumerate() {
                assert_eq!(names.find(column.name), Some(position));
                assert_eq!(names.find(&column.name.to_uppercase()), None);
                assert_eq!(names.find(&format!("{}_", column.name)), None);
            }
            assert_eq!(names.find(""), None);
            assert_eq!(names.find(&"x".repeat(10_000)), None);
        }
        assert_eq!(Names::of(Plane::Access).find("tool"), None);
    }

    #[test]
    fn the_union_names_each_column_once() {
        let mut names = all_columns().to_vec();
        assert!(names.contains(&"tool") && names.contains(&"expires_at"));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), UNION);
    }
}
