//! `watershed version`.

use super::{Error, Exit, Output};

pub(super) fn version(output: &mut Output) -> Result<Exit, Error> {
    output.line(format!("watershed {}", env!("CARGO_PKG_VERSION")))?;
    output.line(format!("rules     {} in the catalog", watershed_rules::catalog::CATALOG.len()))?;
    output.line(format!("platform  {} {}", std::env::consts::OS, std::env::consts::ARCH))?;
    Ok(Exit::Fine)
}
