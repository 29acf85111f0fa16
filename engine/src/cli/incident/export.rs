//! Documents.

use std::path::Path;

use watershed_connectors::escape::json_line;
use watershed_connectors::sinks::ocsf::case_finding;

use super::{Error, ExportArgs, ExportFormat, Output};
use crate::cases::export::{Page, html::html, markdown::markdown};

pub(super) fn export(args: &ExportArgs, output: &mut Output) -> Result<(), Error> {
    let case = args.source.case(&args.id, args.seen.viewer)?;
    let document = match args.format {
        ExportFormat::Md => markdown(&Page::of(&case)),
        ExportFormat::Html => html(&Page::of(&case)).map_err(Error::failure)?,
        ExportFormat::Json => json_line(&case).map_err(Error::failure)? + "\n",
        ExportFormat::Ocsf => json_line(&case_finding(&case)).map_err(Error::failure)? + "\n",
    };
    match args.output.as_deref().filter(|path| *path != Path::new("-")) {
        None => output.text(document),
        Some(path) => std::fs::write(path, document)
            .map_err(|error| Error::Failure(format!("`{}` can't be written: {error}", path.display()))),
    }
}
