//! How the console listens, and what it allows.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::access::Tokens;

/// How the console listens, and what it allows.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may ask and change what; without any, reading is free and nothing can be changed.
    pub tokens: Tokens,
    /// Whether `/metrics` and `/rules` are shown without a token although there are tokens.
    pub open_metrics: bool,
    /// The file that says who changed what; without one nothing can be changed.
    pub audit: Option<PathBuf>,
    /// Its bounds.
    pub limits: Limits,
}

/// What the console has of each thing at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests a second of one token, or of one address without one.
    pub requests_per_second: u32,
    /// Requests that may come at once after a pause.
    pub burst: u32,
    /// Connections at a time.
    pub connections: usize,
    /// Readers of live events at a time.
    pub event_readers: usize,
    /// How long the head of a request may take, its body, and a client that takes in nothing of an answer.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            requests_per_second: 50,
            burst: 100,
            connections: 256,
            event_readers: 16,
            patience: Duration::from_secs(10),
        }
    }
}

impl From<SocketAddr> for Settings {
    /// Without tokens and without a file of changes: read-only.
    fn from(listen: SocketAddr) -> Self {
        Settings { listen, tokens: Tokens::default(), open_metrics: false, audit: None, limits: Limits::default() }
    }
}
