//! How to reach the brokers: addresses, TLS, SASL.

use std::path::PathBuf;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::secret::SecretRef;

/// The SASL mechanisms that this build of librdkafka has.
const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// TLS to the brokers. Present (even empty) means that it is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// PEM file of the authorities that may have signed the brokers' certificates; the system's where absent.
    pub ca: Option<PathBuf>,
    /// PEM file of the client's certificate, where brokers ask for one. Needs `key`.
    pub cert: Option<PathBuf>,
    /// PEM file of the client's private key. Needs `cert`.
    pub key: Option<PathBuf>,
    /// The passphrase of `key`, where it has one.
    pub key_password: Option<SecretRef>,
}

/// SASL to the brokers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaslSettings {
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: String,
    /// The user.
    pub username: String,
    /// The password.
    pub password: SecretRef,
}

/// Everything that a client, consumer or producer, needs to reach the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// `host:port` of some brokers.
    pub brokers: Vec<String>,
    /// TLS, where it is used.
    pub tls: Option<TlsSettings>,
    /// SASL, where it is used.
    pub sasl: Option<SaslSettings>,
}

impl Connection {
    /// Every problem of the settings: unknown mechanisms, files and secrets that are not there.
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.brokers.is_empty() {
            problems.push("`brokers` is empty; name at least one as \"host:9092\"".to_owned());
        }
        for broker in &self.brokers {
            let port = broker.rsplit_once(':').and_then(|(host, port)| {
                (!host.is_empty() && !broker.contains(',')).then(|| port.parse::<u16>().ok()).flatten()
            });
            if port.is_none() {
                problems.push(format!("broker `{broker}` is not \"host:port\""));
            }
        }
        if let Some(tls) = &self.tls {
            for (name, path) in [("ca", &tls.ca), ("cert", &tls.cert), ("key", &tls.key)] {
                if let Some(path) = path.as_ref().filter(|path| !path.is_file()) {
                    problems.push(format!("`tls.{name}` names `{}`, which is not a file", path.display()));
                }
            }
            match (&tls.cert, &tls.key) {
                (Some(_), None) => problems.push("`tls.cert` needs `tls.key`".to_owned()),
                (None, Some(_)) => problems.push("`tls.key` needs `tls.cert`".to_owned()),
                _ => {}
            }
            if let Some(error) = tls.key_password.as_ref().and_then(|secret| secret.resolve().err()) {
                problems.push(format!("`tls.key_password`: {error}"));
            }
        }
        if let Some(sasl) = &self.sasl {
            if !MECHANISMS.contains(&sasl.mechanism.as_str()) {
                problems.push(format!(
                    "`sasl.mechanism` is `{}`, which this build can't do; use one of {}",
                    sasl.mechanism,
                    MECHANISMS.join(", ")
                ));
            }
            if sasl.username.is_empty() {
                problems.push("`sasl.username` is empty".to_owned());
            }
            if let Err(error) = sasl.password.resolve() {
                problems.push(format!("`sasl.password`: {error}"));
            }
            if sasl.mechanism == "PLAIN" && self.tls.is_none() {
                tracing::warn!("SASL PLAIN without TLS sends the password in the clear");
            }
        }
        problems
    }

    /// The client settings that consumers and producers share; an error names every problem.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, String> {
        let problems = self.validate();
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers.join(",")).set("client.id", "watershed");
        config.set(
            "security.protocol",
            match (self.tls.is_some(), self.sasl.is_some()) {
                (false, false) => "plaintext",
                (true, false) => "ssl",
                (false, true) => "sasl_plaintext",
                (true, true) => "sasl_ssl",
            },
        );
        if let Some(tls) = &self.tls {
            // OpenSSL is compiled in and knows no certificates of its own: `probe` looks where systems keep theirs.
            let ca = tls.ca.as_ref().map_or("probe".into(), |path| path.display().to_string());
            config.set("ssl.ca.location", ca);
            if let Some(cert) = &tls.cert {
                config.set("ssl.certificate.location", cert.display().to_string());
            }
            if let Some(key) = &tls.key {
                config.set("ssl.key.location", key.display().to_string());
            }
            if let Some(password) = &tls.key_password {
                let password = password.resolve().map_err(|error| error.to_string())?;
                config.set("ssl.key.password", password.expose_secret());
            }
        }
        if let Some(sasl) = &self.sasl {
            let password = sasl.password.resolve().map_err(|error| error.to_string())?;
            config
                .set("sasl.mechanism", &sasl.mechanism)
                .set("sasl.username", &sasl.username)
                .set("sasl.password", password.expose_secret());
        }
        Ok(config)
    }
}

/// Passes a line of librdkafka's log on, at our level for it.
pub(crate) fn log_line(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::error!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}
