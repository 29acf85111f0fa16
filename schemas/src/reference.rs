//! The reference page of the canonical tables.

use std::fmt::Write as _;

use crate::plane::Plane;

/// The page, as published in `docs/tables.md`.
pub fn page() -> String {
    let mut page = String::from(
        "# The two tables\n\n\
         Generated from the column definitions in `schemas/src/tables.rs`. All times are UTC in microseconds. \
         A column that isn't required may be NULL.\n",
    );
    for plane in Plane::ALL {
        // Writing to a String can't fail.
        let _ = write!(
            page,
            "\n## `{}`\n\nEvents of the {plane} plane.\n\n| column | type | required | what | OCSF | OpenTelemetry |\n|---|---|---|---|---|---|\n",
            plane.table()
        );
        for column in plane.columns() {
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
