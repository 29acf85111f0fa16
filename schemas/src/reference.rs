//! The reference page of the canonical tables.

use std::fmt::Write as _;

use crate::table::Table;

const SIGNALS: &str = "\
What rules have found: a row for each finding that stands. A rule may read what other rules say; it names them in every \
scan (`s.rule = 'x'`), and no rule reads what rests on itself. A row is there as soon as its rule has said it, where the \
reading rule uses only columns that the finding's key determines; one that uses `details` or `evidence`, or a time or \
somebody that may still change, gets it once it is final. What is said early and may still be withdrawn isn't there.";

/// The page, as published in `docs/tables.md`.
pub fn page() -> String {
    let mut page = String::from(
        "# The tables\n\n\
         Generated from the column definitions in `schemas/src/tables.rs`. All times are UTC in microseconds. \
         A column that isn't required may be NULL.\n",
    );
    for table in Table::ALL {
        let what = match table {
            Table::Events(plane) => format!("Events of the {plane} plane."),
            Table::Signals => SIGNALS.to_owned(),
        };
        // Writing to a String can't fail.
        let _ = write!(
            page,
            "\n## `{}`\n\n{what}\n\n| column | type | required | what | OCSF | OpenTelemetry |\n|---|---|---|---|---|---|\n",
            table.name()
        );
        for column in table.columns() {
            let required = if column.required { "yes" } else { "" };
            let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
            let _ = writeln!(
                page,
                "| `{}` | {} | {required} | {} | {} | {} |",
                column.name,
                column.ty.sql(),
                column.doc,
                code(column.ocsf),
                code(column.otel)
            );
        }
    }
    page
}
