//! Where the broker's jars are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The directory with the broker's jars; fetches them with Maven where they aren't there yet.
///
/// # Errors
/// When they can't be fetched: the message says what to install.
pub(super) fn directory() -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/fetch-kafka.sh");
    let output = Command::new("sh").arg(&script).output().with_context(|| format!("running {}", script.display()))?;
    if !output.status.success() {
        bail!(
            "{} (or set WATERSHED_TEST_KAFKA=host:port, or WATERSHED_SKIP_KAFKA=1 to leave these tests out)",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    // Maven colours even its silence: the directory is the last line, without escape sequences.
    let text = String::from_utf8(output.stdout).context("reading the directory of the jars")?;
    let last = text.lines().last().unwrap_or_default();
    let home = PathBuf::from(last);
    if !home.is_dir() {
        bail!("{} holds no jars: remove {last} and try again", home.display());
    }
    Ok(home)
}
