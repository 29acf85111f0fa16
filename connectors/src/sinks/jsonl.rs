//! `file` and `stdout`: notifications as JSON lines.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde::Deserialize;
use watershed_schemas::Notification;

use super::{Attempt, BuildError, Format, Problem, Receipt, SendError, Sink};
use crate::escape;

/// A file of JSON lines.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSettings {
    /// The file; it is created where its directory exists, and opened anew for each line, so it may be rotated.
    pub path: PathBuf,
    /// The shape of a line: `json`, `ocsf` (an OCSF Incident Finding) or `ocsf_detection` (an OCSF Detection Finding).
    #[serde(default)]
    pub format: Format,
}

/// JSON lines on standard output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StdoutSettings {
    /// The shape of a line: `json`, `ocsf` (an OCSF Incident Finding) or `ocsf_detection` (an OCSF Detection Finding).
    #[serde(default)]
    pub format: Format,
}

impl FileSettings {
    pub(super) fn problems(&self) -> Option<Vec<Problem>> {
        let problem = |message: String| Some(vec![Problem { field: "path".to_owned(), message }]);
        if self.path.is_dir() {
            return problem(format!("`{}` is a directory: name a file in it", self.path.display()));
        }
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if !directory.is_dir() {
            return problem(format!("is in `{}`, which is no directory: create it", directory.display()));
        }
        None
    }

    pub(super) fn build(&self) -> Result<FileSink, BuildError> {
        match self.problems() {
            Some(problems) => Err(BuildError::Settings(problems)),
            None => Ok(FileSink { path: self.path.clone(), format: self.format, turn: Arc::default() }),
        }
    }
}

impl StdoutSettings {
    pub(super) fn build(&self) -> StdoutSink {
        StdoutSink { format: self.format }
    }
}

/// Appends each notification to a file; accepted means on the disk.
pub(super) struct FileSink {
    path: PathBuf,
    format: Format,
    /// Lines are written one at a time.
    turn: Arc<Mutex<()>>,
}

#[async_trait]
impl Sink for FileSink {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn preview(&self, notification: &Notification) -> serde_json::Value {
        self.format.body(notification)
    }

    async fn send(&self, notification: &Notification, _attempt: &Attempt<'_>) -> Result<Receipt, SendError> {
        let line = encode(&self.format.body(notification))?;
        let (path, turn) = (self.path.clone(), Arc::clone(&self.turn));
        blocking(move || {
            let _turn = turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            append_line(&path, &line).map_err(|error| SendError::Retry {
                after: None,
                reason: format!("can't append to `{}`: {error}", path.display()),
            })
        })
        .await
    }
}

/// Prints each notification.
pub(super) struct StdoutSink {
    format: Format,
}

#[async_trait]
impl Sink for StdoutSink {
    fn kind(&self) -> &'static str {
        "stdout"
    }

    fn preview(&self, notification: &Notification) -> serde_json::Value {
        self.format.body(notification)
    }

    async fn send(&self, notification: &Notification, _attempt: &Attempt<'_>) -> Result<Receipt, SendError> {
        let mut line = encode(&self.format.body(notification))?;
        line.push('\n');
        blocking(move || {
            let mut out = std::io::stdout().lock();
            out.write_all(line.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
                ErrorKind::BrokenPipe => SendError::Gone { reason: "standard output was closed".to_owned() },
                _ => SendError::Retry { after: None, reason: format!("can't write to standard output: {error}") },
            })
        })
        .await
    }
}

fn encode(body: &serde_json::Value) -> Result<String, SendError> {
    escape::json_line(body)
        .map_err(|error| SendError::Refused { reason: format!("the notification can't be written as JSON: {error}") })
}

async fn blocking(write: impl FnOnce() -> Result<(), SendError> + Send + 'static) -> Result<Receipt, SendError> {
    match tokio::task::spawn_blocking(write).await {
        Ok(result) => result.map(|()| Receipt::default()),
        Err(error) => Err(SendError::Retry { after: None, reason: format!("the writer was stopped: {error}") }),
    }
}

/// Appends one line to a file, which is created where it is absent; when it returns, the line is on the disk. A line
/// that an earlier crash tore is ended first, so that it spoils no other.
pub fn append_line(path: &Path, line: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let mut bytes = Vec::with_capacity(line.len() + 2);
    // Only a plain file can be torn; a pipe or a terminal has no end to look at.
    if file.metadata()?.is_file() && file.seek(SeekFrom::End(0))? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            bytes.push(b'\n');
        }
    }
    bytes.extend_from_slice(line.as_bytes());
    bytes.push(b'\n');
    file.write_all(&bytes)?;
    match file.sync_data() {
        // Pipes and terminals can't be synced.
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_spoils_no_other() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("out.jsonl");
        std::fs::write(&path, "{\"a\":1}\n{\"torn\":").expect("written");
        append_line(&path, "{\"b\":2}").expect("appended");
        append_line(&path, "{\"c\":3}").expect("appended");
        let text = std::fs::read_to_string(&path).expect("readable");
        assert_eq!(text, "{\"a\":1}\n{\"torn\":\n{\"b\":2}\n{\"c\":3}\n");
    }

    #[test]
    fn a_missing_directory_is_named() {
        let problems = FileSettings { path: "/surely/absent/out.jsonl".into(), format: Format::Json }
            .problems()
            .expect("no such directory");
        assert!(problems[0].to_string().contains("/surely/absent"), "{}", problems[0]);
    }
}
