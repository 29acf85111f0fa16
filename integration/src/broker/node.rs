//! One combined broker and controller, in a directory of its own.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::keys::{self, STORE_PASSWORD};
use super::{Secure, topics};
use crate::guard::Guarded;
use crate::wait;

/// Who may use the secure listener, by SCRAM-SHA-512 and by PLAIN.
pub const USER: &str = "watershed";
/// The password of [`USER`].
pub const PASSWORD: &str = "a-test-password";

/// A broker needs a few seconds; a busy machine many.
const START: Duration = Duration::from_secs(120);

/// A broker that answers.
pub(super) struct Started {
    pub(super) address: String,
    pub(super) secure: Secure,
    pub(super) process: Guarded,
}

/// Starts a broker with these jars and waits until it answers.
pub(super) fn start(jars: &Path) -> Result<Started> {
    let dir = tempfile::Builder::new().prefix("watershed-kafka-").tempdir()?.keep();
    let keys = keys::generate(&dir)?;
    let [client, controller, secure] = free_ports()?;
    let config = dir.join("server.properties");
    std::fs::write(&config, properties(&dir, &keys, client, controller, secure))?;
    std::fs::write(dir.join("log4j2.properties"), LOG4J)?;

    let class_path = format!("{}:{}/*", dir.display(), jars.display());
    let scram = format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]");
    let format = java(&class_path)
        .args(["kafka.tools.StorageTool", "format", "-t", "d2F0ZXJzaGVkLXRlc3RzIQ", "--add-scram", &scram, "-c"])
        .arg(&config)
        .output()
        .context("formatting the broker's storage")?;
    if !format.status.success() {
        bail!("formatting the broker's storage: {}", String::from_utf8_lossy(&format.stderr).trim());
    }

    let mut command = java(&class_path);
    command.arg("kafka.Kafka").arg(&config);
    let mut process = Guarded::spawn(&command, &dir.join("broker.log"), None, Some(&dir))?;
    let address = format!("127.0.0.1:{client}");
    wait::until("the broker to answer", START, || {
        if let Some(code) = process.ended()? {
            bail!("the broker ended with code {code}");
        }
        Ok(topics::reachable(&address).ok())
    })
    .with_context(|| process.tail())?;
    Ok(Started { address, secure: Secure { address: format!("localhost:{secure}"), keys }, process })
}

fn java(class_path: &str) -> Command {
    let mut java = Command::new("java");
    // Little heap, and the small collector: the tests share two cores with the program that they test.
    java.args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", class_path]);
    java
}

/// Three ports that were free a moment ago, held together so that they differ.
fn free_ports() -> Result<[u16; 3]> {
    let held =
        [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    Ok([held[0].local_addr()?.port(), held[1].local_addr()?.port(), held[2].local_addr()?.port()])
}

fn properties(dir: &Path, keys: &keys::Keys, client: u16, controller: u16, secure: u16) -> String {
    let dir = dir.display();
    let store = keys.store.display();
    let plain = "org.apache.kafka.common.security.plain.PlainLoginModule";
    let scram = "org.apache.kafka.common.security.scram.ScramLoginModule";
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listeners=CLIENT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller},SECURE://localhost:{secure}\n\
         advertised.listeners=CLIENT://127.0.0.1:{client},SECURE://localhost:{secure}\n\
         listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL\n\
         inter.broker.listener.name=CLIENT\n\
         listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN\n\
         listener.name.secure.scram-sha-512.sasl.jaas.config={scram} required;\n\
         listener.name.secure.plain.sasl.jaas.config={plain} required user_{USER}=\"{PASSWORD}\";\n\
         listener.name.secure.ssl.keystore.type=PKCS12\n\
         listener.name.secure.ssl.keystore.location={store}\n\
         listener.name.secure.ssl.keystore.password={STORE_PASSWORD}\n\
         listener.name.secure.ssl.key.password={STORE_PASSWORD}\n\
         log.dirs={dir}/data\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=4\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=4\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n\
         auto.create.topics.enable=false\n\
         # The telemetry of the tests is older than any retention.\n\
         log.retention.ms=-1\n"
    )
}

const LOG4J: &str = "\
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c: %m%n
";
