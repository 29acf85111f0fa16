//! Child processes that end with the test process, whatever ends it: a panic, a signal, or the machine's impatience.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::wait;

/// Runs the program named by its arguments and kills it when its own stdin closes, which the kernel does for us when
/// the test process is gone. `read` is a builtin: no further process is left behind.
const WATCHDOG: &str = r#"
trap '' INT HUP
pidfile=$1; doomed=$2; shift 2
exec 3<&0 </dev/null
"$@" 3<&- &
pid=$!
echo "$pid" >"$pidfile.new" && mv "$pidfile.new" "$pidfile"
( while read -r _; do :; done; kill -9 "$pid" ) <&3 2>/dev/null &
watcher=$!
wait "$pid"; code=$?
kill "$watcher" 2>/dev/null
[ -z "$doomed" ] || rm -rf "$doomed"
exit "$code"
"#;

/// A child process that ends with this process.
#[derive(Debug)]
pub struct Guarded {
    wrapper: Child,
    /// Closing it is what kills the child.
    lifeline: Option<ChildStdin>,
    pid: u32,
    log: PathBuf,
    status: Option<ExitStatus>,
}

impl Guarded {
    /// Starts `command` with its stderr, and its stdout unless `stdout` names a file of its own, in `log`.
    /// `doomed` is a directory to remove after the child's end.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn spawn(command: &Command, log: &Path, stdout: Option<&Path>, doomed: Option<&Path>) -> Result<Guarded> {
        let pidfile = log.with_extension("pid");
        let err = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        let out = match stdout {
            Some(path) => File::create(path).with_context(|| format!("creating {}", path.display()))?,
            None => err.try_clone()?,
        };
        let mut wrapper = Command::new("sh");
        wrapper.arg("-c").arg(WATCHDOG).arg("watchdog").arg(&pidfile).arg(doomed.unwrap_or(Path::new("")));
        wrapper.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapper.env(name, value),
                None => wrapper.env_remove(name),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            wrapper.current_dir(dir);
        }
        let mut wrapper = wrapper
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(err)
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().to_string_lossy()))?;
        let lifeline = wrapper.stdin.take();
        let pid = wait::until("the process id of a child", Duration::from_secs(10), || {
            Ok(std::fs::read_to_string(&pidfile).ok().and_then(|text| text.trim().parse().ok()))
        })?;
        let _ = std::fs::remove_file(&pidfile);
        Ok(Guarded { wrapper, lifeline, pid, log: log.to_owned(), status: None })
    }

    /// The child's own process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, where it has. A signal `n` is the code `128 + n`.
    ///
    /// # Errors
    /// When the system can't tell.
    pub fn ended(&mut self) -> Result<Option<i32>> {
        if self.status.is_none() {
            self.status = self.wrapper.try_wait()?;
        }
        Ok(self.status.map(|status| status.code().unwrap_or(-1)))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When the deadline passes; the message holds the end of the log.
    pub fn wait(&mut self, deadline: Duration) -> Result<i32> {
        let log = self.log.clone();
        wait::until("the end of a child", deadline, || self.ended()).with_context(|| tail(&log))
    }

    /// Sends a signal such as `TERM` to the child itself.
    ///
    /// # Errors
    /// When the signal can't be sent.
    pub fn signal(&mut self, name: &str) -> Result<()> {
        if self.ended()?.is_none() {
            Command::new("kill").arg(format!("-{name}")).arg(self.pid.to_string()).stderr(Stdio::null()).status()?;
        }
        Ok(())
    }

    /// What it writes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines that it wrote, for messages.
    pub fn tail(&self) -> String {
        tail(&self.log)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.wrapper.wait();
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines[lines.len().saturating_sub(25)..].join("\n");
    format!("the last lines of {}:\n{shown}", log.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alive(pid: u32) -> bool {
        Command::new("kill").arg("-0").arg(pid.to_string()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
    }

    #[test]
    fn a_child_ends_with_its_lifeline_and_its_directory_goes() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let doomed = dir.path().join("doomed");
        std::fs::create_dir(&doomed).expect("a directory");
        let mut command = Command::new("tail");
        command.args(["-f", "/dev/null"]);
        let child = Guarded::spawn(&command, &dir.path().join("log"), None, Some(&doomed)).expect("it starts");
        let pid = child.pid();
        assert!(alive(pid));
        drop(child);
        assert!(!alive(pid) && !doomed.exists(), "killed, and its directory removed");
    }

    #[test]
    fn exit_codes_and_signals_come_through() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new("sh");
        command.args(["-c", "exit 7"]);
        let mut child = Guarded::spawn(&command, &dir.path().join("log"), None, None).expect("it starts");
        assert_eq!(child.wait(Duration::from_secs(10)).expect("it ends"), 7);
        let mut command = Command::new("tail");
        command.args(["-f", "/dev/null"]);
        let mut child = Guarded::spawn(&command, &dir.path().join("log2"), None, None).expect("it starts");
        child.signal("KILL").expect("a signal");
        assert_eq!(child.wait(Duration::from_secs(10)).expect("it ends"), 137);
    }
}
