//! Settings of the `kafka` source.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};
use watershed_schemas::{Plane, Timestamp};

use super::connection::{Connection, SaslSettings, TlsSettings};

/// Where a partition that has no stored position and that the group never committed is read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum StartFrom {
    /// Its end: only what comes from now on.
    #[default]
    Latest,
    /// Its beginning, as far as the topic still has it.
    Earliest,
    /// The first record whose broker timestamp is this or later.
    Time(Timestamp),
}

impl TryFrom<String> for StartFrom {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "latest" => Ok(StartFrom::Latest),
            "earliest" => Ok(StartFrom::Earliest),
            text => Timestamp::parse(text).map(StartFrom::Time).map_err(|_| {
                format!("`{text}` is neither `latest` nor `earliest` nor a time such as 2026-01-31T12:00:00Z")
            }),
        }
    }
}

impl From<StartFrom> for String {
    fn from(start: StartFrom) -> String {
        match start {
            StartFrom::Latest => "latest".into(),
            StartFrom::Earliest => "earliest".into(),
            StartFrom::Time(time) => time.to_string(),
        }
    }
}

/// One topic to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicSettings {
    /// The topic's name.
    pub topic: String,
    /// The format of its records; `auto` recognises each.
    #[serde(default = "auto")]
    pub format: String,
    /// The tenant of rows that name none.
    #[serde(default = "default_tenant")]
    pub tenant: String,
}

/// Settings of the `kafka` source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSettings {
    /// `host:port` of some brokers; the others are learned from them.
    pub brokers: Vec<String>,
    /// The consumer group. All processes of one deployment share it.
    #[serde(default = "default_group")]
    pub group_id: String,
    /// Static membership: a name that this process keeps over restarts, different for each process of the group. A
    /// restart within `session_timeout` then moves no partition.
    #[serde(default)]
    pub instance_id: Option<String>,
    /// Topics of runtime telemetry (model plane).
    #[serde(default)]
    pub runtime: Vec<TopicSettings>,
    /// Topics of identity telemetry (access plane).
    #[serde(default)]
    pub identity: Vec<TopicSettings>,
    /// Where a first start begins: `latest`, `earliest` or an RFC 3339 time. Stored positions win over it, and over
    /// what the group committed.
    #[serde(default)]
    pub start_from: StartFrom,
    /// TLS to the brokers; absent means plain text.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// SASL to the brokers: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    #[serde(default)]
    pub sasl: Option<SaslSettings>,
    /// Records that one batch takes at most.
    #[serde(default = "batch_records")]
    pub batch_records: usize,
    /// Bytes of payload that one round of batches takes at most.
    #[serde(default = "batch_bytes", with = "crate::byte_size")]
    pub batch_bytes: usize,
    /// Bytes that are fetched ahead and wait in memory.
    #[serde(default = "queue_bytes", with = "crate::byte_size")]
    pub queue_bytes: usize,
    /// How long the group waits for a silent member before it gives its partitions away.
    #[serde(default = "session_timeout", with = "crate::duration")]
    pub session_timeout: Duration,
    /// How long one round of work may take before the group takes the process for stuck.
    #[serde(default = "max_poll_interval", with = "crate::duration")]
    pub max_poll_interval: Duration,
    /// How long a question to a broker (offsets, commits) may take.
    #[serde(default = "request_timeout", with = "crate::duration")]
    pub request_timeout: Duration,
}

fn auto() -> String {
    "auto".into()
}

fn default_tenant() -> String {
    "default".into()
}

fn default_group() -> String {
    "watershed".into()
}

fn batch_records() -> usize {
    10_000
}

fn batch_bytes() -> usize {
    16 << 20
}

fn queue_bytes() -> usize {
    64 << 20
}

fn session_timeout() -> Duration {
    Duration::from_secs(45)
}

fn max_poll_interval() -> Duration {
    Duration::from_secs(300)
}

fn request_timeout() -> Duration {
    Duration::from_secs(10)
}

impl KafkaSettings {
    /// How to reach the cluster; dead letters may go to the same.
    pub fn connection(&self) -> Connection {
        Connection { brokers: self.brokers.clone(), tls: self.tls.clone(), sasl: self.sasl.clone() }
    }

    /// Every topic with its plane.
    pub fn topics(&self) -> impl Iterator<Item = (Plane, &TopicSettings)> {
        let runtime = self.runtime.iter().map(|topic| (Plane::Model, topic));
        runtime.chain(self.identity.iter().map(|topic| (Plane::Access, topic)))
    }

    /// Every problem of the settings, found without asking a broker.
    pub fn validate(&self) -> Vec<String> {
        let mut problems = self.connection().validate();
        if self.group_id.is_empty() {
            problems.push("`group_id` is empty".to_owned());
        }
        if self.instance_id.as_ref().is_some_and(String::is_empty) {
            problems.push("`instance_id` is empty; leave it out or give each process its own".to_owned());
        }
        if self.topics().next().is_none() {
            problems.push("the kafka source has no topic; list some under `runtime` or `identity`".to_owned());
        }
        let mut seen = BTreeSet::new();
        for (_, topic) in self.topics() {
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            if topic.topic.is_empty() || topic.topic.len() > 249 || !topic.topic.chars().all(legal) {
                problems.push(format!(
                    "`{}` is not a topic's name: 1 to 249 letters, digits, `.`, `_` and `-`",
                    topic.topic
                ));
            }
            if !seen.insert(&topic.topic) {
                problems.push(format!("topic `{}` is listed twice; a topic belongs to one plane", topic.topic));
            }
        }
        if self.batch_records == 0 || self.batch_bytes == 0 {
            problems.push("`batch_records` and `batch_bytes` must be at least 1".to_owned());
        }
        if !(1 << 20..=2 << 30).contains(&self.queue_bytes) {
            problems.push("`queue_bytes` must be from 1MiB to 2GiB".to_owned());
        }
        if self.max_poll_interval < self.session_timeout {
            problems.push("`max_poll_interval` must not be shorter than `session_timeout`".to_owned());
        }
        problems
    }

    /// The settings of the consumer, defaults overridden where they would lose or stall.
    pub(super) fn consumer_config(&self) -> Result<ClientConfig, String> {
        let problems = self.validate();
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let mut config = self.connection().client_config()?;
        config
            .set("group.id", &self.group_id)
            // The classic protocol with `range`: partition i of both planes' topics meets on one member.
            .set("group.protocol", "classic")
            .set("partition.assignment.strategy", "range")
            // Positions are committed by us, after our own store has them.
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // Every start is explicit; a position that the topic no longer has is a gap, not a reason to skip.
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            // The default of a second stalls a fast reader whenever its queue was full.
            .set("fetch.queue.backoff.ms", "20")
            .set("queued.max.messages.kbytes", (self.queue_bytes >> 10).to_string())
            .set("session.timeout.ms", self.session_timeout.as_millis().to_string())
            .set("max.poll.interval.ms", self.max_poll_interval.as_millis().to_string())
            // Where partitions stand: lag, and the evidence that an idle one is still at its end.
            .set("statistics.interval.ms", "1000");
        if let Some(instance_id) = &self.instance_id {
            config.set("group.instance.id", instance_id);
        }
        Ok(config)
    }
}
