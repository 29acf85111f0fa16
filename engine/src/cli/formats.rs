//! `watershed formats`.

use clap::Subcommand;
use comfy_table::{ContentArrangement, Table, presets};
use watershed_connectors::formats::{Limits, Registry};

use super::{Error, Exit, Output};

/// What formats of telemetry are read.
#[derive(Debug, Subcommand)]
pub(super) enum FormatsVerb {
    /// List the formats with the planes and the columns that they fill.
    List,
}

/// Columns of the table where there is no terminal.
const WIDTH: u16 = 120;

pub(super) fn formats(verb: &FormatsVerb, output: &mut Output) -> Result<Exit, Error> {
    match verb {
        FormatsVerb::List => list(output),
    }
}

fn list(output: &mut Output) -> Result<Exit, Error> {
    let registry = Registry::builtin(Limits::default());
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["format", "planes", "reads", "fills"]);
    if table.width().is_none() {
        table.set_width(WIDTH);
    }
    let mut formats: Vec<_> = registry.iter().collect();
    formats.sort_by_key(|format| format.name());
    for format in formats {
        let planes: Vec<&str> = format.planes().iter().map(|plane| plane.name()).collect();
        table.add_row([
            format.name().to_owned(),
            planes.join(", "),
            format.about().to_owned(),
            format.fills().join(", "),
        ]);
    }
    output.line(table.to_string())?;
    output.line("In the configuration and after --format, `auto` recognises the format of each record.")?;
    Ok(Exit::Fine)
}
