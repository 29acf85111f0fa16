//! Who is told of what.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watershed_connectors::secret::SecretRef;
use watershed_connectors::sinks::SinkSettings;
use watershed_schemas::{Plane, Severity, Timestamp, Verdict};

use crate::deliver::ReceiverSettings;
use crate::redact::Class;

/// One receiver.
#[derive(Debug, Deserialize)]
pub(in crate::config) struct Receiver {
    /// Its unique name, of letters, digits, `-` and `_`.
    pub(in crate::config) name: String,
    /// The team behind it. By default `ai-security` is told of the model plane and `iam` of the access plane; `operator` is told
    /// of the engine itself.
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
    /// What writes title and text of its messages: `plain`, `markdown`, or the path of a template. Default: its kind of receiver
    /// in its own words. See docs/redaction.md.
    #[serde(default)]
    pub(in crate::config) template: Option<PathBuf>,
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
            // It is told of the engine, not of incidents.
            "operator" => Some(Vec::new()),
            _ => None,
        }
    }
}

/// Who is told of what. Without routes each plane's half of an incident goes to the receivers of the team that owns the
/// plane, so that `model_abuse` reaches `ai-security`, `access_compromise` reaches `iam`, and `both` reaches both. How it is
/// told is said here for what no route takes, and for every route that does not say otherwise. `docs/routing.md` tells more.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Routing {
    /// Name of the receiver of incidents that nobody else takes, and of messages whose receiver is gone.
    pub(in crate::config) fallback: Option<String>,
    /// Labels by which incidents are told together, as `group_by` of a route.
    pub(in crate::config) group_by: Vec<String>,
    /// As `group_wait` of a route.
    #[serde(with = "watershed_connectors::duration")]
    pub(in crate::config) group_wait: Duration,
    /// As `group_interval` of a route.
    #[serde(with = "watershed_connectors::duration")]
    pub(in crate::config) group_interval: Duration,
    /// As `repeat_interval` of a route. Default: nothing is said again.
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub(in crate::config) repeat_interval: Option<Duration>,
    /// Names of intervals, as `mute` of a route.
    pub(in crate::config) mute: Vec<String>,
    /// Who else is told when nobody takes it, as `escalate` of a route. Default: nobody.
    #[serde(skip_serializing)]
    pub(in crate::config) escalate: Vec<Escalation>,
    /// Tried in order; the first that matches decides, unless it says `continue`. What none matches goes by team.
    #[serde(skip_serializing)]
    pub(in crate::config) routes: Vec<Route>,
    /// Times of the week that `mute` names.
    #[serde(skip_serializing)]
    pub(in crate::config) intervals: Vec<Interval>,
    /// Incidents that keep others quiet while they last.
    #[serde(skip_serializing)]
    pub(in crate::config) inhibitions: Vec<Inhibition>,
    /// What nobody is called about for a while. Silences can be added while the program runs, too.
    #[serde(skip_serializing)]
    pub(in crate::config) silences: Vec<Silence>,
}

/// Matchers and where they lead. Every matcher that is given must hold; a list holds when one of its members does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Route {
    /// Names of receivers. Each is told only about the planes that it may show. Default: those of the route around it.
    #[serde(default)]
    pub(in crate::config) receivers: Option<Vec<String>>,
    /// Matchers such as `agent=~"pay.*"`, `owner!="platform"` or `severity>="high"`, with `=`, `!=`, `=~`, `!~` and, for the
    /// severity, `>=` and `<=`. Labels are `verdict`, `plane`, `severity`, `origin`, `tenant`, `principal`, `agent`, `owner`,
    /// `rule`, `tag` and `framework`. Of a label with several values one must be equal, or none for `!=`. Regular expressions
    /// are anchored at both ends.
    #[serde(default)]
    pub(in crate::config) matchers: Vec<String>,
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
    /// Labels: incidents that have them in common are told as one. Without any each incident is told alone.
    #[serde(default)]
    pub(in crate::config) group_by: Option<Vec<String>>,
    /// How long a first message waits for more that belongs to it.
    #[serde(default, with = "optional_duration")]
    pub(in crate::config) group_wait: Option<Duration>,
    /// Shortest time between two messages that tell of growth.
    #[serde(default, with = "optional_duration")]
    pub(in crate::config) group_interval: Option<Duration>,
    /// After how long it is said again that something stands which nobody has taken. `"0s"`: never.
    #[serde(default, with = "optional_duration")]
    pub(in crate::config) repeat_interval: Option<Duration>,
    /// Names of intervals in which nobody is called; what still lasts at their end is told then.
    #[serde(default)]
    pub(in crate::config) mute: Option<Vec<String>>,
    /// Who else is told when nobody takes it, in the order of time.
    #[serde(default)]
    pub(in crate::config) escalate: Option<Vec<Escalation>>,
    /// Tried in order for what this one matches; what they take it leaves to them. What is not said in them is said here.
    #[serde(default)]
    pub(in crate::config) routes: Vec<Route>,
}

/// Who is told when nobody takes an incident in time. An incident is taken when somebody acknowledges it here, through the
/// API: what is acknowledged in a paging service only is not known.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Escalation {
    /// How long after the first message.
    #[serde(with = "watershed_connectors::duration")]
    pub(in crate::config) after: Duration,
    /// Names of receivers. Each is told only about the planes that it may show.
    pub(in crate::config) to: Vec<String>,
}

/// A named time of the week.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Interval {
    /// Its unique name.
    pub(in crate::config) name: String,
    /// Days such as `"sat"` or `"mon-fri"`. Default: every day.
    #[serde(default)]
    pub(in crate::config) days: Vec<String>,
    /// Times of the day such as `"22:00-06:00"`; what goes on past midnight belongs to the day before. Default: the whole day.
    #[serde(default)]
    pub(in crate::config) times: Vec<String>,
    /// Whose clocks: a name of the IANA time zone database, such as `"Europe/Berlin"`. Default: `"UTC"`.
    #[serde(default)]
    pub(in crate::config) zone: Option<String>,
}

/// While an incident lasts that `source` matches, nobody is called about others that `target` matches.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Inhibition {
    /// Matchers of the one that keeps others quiet.
    pub(in crate::config) source: Vec<String>,
    /// Matchers of those that are kept quiet.
    pub(in crate::config) target: Vec<String>,
    /// Labels in which both must be equal.
    #[serde(default)]
    pub(in crate::config) equal: Vec<String>,
}

/// What nobody is called about for a while.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Silence {
    /// Matchers, all of which must hold.
    pub(in crate::config) matchers: Vec<String>,
    /// Who asked for it.
    pub(in crate::config) author: String,
    /// Why.
    pub(in crate::config) reason: String,
    /// From when on, such as `"2026-03-01T08:00:00Z"`. Default: from ever.
    #[serde(default)]
    pub(in crate::config) starts: Option<Timestamp>,
    /// Until when.
    pub(in crate::config) ends: Timestamp,
}

/// A duration that may be absent.
mod optional_duration {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => watershed_connectors::duration::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        watershed_connectors::duration::deserialize(deserializer).map(Some)
    }
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
