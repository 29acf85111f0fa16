//! Who is told of what.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use watershed_connectors::secret::SecretRef;
use watershed_connectors::sinks::SinkSettings;
use watershed_schemas::{Plane, Severity, Verdict};

use crate::deliver::ReceiverSettings;
use crate::redact::Class;

/// One receiver.
#[derive(Debug, Deserialize)]
pub(in crate::config) struct Receiver {
    /// Its unique name, of letters, digits, `-` and `_`.
    pub(in crate::config) name: String,
    /// The team behind it. By default `ai-security` is told of the model plane and `iam` of the access plane.
    pub(in crate::config) team: Team,
    /// The planes whose evidence it may show: `model`, `access` or both. It is never told anything about another plane.
    /// Default: the plane that the team owns; other teams must say.
    #[serde(default)]
    pub(in crate::config) planes: Option<Vec<Plane>>,
    /// Classes of fields that it is shown beyond those of its planes: `prompt`, `arguments`, `result`, `address`, `device` or
    /// `personal`. See docs/redaction.md.
    #[serde(default)]
    pub(in crate::config) show: Vec<Class>,
    /// Classes of fields that it is not shown, whatever its planes.
    #[serde(default)]
    pub(in crate::config) hide: Vec<Class>,
    /// How patient delivery is with it.
    #[serde(default)]
    pub(in crate::config) delivery: ReceiverSettings,
    /// What kind of receiver it is, by `type`: `slack`, `pagerduty`, `webhook`, `splunk`, `kafka`, `file` or `stdout`, with
    /// the settings of that kind beside it.
    #[serde(flatten)]
    pub(in crate::config) sink: SinkSettings,
}

/// The name of a team.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(in crate::config) struct Team(pub(in crate::config) String);

impl Team {
    /// The planes that the team owns.
    pub(in crate::config) fn owned(&self) -> Option<Vec<Plane>> {
        match self.0.as_str() {
            "ai-security" => Some(vec![Plane::Model]),
            "iam" => Some(vec![Plane::Access]),
            _ => None,
        }
    }
}

/// Who is told of what. Without routes each plane's half of an incident goes to the receivers of the team that owns the
/// plane, so that `model_abuse` reaches `ai-security`, `access_compromise` reaches `iam`, and `both` reaches both.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Routing {
    /// Name of the receiver of incidents that nobody else takes, and of messages whose receiver is gone.
    pub(in crate::config) fallback: Option<String>,
    /// Tried in order; the first that matches decides, unless it says `continue`. What none matches goes by team.
    #[serde(skip_serializing)]
    pub(in crate::config) routes: Vec<Route>,
}

/// Matchers and where they lead. Every matcher that is given must hold; a list holds when one of its members does.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Route {
    /// Names of receivers. Each is told only about the planes that it may show.
    pub(in crate::config) receivers: Vec<String>,
    /// Verdicts: `model_abuse`, `access_compromise`, `both`.
    #[serde(default)]
    pub(in crate::config) verdict: Vec<Verdict>,
    /// The plane of the half that is told: `model` or `access`.
    #[serde(default)]
    pub(in crate::config) plane: Option<Plane>,
    /// The least severity: `info`, `low`, `medium`, `high` or `critical`.
    #[serde(default)]
    pub(in crate::config) severity_at_least: Option<Severity>,
    /// Tenants.
    #[serde(default)]
    pub(in crate::config) tenant: Vec<String>,
    /// Ids of rules, one of which found something in the incident.
    #[serde(default)]
    pub(in crate::config) rule: Vec<String>,
    /// Tags, one of which a rule of the incident carries.
    #[serde(default)]
    pub(in crate::config) tag: Vec<String>,
    /// Whether later routes are tried as well.
    #[serde(default, rename = "continue")]
    pub(in crate::config) and_on: bool,
}

/// What stands in messages for what a receiver is not shown.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Redacting {
    /// The key of fingerprints: the same value has the same fingerprint in every message under the same key. Engines that
    /// are to be compared share one. Default: a random key that the store keeps; in a replay one that everybody knows.
    #[serde(skip_serializing)]
    pub(in crate::config) key: Option<SecretRef>,
}

/// What all deliveries share.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Delivery {
    /// The file of JSON lines that keeps messages that nobody took. Default: `undelivered.jsonl` in the directory of the
    /// store.
    pub(in crate::config) dead_letters: Option<PathBuf>,
}
