//! The `watershed` binary as a process.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::guard::Guarded;

/// Where the binary is: `WATERSHED_BIN`, else beside the directory of the test's own executable.
///
/// # Errors
/// When it isn't built: `make test` and `cargo build --workspace` build it.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("WATERSHED_BIN") {
        return Ok(path.into());
    }
    let test = std::env::current_exe().context("finding the test's own executable")?;
    let binary = test.ancestors().nth(2).map(|dir| dir.join("watershed")).context("no directory above the test")?;
    if !binary.is_file() {
        bail!("{} is not built: run `cargo build --workspace` first, as `make test` does", binary.display());
    }
    Ok(binary)
}

/// The binary with these arguments, without the caller's own `WATERSHED_…` settings.
///
/// # Errors
/// When it isn't built.
pub fn command<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.args(arguments).env_remove("WATERSHED_CRASH_AT").env("NO_COLOR", "1");
    Ok(command)
}

/// Runs it to its end.
///
/// # Errors
/// When it isn't built or can't be started.
pub fn run<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<Output> {
    command(arguments)?.output().context("running watershed")
}

/// Runs it to its end, which must be a good one.
///
/// # Errors
/// When it ends with another code than 0: the message holds what it wrote.
pub fn succeed<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<Output> {
    let command = &mut command(arguments)?;
    let output = command.output().context("running watershed")?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output)
}

/// Starts `watershed run` and leaves it running.
///
/// # Errors
/// When it can't be started.
pub fn start(config: &Path, log: &Path, environment: &[(&str, &str)]) -> Result<Guarded> {
    let mut command = command([Path::new("run"), Path::new("--config"), config])?;
    command.envs(environment.iter().copied());
    Guarded::spawn(&command, log, None, None)
}

/// Ends it as an operator would, and checks that it took it well.
///
/// # Errors
/// When it takes longer than the deadline or ends with another code than 0.
pub fn stop(mut running: Guarded, deadline: Duration) -> Result<()> {
    running.signal("TERM")?;
    let code = running.wait(deadline)?;
    ensure!(code == 0, "watershed ended with {code} after SIGTERM; {}", running.tail());
    Ok(())
}
