//! `docker-compose.yml` against the project: nothing here can run it, so what it names is held against what there is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use watershed_integration::program;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn compose() -> Value {
    let text = std::fs::read_to_string(root().join("docker-compose.yml")).expect("docker-compose.yml");
    serde_saphyr::from_str(&text).expect("YAML")
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().map(|items| items.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// Host path and container path of the files that a service mounts from the project.
fn mounts(service: &Value) -> Vec<(PathBuf, String)> {
    texts(&service["volumes"])
        .into_iter()
        .filter(|mount| mount.starts_with('.'))
        .map(|mount| {
            let mut parts = mount.split(':');
            let host = root().join(parts.next().expect("a path on the host"));
            (host, parts.next().expect("a path in the container").to_owned())
        })
        .collect()
}

/// Ports that a service has in its container.
fn ports(service: &Value) -> BTreeSet<&str> {
    texts(&service["ports"]).into_iter().filter_map(|port| port.rsplit(':').next()).collect()
}

/// The configuration that the composition mounts, with the container's paths turned into the project's.
fn config(watershed: &Value) -> String {
    let mounts = mounts(watershed);
    let (host, _) = mounts.iter().find(|(_, inside)| inside.ends_with(".toml")).expect("a configuration is mounted");
    let mut text = std::fs::read_to_string(host).expect("the configuration");
    for (host, inside) in &mounts {
        text = text.replace(inside.as_str(), &host.display().to_string());
    }
    text
}

#[test]
fn services_are_the_production_shape() {
    let compose = compose();
    let services = compose["services"].as_object().expect("services");
    for name in ["kafka", "schema-registry", "watershed", "receiver"] {
        assert!(services.contains_key(name), "no service {name}");
    }
    for (name, service) in services {
        assert!(service.get("image").is_some() || service.get("build").is_some(), "{name} has no image");
        if let Some(wanted) = service["depends_on"].as_object() {
            assert!(wanted.keys().all(|other| services.contains_key(other)), "{name} depends on nobody we know");
        }
        for (host, inside) in mounts(service) {
            assert!(host.is_file(), "{name} mounts {} as {inside}, which isn't there", host.display());
        }
        for volume in texts(&service["volumes"]).iter().filter(|mount| !mount.starts_with('.')) {
            let volume = volume.split(':').next().expect("a name");
            assert!(
                compose["volumes"].get(volume).is_some(),
                "{name} mounts the volume {volume}, which isn't declared"
            );
        }
        if let Some(build) = service["build"].as_str() {
            assert!(root().join(build).join("Dockerfile").is_file(), "{name} is built from {build}");
        }
    }
}

#[test]
fn the_broker_is_the_one_that_the_tests_run_against() {
    let pom = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("kafka/pom.xml")).expect("pom.xml");
    let version = pom.split_once("<kafka.version>").and_then(|(_, rest)| rest.split_once("</kafka.version>"));
    let image = format!("apache/kafka:{}", version.expect("a version").0);
    let compose = compose();
    for service in ["kafka", "topics"] {
        assert_eq!(compose["services"][service]["image"], *image, "{service}; there is an image for every release");
    }
}

#[test]
fn the_configuration_meets_the_other_services() {
    let compose = compose();
    let services = &compose["services"];
    let config: toml::Value = toml::from_str(&config(&services["watershed"])).expect("TOML");

    let kafka = &config["input"]["kafka"];
    let advertised = services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].as_str().expect("listeners");
    for broker in kafka["brokers"].as_array().expect("brokers") {
        let broker = broker.as_str().expect("an address");
        assert!(advertised.split(',').any(|listener| listener.ends_with(&format!("://{broker}"))), "{broker}");
    }
    let created = services["topics"]["command"].to_string();
    let mut topics: Vec<&str> = Vec::new();
    for plane in ["runtime", "identity"] {
        topics.extend(kafka[plane].as_array().expect("topics").iter().filter_map(|topic| topic["topic"].as_str()));
    }
    topics.extend(["dlq", "late"].iter().filter_map(|output| config.get(output)?.get("topic")?.as_str()));
    for topic in topics {
        assert!(created.split([' ', ';']).any(|word| word == topic), "nobody creates the topic {topic}");
    }

    let listen = config["console"]["listen"].as_str().expect("an address");
    let port = listen.rsplit(':').next().expect("a port");
    assert!(ports(&services["watershed"]).contains(port), "the console's port {port} is not published");
    assert!(listen.starts_with("0.0.0.0"), "published ports don't reach loopback in the container");

    let receiver = services["receiver"]["environment"]["HTTP_PORT"].as_str().expect("the receiver's port");
    let receivers = config["receivers"].as_array().expect("receivers");
    let urls: Vec<&str> = receivers.iter().filter_map(|entry| entry.get("url")?.as_str()).collect();
    assert!(!urls.is_empty(), "somebody is told over the network");
    for url in urls {
        assert!(url.starts_with(&format!("http://receiver:{receiver}/")), "{url}");
    }
    let state = config["store"]["path"].as_str().expect("a path");
    let kept = texts(&services["watershed"]["volumes"]);
    assert!(
        kept.iter().any(|mount| mount.ends_with(&format!(":{state}"))),
        "the state in {state} is lost with the container"
    );
}

#[test]
fn the_command_parses_and_the_configuration_passes_check() {
    let compose = compose();
    let watershed = &compose["services"]["watershed"];
    let mut command = texts(&watershed["command"]);
    assert_eq!(command.first(), Some(&"run"));
    let path = command.iter().position(|word| *word == "--config").map(|at| command[at + 1]).expect("--config FILE");
    assert!(mounts(watershed).iter().any(|(_, inside)| inside == path), "{path} is not mounted");
    command.push("--help");
    program::succeed(command).expect("flags that exist");

    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("watershed.toml");
    // The volume with the state is made by the composition; here a directory stands for it.
    let state =
        texts(&watershed["volumes"]).into_iter().find_map(|mount| mount.strip_prefix("state:")).expect("a volume");
    let text = config(watershed).replace(state, &dir.path().display().to_string());
    std::fs::write(&file, text).expect("written");
    program::succeed(["check".as_ref(), "--config".as_ref(), file.as_os_str()]).expect("check has nothing to say");
}
