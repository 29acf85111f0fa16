//! How the engine runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watershed_connectors::secret::SecretRef;
use watershed_connectors::{byte_size, duration, formats};
use watershed_rules::Parameter;
use watershed_schemas::{Severity, Timestamp};

use super::PerPlane;
use crate::books;
use crate::cases;
use crate::console::{self, Role};
use crate::correlator;
use crate::evaluator::{self, EvidenceText};
use crate::operator;
use crate::principals;
use crate::shelf;
use crate::store;

/// Which rules run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Rules {
    /// Whether the catalog that is built into the program runs; `watershed rules export` writes it out.
    pub(in crate::config) catalog: bool,
    /// Directories and files of further rules. A rule with the id of one in the catalog takes its place.
    pub(in crate::config) paths: Vec<PathBuf>,
    /// Ids of rules that do not run.
    pub(in crate::config) disable: BTreeSet<String>,
    /// How often `run` looks whether rule files or reference tables have changed; it takes up changes without a restart, and
    /// a rule that can't be planned leaves the one that runs as it is. `"0s"`: only on SIGHUP. This file is read once.
    #[serde(with = "duration")]
    pub(in crate::config) reload_every: Duration,
    /// Tuning of single rules, by id.
    #[serde(rename = "override")]
    pub(in crate::config) overrides: BTreeMap<String, RuleOverride>,
    /// Findings that are known and allowed. They are written and marked `excepted`, and make no incident.
    #[serde(skip_serializing)]
    pub(in crate::config) exceptions: Vec<RuleException>,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            catalog: true,
            paths: Vec::new(),
            disable: BTreeSet::new(),
            reload_every: Duration::from_secs(5),
            overrides: BTreeMap::new(),
            exceptions: Vec::new(),
        }
    }
}

/// Tuning of one rule.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RuleOverride {
    /// Its severity here: `info`, `low`, `medium`, `high` or `critical`. Default: what the rule says.
    pub(in crate::config) severity: Option<Severity>,
    /// What its first signal in an incident counts here, for each of its planes: a number, or
    /// `{ model = 1.0, access = 0.5 }`. Default: what the rule says, else 1.
    pub(in crate::config) weights: Option<PerPlane>,
    /// `active`, or `shadow`: signals are written, but make no incident and page nobody. Default: `active`.
    pub(in crate::config) mode: Mode,
    /// What `$name` stands for in its SQL, by name, such as `{calls = 20, window = "10 minutes"}`. With another value it is
    /// another version of the rule. Default: what the rule says.
    pub(in crate::config) parameters: BTreeMap<String, Parameter>,
    /// Whether the rule is given its past when it is added, or edited, while `run` runs: what other rules still remember,
    /// and where that is not all that it looks back to, the log, read again by a second reader while everything else goes
    /// on. What it finds there is recorded and marked `backfilled`; nobody is told. Where the log does not reach back far
    /// enough, the rule is warming for the rest. Without it, a rule that is added begins with what comes after.
    pub(in crate::config) backfill: bool,
}

/// Findings that are known and allowed, for a time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RuleException {
    /// Ids of the rules; all where it is absent.
    #[serde(default)]
    pub(in crate::config) rules: Vec<String>,
    /// What a finding must say, by column of the rule's output: one value or several, all columns at once. At least one, such as
    /// `match = {principal = "svc-backup", tool = ["read_inbox", "list_files"]}`.
    #[serde(rename = "match")]
    pub(in crate::config) matches: BTreeMap<String, OneOrMore>,
    /// Who answers for it.
    pub(in crate::config) author: String,
    /// Why it is allowed.
    pub(in crate::config) reason: String,
    /// Until when, in event time: RFC 3339, such as `2027-01-31T00:00:00Z`. What happens from then on is a finding again.
    pub(in crate::config) until: Timestamp,
}

/// One text or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(in crate::config) enum OneOrMore {
    /// One.
    One(String),
    /// Several.
    More(Vec<String>),
}

