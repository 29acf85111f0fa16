//! What is published is what the code says. `UPDATE_EXPECTED=1` rewrites the files.

use std::path::{Path, PathBuf};

use watershed_schemas::{Plane, avro, json_schema, reference};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

fn check_fresh(path: &str, expected: &str) {
    let file = root().join(path);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::create_dir_all(file.parent().expect("a file has a directory")).expect("directory");
        std::fs::write(&file, expected).expect("write");
    }
    let published = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(published == expected, "{path} is stale: run the tests with UPDATE_EXPECTED=1 and look at the difference");
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).expect("JSON") + "\n"
}

#[test]
fn avro_schemas_are_fresh_and_valid() {
    for plane in Plane::ALL {
        let schema = avro::schema(plane);
        apache_avro::Schema::parse(&schema).expect("a valid Avro schema");
        check_fresh(&format!("schemas/avro/{}.avsc", plane.table()), &pretty(&schema));
    }
}

#[test]
fn json_schemas_are_fresh() {
    for (name, schema) in json_schema::schemas() {
        check_fresh(&format!("schemas/json/{name}.schema.json"), &pretty(&schema));
    }
}

#[test]
fn reference_page_is_fresh() {
    check_fresh("docs/tables.md", &reference::page());
}

#[test]
fn every_column_is_documented() {
    for plane in Plane::ALL {
        for column in plane.columns() {
            assert!(!column.doc.is_empty(), "{}.{}", plane.table(), column.name);
        }
    }
}
