//! What a configuration says about a Kafka topic that is written to.

use serde::Deserialize;

use super::KafkaSink;
use crate::sinks::{BuildError, Format, Problem};
use crate::sources::kafka::{Connection, SaslSettings, TlsSettings};

/// A Kafka topic.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaTopicSettings {
    /// `host:port` of some brokers.
    pub brokers: Vec<String>,
    /// The topic; it must exist or be made by the brokers.
    pub topic: String,
    /// The shape of a record: `json`, `ocsf` (an OCSF Incident Finding) or `ocsf_detection` (an OCSF Detection Finding).
    #[serde(default)]
    pub format: Format,
    /// TLS to the brokers.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// SASL to the brokers.
    #[serde(default)]
    pub sasl: Option<SaslSettings>,
}

impl KafkaTopicSettings {
    fn connection(&self) -> Connection {
        Connection { brokers: self.brokers.clone(), tls: self.tls.clone(), sasl: self.sasl.clone() }
    }

    pub(in crate::sinks) fn problems(&self) -> Option<Vec<Problem>> {
        let mut problems: Vec<Problem> = self
            .connection()
            .validate()
            .into_iter()
            .map(|message| Problem { field: "brokers".to_owned(), message })
            .collect();
        // Kafka's own rule for names of topics.
        let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let (length, reserved) = (self.topic.len(), matches!(self.topic.as_str(), "." | ".."));
        if !(1..=249).contains(&length) || reserved || !self.topic.chars().all(name) {
            problems.push(Problem {
                field: "topic".to_owned(),
                message: format!(
                    "`{}` is no name of a topic: 1 to 249 letters, digits, `.`, `_` and `-`",
                    self.topic.escape_debug()
                ),
            });
        }
        (!problems.is_empty()).then_some(problems)
    }

    pub(in crate::sinks) fn build(&self) -> Result<KafkaSink, BuildError> {
        if let Some(problems) = self.problems() {
            return Err(BuildError::Settings(problems));
        }
        let config = self.connection().client_config().map_err(BuildError::Client)?;
        Ok(KafkaSink::new(config, self.topic.clone(), self.format))
    }
}