impl From<OneOrMore> for BTreeSet<String> {
    fn from(texts: OneOrMore) -> Self {
        match texts {
            OneOrMore::One(text) => BTreeSet::from([text]),
            OneOrMore::More(texts) => texts.into_iter().collect(),
        }
    }
}

/// Whether a rule's signals count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Mode {
    /// They do.
    #[default]
    Active,
    /// They are only written.
    Shadow,
}

/// Reference tables.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Reference {
    /// Directory of the tables that rules may join, such as `agents` and `tools`; `aliases` says which ids are one principal.
    /// Default: none.
    pub(in crate::config) dir: Option<PathBuf>,
}

/// What falls out of the streams beside incidents: `watershed inventory` and `watershed lifecycle` of a running engine.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Inventory {
    /// Whether `run` keeps them. They read more columns of every row than rules do; `replay` never keeps them.
    pub(in crate::config) enabled: bool,
    /// Most agents, and as many principals, credentials, scopes, tools and changes of access. Of more an even sample is kept,
    /// of changes the latest; reports say so and how many there were about.
    pub(in crate::config) entries: usize,
}

impl Default for Inventory {
    fn default() -> Self {
        Inventory { enabled: true, entries: books::Limits::default().entries }
    }
}

/// How signals become incidents.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Incidents {
    /// Quiet event time after which an incident is resolved, and what follows is a new one.
    #[serde(with = "duration")]
    pub(in crate::config) gap: Duration,
    /// Longest incident; what follows is a continuation that names it.
    #[serde(with = "duration")]
    pub(in crate::config) max_duration: Duration,
    /// Score at which a plane is in the verdict, for both planes or as `{ model = 1.0, access = 1.5 }`. A rule counts its
    /// weight, 1 unless it says otherwise.
    pub(in crate::config) threshold: PerPlane,
    /// What each further signal of one rule counts, as a part of the one before it, from 0 to 1: with 0.5 a rule counts at
    /// most twice its weight in one incident.
    pub(in crate::config) repeat_factor: f64,
    /// When the first signals of both planes are no farther apart than this, `origin` is `undetermined`.
    #[serde(with = "duration")]
    pub(in crate::config) clock_skew: Duration,
    /// A plane that does not reach the end of the incident, and has said nothing for longer than this, is reported as
    /// silent; until then it is lagging.
    #[serde(with = "duration")]
    pub(in crate::config) silence_after: Duration,
    /// How long after it was last seen the principal of a session is remembered.
    #[serde(with = "duration")]
    pub(in crate::config) links_keep: Duration,
    /// What case files keep of prompts, completions and arguments beside a fingerprint: `excerpt` (the first 240 characters, secrets
    /// masked) or `fingerprint` (nothing). Who is shown an excerpt in a message is said
    /// by `show` and `hide` of receivers.
    pub(in crate::config) evidence_text: EvidenceText,
    /// How long after its last event a case file is kept, in event time.
    #[serde(with = "duration")]
    pub(in crate::config) evidence_retention: Duration,
    /// Any ids of principals through which many people or jobs act, beside the agents that the table `agents` marks as `shared`. What
    /// they do is grouped by session, so that one of them does not become everybody's incident.
    pub(in crate::config) shared_principals: BTreeSet<String>,
    /// Incidents of different entities name each other where they have a credential, session or agent in common, unless more
    /// than so many have it in common at one time.
    pub(in crate::config) related_limit: usize,
    /// How long after its last event an incident can still be acknowledged, closed or reopened.
    #[serde(with = "duration")]
    pub(in crate::config) keep: Duration,
}

impl Default for Incidents {
    fn default() -> Self {
        let core = correlator::Settings::default();
        Incidents {
            gap: core.gap,
            max_duration: core.max_duration,
            threshold: PerPlane::Same(core.threshold.model),
            repeat_factor: core.repeat_factor,
            clock_skew: core.clock_skew,
            silence_after: core.silence_after,
            links_keep: core.links_keep,
            evidence_text: core.evidence_text,
            evidence_retention: cases::Settings::default().retention,
            shared_principals: BTreeSet::new(),
            related_limit: core.related_limit,
            keep: core.over_keep,
        }
    }
}

