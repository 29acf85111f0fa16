//! The configuration: one TOML file, read into raw sections and validated into a [`Config`].
//!
//! * [`Config::load`] reads and validates without any network. It collects **every** problem, each with file, line and
//!   the way out, instead of stopping at the first.
//! * `raw` declares the file's sections; their doc comments are the reference page `docs/config.md`.
//! * Secrets are never in the file: it names an environment variable or a file.
//!
//! It is not: rules (they are files of their own; `check` plans them) or command line flags.

mod document;
mod problem;
mod raw;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use watershed_connectors::formats::avro::{Avro, SchemaRegistry, SchemaRegistryError, SchemaRegistrySettings};
use watershed_connectors::formats::set::Set;
use watershed_connectors::formats::{self, Format, Registry};
use watershed_connectors::sinks::SinkSettings;
use watershed_connectors::sources::kafka::{Connection, KafkaSettings};
use watershed_connectors::sources::snapshot::Snapshot;
use watershed_connectors::sources::tail::TailSettings;
use watershed_rules::Parameter;
use watershed_schemas::{Plane, Severity};

use crate::books;
use crate::cases;
use crate::console;
use crate::core;
use crate::deliver::{DeliverySettings, ReceiverSettings};
use crate::exceptions::Exception;
use crate::messages::Template;
use crate::operator;
use crate::redact;
use crate::router::Routes;
use crate::store;

pub use problem::{Level, Problem, Problems};
pub use raw::PerPlane;

/// A whole, valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where telemetry comes from.
    pub input: Input,
    /// Where the schemas of Avro records are.
    pub schema_registry: Option<SchemaRegistrySettings>,
    /// Time, incidents and bounds of the core.
    pub core: core::Settings,
    /// Which rules run, and how they are tuned.
    pub rules: Rules,
    /// Principals through which many act, beside those that the reference table `agents` marks.
    pub shared_principals: BTreeSet<String>,
    /// Directory of the reference tables (`agents`, `tools` and others).
    pub reference: Option<PathBuf>,
    /// The inventory and the lifecycle of access.
    pub inventory: Inventory,
    /// How long case files are kept, and how many.
    pub cases: cases::Settings,
    /// The embedded store.
    pub store: Store,
    /// Everybody who can be told, in the order of [`Routes::receivers`].
    pub receivers: Vec<Receiver>,
    /// Who is told of what.
    pub routes: Routes,
    /// What receivers are shown.
    pub redaction: redact::Settings,
    /// When the team `operator` is told of the engine itself.
    pub operator: operator::Settings,
    /// What all deliveries share.
    pub delivery: DeliverySettings,
    /// Where records go that no row could be made of.
    pub dlq: DeadLetterOutput,
    /// Where rows go that came too late or from the future.
    pub late: DeadLetterOutput,
    /// Longest that one rule may take for one batch.
    pub rule_time: Duration,
    /// Memory for remembered rows; beyond it some are left on disk.
    pub row_memory: usize,
    /// The formats that need nothing from outside, with those of one's own.
    pub formats: Registry,
    /// Exports of identity state that are read before the input.
    pub snapshots: Vec<Snapshot>,
    /// Security event tokens with their keys, as they are among the formats too.
    pub tokens: Option<Arc<Set>>,
    /// Where formats of one's own are.
    pub mappings: Option<PathBuf>,
    /// Bounds of one record.
    pub record_limits: formats::Limits,
    /// How the console listens and what it allows; absent where it is switched off.
    pub console: Option<console::Settings>,
    /// Log output.
    pub log: Log,
}

/// The one source of telemetry.
#[derive(Clone, Debug)]
pub enum Input {
    /// Topics of Kafka.
    Kafka(Box<KafkaSettings>),
    /// Files that something appends to.
    File(TailSettings),
    /// A recording, read once.
    Recording(PathBuf),
}

/// Which rules run, and how this installation has tuned them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Whether the catalog that is built into the program runs.
    pub catalog: bool,
    /// Directories and files of further rules.
    pub paths: Vec<PathBuf>,
    /// Ids of rules that do not run.
    pub disable: BTreeSet<String>,
    /// What is otherwise here, by id.
    pub tuning: BTreeMap<String, Tuning>,
    /// What is known and allowed: findings that make no incident.
    pub exceptions: Vec<Exception>,
    /// How often files of rules and reference tables are looked at; zero: never by itself.
    pub reload_every: Duration,
}

