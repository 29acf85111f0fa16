//! The house: which crate may lean on which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

/// The part of `cargo metadata` that is looked at. (The crate for it turns on a feature of `serde_json` that no other
/// does, so that building one crate alone would build DataFusion anew.)
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev` or `build`; absent for what ships.
    kind: Option<String>,
    path: Option<String>,
}

fn metadata() -> Metadata {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = std::process::Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(manifest)
        .output()
        .expect("cargo runs");
    serde_json::from_slice(&output.stdout).expect("cargo metadata")
}

#[test]
fn crates_depend_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = [
        ("watershed-schemas", &[][..]),
        ("watershed-connectors", &["watershed-schemas"]),
        ("watershed-rules", &["watershed-schemas"]),
        ("watershed-engine", &["watershed-schemas", "watershed-connectors", "watershed-rules"]),
        (
            "watershed-integration",
            &["watershed-engine", "watershed-schemas", "watershed-connectors", "watershed-rules"],
        ),
        ("watershed-benches", &["watershed-engine", "watershed-schemas", "watershed-connectors", "watershed-rules"]),
    ]
    .into();
    let metadata = metadata();
    let found: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(found, allowed.keys().copied().collect(), "the workspace's crates");
    for package in &metadata.packages {
        let may = allowed[package.name.as_str()];
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            assert!(may.contains(&dependency.name.as_str()), "{} must not depend on {}", package.name, dependency.name);
        }
    }
}

#[test]
fn arrow_comes_through_datafusion_alone() {
    for package in &metadata().packages {
        for dependency in &package.dependencies {
            let arrow =
                dependency.name == "arrow" || dependency.name.starts_with("arrow-") || dependency.name == "parquet";
            assert!(!arrow, "{} names {} itself", package.name, dependency.name);
        }
    }
    let lock =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock")).expect("Cargo.lock");
    assert_eq!(lock.matches("name = \"arrow\"\n").count(), 1, "one arrow in the whole tree");
}

#[test]
fn error_crates_are_where_they_belong() {
    // `anyhow` hides what went wrong from whoever must decide what to do: libraries name their errors.
    for package in &metadata().packages {
        let name = package.name.as_str();
        let takes =
            package.dependencies.iter().any(|dependency| dependency.name == "anyhow" && dependency.kind.is_none());
        let may = ["watershed-engine", "watershed-integration", "watershed-benches"].contains(&name);
        assert!(may || !takes, "{name} depends on anyhow");
    }
}