/// Self-monitoring. Every receiver of the team `operator` is told when something begins and when it ends.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Operator {
    /// How often it is told again what still stands. What comes and goes within that time is told once.
    #[serde(with = "duration")]
    pub(in crate::config) repeat: Duration,
    /// So many records of a plane that can't be decoded within five minutes are a few.
    pub(in crate::config) rejects: u64,
}

impl Default for Operator {
    fn default() -> Self {
        let operator::Settings { repeat, rejects, .. } = operator::Settings::default();
        Operator { repeat, rejects }
    }
}

/// The embedded store: a checkpoint. If it is lost, it is rebuilt from the input.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Store {
    /// Its directory; one process at a time.
    pub(in crate::config) path: PathBuf,
    /// Longest time between two commits while there is something to commit. A notification leaves after its commit.
    #[serde(with = "duration")]
    pub(in crate::config) commit_interval: Duration,
    /// Memory for pages of the store.
    #[serde(with = "byte_size")]
    pub(in crate::config) cache: usize,
    /// Size on disk above which a warning is logged: opening the store needs memory in proportion.
    #[serde(with = "byte_size")]
    pub(in crate::config) warn_size: usize,
}

impl Default for Store {
    fn default() -> Self {
        let options = store::Options::default();
        Store {
            path: PathBuf::from("watershed-state"),
            commit_interval: Duration::from_millis(100),
            cache: options.cache_bytes,
            warn_size: options.warn_bytes,
        }
    }
}

/// Bounds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Limits {
    /// Rows that one scan of one rule keeps for one key. Beyond it the rule is degraded for that key: what is true in any
    /// case is said and marked so, what must be complete to be true is not said.
    pub(in crate::config) rows_per_key: usize,
    /// Memory of one rule, rows that it shares included. Rows beyond it are not kept; the rule is degraded for their keys.
    #[serde(with = "byte_size")]
    pub(in crate::config) rule_memory: usize,
    /// Memory at which a rule is stopped, alone: beyond `rule_memory` only what it has said and must still say grows.
    #[serde(with = "byte_size")]
    pub(in crate::config) rule_memory_stop: usize,
    /// Memory of all rules together, shared rows counted once. Rows beyond it are not kept; the rules are degraded for their
    /// keys.
    #[serde(with = "byte_size")]
    pub(in crate::config) state_memory: usize,
    /// Memory of the state tables (`accounts`, `grants`, `tokens`, `sessions`). What is said of identities beyond it isn't
    /// taken in; rules that read the table are degraded from that moment on.
    #[serde(with = "byte_size")]
    pub(in crate::config) identity_memory: usize,
    /// Memory for remembered rows. Beyond it those that are needed last are left on disk, and loaded when a late event needs
    /// them: in `run` they are in the store anyway, so rows that only late events can still join are always left there;
    /// `replay` puts them into temporary files. What is found does not depend on it. `rule_memory` and `state_memory` count
    /// rows wherever they are: to keep more than memory holds, raise those.
    #[serde(with = "byte_size")]
    pub(in crate::config) row_memory: usize,
    /// Rows that the plans of one rule may read within an hour of event time, each run counted as 100 more. A rule that
    /// exceeds it is stopped, alone. It is counted and not measured, so that a replay stops at the same place.
    pub(in crate::config) rule_work: u64,
    /// Longest that one rule may take for one batch of input. A rule that takes longer is stopped, alone; a replay does not
    /// repeat that.
    #[serde(with = "duration")]
    pub(in crate::config) rule_time: Duration,
    /// Sessions whose principals are remembered.
    pub(in crate::config) session_links: usize,
    /// Links between ids of principals, and relations between principals, that are remembered. Later ones are not learned,
    /// and counted.
    pub(in crate::config) principal_links: usize,
    /// Ids of one principal. A link that would give it more is refused, and reported as a conflict.
    pub(in crate::config) principal_ids: usize,
    /// Notifications that may wait for their receivers; more pauses intake, none is dropped.
    pub(in crate::config) outbox_rows: usize,
    /// Bounds of one record, checked before it is parsed. A record beyond one is rejected.
    pub(in crate::config) record: formats::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        let limits = evaluator::Limits::default();
        Limits {
            rows_per_key: limits.rows_per_key,
            rule_memory: limits.rule_bytes,
            rule_memory_stop: limits.rule_bytes_stop,
            state_memory: limits.state_bytes,
            identity_memory: limits.identity_bytes,
            row_memory: shelf::ROW_MEMORY,
            rule_work: limits.rule_work,
            rule_time: Duration::from_secs(10),
            session_links: correlator::Settings::default().links_limit,
            principal_links: principals::Limits::default().links,
            principal_ids: principals::Limits::default().ids,
            outbox_rows: 100_000,
            record: formats::Limits::default(),
        }
    }
}