/// What is otherwise here than its author wrote it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tuning {
    /// Its severity.
    pub severity: Option<Severity>,
    /// How much a finding counts for each plane.
    pub weights: Option<PerPlane>,
    /// Whether it gives signals but no incident and no page.
    pub shadow: bool,
    /// Whether it is given its past when it is added to a running engine.
    pub backfill: bool,
    /// Its parameters.
    pub parameters: BTreeMap<String, Parameter>,
}

/// Whether the inventory and the lifecycle of access are kept, and how much of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// Whether `run` keeps them.
    pub enabled: bool,
    /// Their bounds.
    pub limits: books::Limits,
}

/// The embedded store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Its directory.
    pub path: PathBuf,
    /// Longest time between two commits while there is something to commit.
    pub commit_interval: Duration,
    /// How it is opened.
    pub options: store::Options,
}

/// One receiver.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Its unique name.
    pub name: String,
    /// The team behind it.
    pub team: String,
    /// The planes whose evidence it may show.
    pub planes: Vec<Plane>,
    /// Where and how messages are sent.
    pub sink: SinkSettings,
    /// What writes title and text of its messages.
    pub template: Option<Arc<Template>>,
    /// How patient delivery is with it.
    pub delivery: ReceiverSettings,
}

/// A place for what did not become history.
#[derive(Clone, Debug)]
pub enum DeadLetterOutput {
    /// A file of JSON lines.
    File(PathBuf),
    /// A topic.
    Kafka {
        /// How to reach the cluster.
        connection: Box<Connection>,
        /// The topic.
        topic: String,
    },
}

/// Log output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Whether lines are JSON; absent: JSON unless standard error is a terminal.
    pub json: Option<bool>,
    /// What is logged, as `tracing-subscriber` reads it: `info`, or `info,watershed_engine=debug`.
    pub level: String,
}

/// A valid configuration, and what is doubtful about it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings; never errors.
    pub warnings: Problems,
    /// Finds the line of a setting, for those who check further.
    pub lines: Lines,
}

/// Finds the lines of settings in the file.
#[derive(Debug)]
pub struct Lines(document::Document);

impl Lines {
    /// A problem of the setting at this path, such as `rules.paths[0]`.
    pub fn problem(&self, level: Level, setting: &str, message: impl Into<String>) -> Problem {
        self.0.problem(level, setting, message.into())
    }
}

impl Config {
    /// Reads and validates a file.
    ///
    /// # Errors
    /// Every problem of the file, warnings included, in the order of their lines.
    pub fn load(path: &Path) -> Result<Loaded, Problems> {
        match std::fs::read_to_string(path) {
            Ok(text) => Config::parse(path, text),
            Err(error) => Err(Problems::from(vec![Problem {
                level: Level::Error,
                file: path.to_owned(),
                line: None,
                column: None,
                setting: String::new(),
                message: format!("can't be read: {error}; name a readable TOML file with --config"),
            }])),
        }
    }

    /// The formats of telemetry, with the schema registry where one is named. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When the registry's client can't be made.
    pub fn formats(&self) -> Result<Registry, SchemaRegistryError> {
        self.with_schemas(self.formats.clone())
    }

    /// The same without those of one's own.
    ///
    /// # Errors
    /// As [`Config::formats`].
    pub fn builtin_formats(&self) -> Result<Registry, SchemaRegistryError> {
        let registry = Registry::builtin(self.record_limits.clone());
        self.with_schemas(match &self.tokens {
            Some(tokens) => registry.with(Arc::clone(tokens) as Arc<dyn Format>),
            None => registry,
        })
    }

    fn with_schemas(&self, registry: Registry) -> Result<Registry, SchemaRegistryError> {
        match &self.schema_registry {
            None => Ok(registry),
            Some(settings) => {
                Ok(registry.with(Arc::new(Avro::with_schemas(Arc::new(SchemaRegistry::start(settings)?)))))
            }
        }
    }

    /// Validates the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &Path, text: String) -> Result<Loaded, Problems> {
        let (document, raw, mut problems) = document::Document::read(path, text);
        let config = raw.and_then(|raw| validate::validate(raw, &document, &mut problems));
        let mut problems = Problems::from(problems);
        problems.sort();
        match config {
            Some(config) if !problems.any_error() => Ok(Loaded { config, warnings: problems, lines: Lines(document) }),
            _ => Err(problems),
        }
    }
}
