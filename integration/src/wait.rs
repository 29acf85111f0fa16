//! Waiting for a condition, never for a while.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(20);

/// Waits until `condition` gives a value, at most for `deadline`.
///
/// # Errors
/// When the deadline passes (the message names `what`), or with the error of the condition itself.
#[expect(clippy::disallowed_methods, reason = "the one place that waits, and it waits for a condition")]
pub fn until<T>(what: &str, deadline: Duration, mut condition: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = condition()? {
            return Ok(value);
        }
        if start.elapsed() > deadline {
            bail!("waited {deadline:?} for {what}");
        }
        std::thread::sleep(EVERY);
    }
}

/// Says something to the person who runs the tests: also from a test that passes, whose prints cargo swallows.
pub fn say(line: &str) {
    // Nobody is served by a test that fails because its terminal has gone.
    let _ = writeln!(std::io::stderr(), "{line}");
}