/// The HTTP server: `/metrics`, `/healthz`, `/readyz`, and `/api/v1` (see `docs/api.md`). Without tokens it listens on loopback
/// only, where everybody may read and nobody may change anything. With tokens everything but `/healthz` and `/readyz` needs one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Console {
    /// Address and port. Another one than loopback needs `tokens`.
    pub(in crate::config) listen: String,
    /// Where people reach it, such as `https://watershed.example.com`: messages link to their incident there
    /// (`/api/v1/incidents/ID`). Without it they link to nothing.
    pub(in crate::config) external_url: Option<String>,
    /// Whether there is a console at all.
    pub(in crate::config) enabled: bool,
    /// Who may ask and change what.
    #[serde(skip_serializing)]
    pub(in crate::config) tokens: Vec<Token>,
    /// Whether `/metrics` and `/rules` are shown without a token although there are tokens.
    pub(in crate::config) open_metrics: bool,
    /// The file of JSON lines that says who changed what; it only grows. Default: `audit.jsonl` in the directory of the store.
    pub(in crate::config) audit: Option<PathBuf>,
    /// Requests a second of one token, or of one address without one. Twice as many may come at once after a pause.
    pub(in crate::config) requests_per_second: u32,
    /// Connections at a time.
    pub(in crate::config) connections: usize,
    /// Readers of live events (`/api/v1/events`) at a time.
    pub(in crate::config) event_readers: usize,
}

impl Default for Console {
    fn default() -> Self {
        let limits = console::Limits::default();
        Console {
            listen: "127.0.0.1:9464".to_owned(),
            external_url: None,
            enabled: true,
            tokens: Vec::new(),
            open_metrics: false,
            audit: None,
            requests_per_second: limits.requests_per_second,
            connections: limits.connections,
            event_readers: limits.event_readers,
        }
    }
}

/// A secret that stands for somebody.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Token {
    /// Who it stands for, as the audit and the incidents that they handle say it: letters, digits, `-`, `_`, `.` and `@`.
    pub(in crate::config) name: String,
    /// `viewer` may read; `responder` may also take, close and comment incidents, and silence; `admin` may also erase.
    pub(in crate::config) role: Role,
    /// `ai-security` or `iam`, where it shows only what that team may see: incidents of its plane, redacted as for its
    /// receivers. Default: both planes, whole.
    pub(in crate::config) team: Option<String>,
    /// The secret, of at least 24 bytes, such as `openssl rand -hex 32` makes.
    pub(in crate::config) token: SecretRef,
}

/// Log output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Log {
    /// Whether lines are JSON. Default: JSON unless standard error is a terminal.
    pub(in crate::config) json: Option<bool>,
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,watershed_engine=debug`.
    pub(in crate::config) level: String,
}

impl Default for Log {
    fn default() -> Self {
        Log { json: None, level: "info".to_owned() }
    }
}
