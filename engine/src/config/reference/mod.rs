//! The reference page `docs/config.md`, made from the doc comments of the settings' own declarations.
//!
//! `UPDATE_EXPECTED=1 cargo test -p watershed-engine config::reference` writes it anew.

mod declarations;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use watershed_connectors::formats::avro::SchemaRegistrySettings;
use watershed_connectors::formats::set::SetSettings;
use watershed_connectors::sinks::{Envelope, Format, SinkSettings, WebhookSettings};
use watershed_connectors::sources::kafka::{KafkaSettings, SaslSettings, TlsSettings, TopicSettings};
use watershed_connectors::sources::snapshot::Snapshot;
use watershed_connectors::sources::tail::{TailSettings, TailedFile};

use super::raw;
use crate::deliver::ReceiverSettings;
use declarations::{Declaration, Declarations, Field};

const INTRODUCTION: &str = "\
# Configuration

<!-- Made from the doc comments of the settings by `UPDATE_EXPECTED=1 cargo test -p watershed-engine config::reference`. -->

One TOML file, by default `watershed.toml`. `watershed check --config watershed.toml` validates all of it offline and
prints every problem at once, with line and the way out. Unknown settings are refused.

* A **duration** is text such as `\"250ms\"`, `\"30s\"` or `\"1h 30m\"`; a **size** is text such as `\"512KiB\"` or `\"64MiB\"`.
* A **secret** never stands in the file: `{ env = \"NAME\" }` names an environment variable, `{ file = \"path\" }` a file.
* Relative paths count from the directory in which the program was started.
";

fn declarations() -> Declarations {
    let mut all = Declarations::default();
    all.read("", include_str!("../raw/mod.rs"));
    all.read("", include_str!("../raw/input.rs"));
    all.read("", include_str!("../raw/routing.rs"));
    all.read("", include_str!("../raw/running.rs"));
    all.read("", include_str!("../../deliver/settings.rs"));
    all.read("", include_str!("../../../../connectors/src/sources/kafka/settings.rs"));
    all.read("", include_str!("../../../../connectors/src/sources/kafka/connection.rs"));
    all.read("", include_str!("../../../../connectors/src/sources/tail.rs"));
    all.read("", include_str!("../../../../connectors/src/sources/snapshot.rs"));
    all.read("", include_str!("../../../../connectors/src/sinks/settings.rs"));
    all.read("", include_str!("../../../../connectors/src/sinks/slack/settings.rs"));
    all.read("", include_str!("../../../../connectors/src/sinks/pagerduty/settings.rs"));
    all.read("", include_str!("../../../../connectors/src/sinks/webhook/settings.rs"));
    all.read("", include_str!("../../../../connectors/src/sinks/splunk/settings.rs"));
    all.read("", include_str!("../../../../connectors/src/sinks/kafka/settings.rs"));
    all.read("", include_str!("../../../../connectors/src/sinks/jsonl.rs"));
    all.read("", include_str!("../../../../connectors/src/sinks/http/address.rs"));
    all.read("", include_str!("../../../../connectors/src/formats/avro/client.rs"));
    all.read("", include_str!("../../../../connectors/src/formats/set/settings.rs"));
    all.read("formats::", include_str!("../../../../connectors/src/formats/limits.rs"));
    all
}

/// Defaults by the path of their setting, as the settings themselves give them.
fn defaults() -> toml::Table {
    let mut table = table_of(&raw::Raw::default());
    let kafka: KafkaSettings = toml::from_str("brokers = []").expect("brokers are all it needs");
    let topic: TopicSettings = toml::from_str("topic = 't'").expect("a name is all it needs");
    let file: TailedFile = toml::from_str("path = 'p'").expect("a path is all it needs");
    for (at, section) in [("input.kafka", table_of(&kafka)), ("topic", table_of(&topic)), ("file", table_of(&file))] {
        table.insert(at.to_owned(), section.into());
    }
    table
}

fn table_of<T: Serialize>(value: &T) -> toml::Table {
    toml::Table::try_from(value).expect("settings are a table")
}

fn default_of(defaults: &toml::Table, path: &str) -> Option<String> {
    let (section, name) = path.rsplit_once('.')?;
    let direct = match section {
        "input.kafka.runtime[]" | "input.kafka.identity[]" => defaults.get("topic").and_then(|table| table.get(name)),
        "input.file.runtime[]" | "input.file.identity[]" => defaults.get("file").and_then(|table| table.get(name)),
        _ => defaults.get(section).and_then(|table| table.get(name)),
    };
    let nested = || {
        let mut steps = path.split('.');
        let first = defaults.get(steps.next()?)?;
        steps.try_fold(first, |value, step| value.get(step))
    };
    let value = direct.or_else(nested)?;
    match value {
        toml::Value::Table(_) => None,
        value => Some(format!("`{value}`")),
    }
}

/// The defaults of types that are only read: written down here and held against the type by a test.
fn written_defaults(path: &str) -> Option<&'static str> {
    Some(match path.rsplit('.').next()? {
        "min_interval" => "1s for Slack, none for others",
        "backoff_initial" => "`\"1s\"`",
        "backoff_max" => "`\"5m\"`",
        "retry_after_max" => "`\"1h\"`",
        "attempt_timeout" => "`\"30s\"`",
        "breaker_threshold" => "`5`",
        "max_attempts" => "`20`",
        "max_age" => "`\"1day\"`",
        "allow_private" | "allow_http" => "`false`",
        "allow_addresses" => "`[]`",
        "timeout" => "`\"5s\"`",
        "format" if path.starts_with("receivers") => "`\"json\"`",
        "envelope" => "`\"none\"`",
        "source" if path.starts_with("receivers") => "`\"/watershed\"`",
        "api" if path.contains("slack") => "`\"https://slack.com/api/\"`",
        "url" if path.contains("pagerduty") => "`\"https://events.pagerduty.com/v2/enqueue\"`",
        _ => return None,
    })
}

fn page() -> String {
    let declarations = declarations();
    let defaults = defaults();
    let mut page = INTRODUCTION.to_owned();
    let root = declarations.get("Raw").expect("the root is declared");
    for field in &root.fields {
        section(&mut page, &declarations, &defaults, &field.name, field);
    }
    page
}

fn section(page: &mut String, declarations: &Declarations, defaults: &toml::Table, path: &str, field: &Field) {
    let declaration = declarations.get(field.inner()).expect("a section's type is declared");
    let list = field.is_list();
    let header = if list { format!("[[{path}]]") } else { format!("[{path}]") };
    let inside = if list { format!("{path}[]") } else { path.to_owned() };
    writeln!(page, "\n## `{}`\n\n{}", header.replace("[].", "."), paragraph(&field.docs, declaration))
        .expect("a string grows");
    table(page, declarations, defaults, &inside, declaration);
    let flattened =
        declaration.fields.iter().find(|field| field.flatten).and_then(|field| declarations.get(field.inner()));
    let variants = flattened.map(|flattened| flattened.variants.as_slice()).unwrap_or_default();
    for variant in variants {
        let kind = variant.name.to_lowercase();
        writeln!(page, "\n### `[[{path}]]` with `type = \"{kind}\"`\n\n{}", variant.docs).expect("a string grows");
        if let Some(settings) = declarations.get(&variant.kind) {
            table(page, declarations, defaults, &format!("{inside}.{kind}"), settings);
        }
    }
    for settings in variants.iter().filter_map(|variant| declarations.get(&variant.kind)) {
        subsections(page, declarations, defaults, &inside, settings);
    }
    subsections(page, declarations, defaults, &inside, declaration);
}

fn subsections(
    page: &mut String,
    declarations: &Declarations,
    defaults: &toml::Table,
    inside: &str,
    declaration: &Declaration,
) {
    for field in &declaration.fields {
        let path = format!("{inside}.{}{}", field.name, if field.is_map() { ".<id>" } else { "" });
        let known = is_apart(declarations, declaration, field);
        let heading = format!("`[{}]`", path.replace("[].", "."));
        let listed = format!("`[[{}]]`", path.replace("[].", "."));
        if known && !page.contains(&heading) && !page.contains(&listed) {
            section(page, declarations, defaults, &path, field);
        }
    }
}

/// Whether a setting has a section of its own: what has the settings of the section that it stands in, has them there.
fn is_apart(declarations: &Declarations, around: &Declaration, field: &Field) -> bool {
    declarations.get(field.inner()).is_some_and(|inner| inner.is_section() && !std::ptr::eq(inner, around))
}

fn table(
    page: &mut String,
    declarations: &Declarations,
    defaults: &toml::Table,
    inside: &str,
    declaration: &Declaration,
) {
    let rows: Vec<&Field> = declaration.fields.iter().filter(|field| !field.flatten).collect();
    let rows: Vec<&&Field> = rows.iter().filter(|field| !is_apart(declarations, declaration, field)).collect();
    if rows.is_empty() {
        return;
    }
    page.push_str("\n| setting | value | default | |\n|---|---|---|---|\n");
    for field in rows {
        let path = format!("{inside}.{}", field.name);
        let default = match (field.optional, default_of(defaults, &path), written_defaults(&path)) {
            (false, _, _) => "required".to_owned(),
            (_, Some(default), _) => default,
            (_, None, Some(default)) => default.to_owned(),
            (_, None, None) => field.empty().to_owned(),
        };
        let docs = field.docs.replace('\n', " ").replace('|', "\\|");
        let same = declarations.get(field.inner()).is_some_and(Declaration::is_section);
        let kind = if same { "list of the same".to_owned() } else { field.kind() };
        writeln!(page, "| `{}` | {kind} | {default} | {docs} |", field.name).expect("a string grows");
    }
}

/// The field says what the section is for; where its type says more, that is added.
fn paragraph(docs: &str, declaration: &Declaration) -> String {
    let more = &declaration.docs;
    if more.is_empty() || docs.starts_with(more.trim_end_matches('.')) {
        docs.to_owned()
    } else if more.starts_with(docs.trim_end_matches('.')) {
        more.to_owned()
    } else {
        format!("{docs}\n\n{more}")
    }
}

/// The names that serde really takes, from its own complaint about one that it does not.
fn names_serde_takes<T: DeserializeOwned>() -> BTreeSet<String> {
    let error = toml::from_str::<T>("no-such-setting = 0").err().expect("unknown settings are refused").to_string();
    let (_, expected) = error.split_once("expected").expect("serde lists what it takes");
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn check_names<T: DeserializeOwned>(declaration: &str) {
    let declarations = declarations();
    let declared = declarations.get(declaration).expect("it is declared");
    let names: BTreeSet<String> = declared.fields.iter().map(|field| field.name.clone()).collect();
    assert_eq!(names, names_serde_takes::<T>(), "the reference page and serde differ over {declaration}");
}

#[test]
fn the_page_lists_exactly_what_serde_takes() {
    check_names::<raw::Raw>("Raw");
    check_names::<raw::Input>("Input");
    check_names::<raw::Formats>("Formats");
    check_names::<SetSettings>("SetSettings");
    check_names::<raw::Time>("Time");
    check_names::<raw::PlaneTimes>("PlaneTimes");
    check_names::<raw::Rules>("Rules");
    check_names::<raw::RuleOverride>("RuleOverride");
    check_names::<raw::RuleException>("RuleException");
    check_names::<raw::Reference>("Reference");
    check_names::<raw::Incidents>("Incidents");
    check_names::<raw::Store>("Store");
    check_names::<raw::Routing>("Routing");
    check_names::<raw::Route>("Route");
    check_names::<raw::Escalation>("Escalation");
    check_names::<raw::Interval>("Interval");
    check_names::<raw::Inhibition>("Inhibition");
    check_names::<raw::Silence>("Silence");
    check_names::<raw::Delivery>("Delivery");
    check_names::<raw::DeadLetters>("DeadLetters");
    check_names::<raw::Limits>("Limits");
    check_names::<raw::Console>("Console");
    check_names::<raw::Log>("Log");
    check_names::<ReceiverSettings>("ReceiverSettings");
    check_names::<KafkaSettings>("KafkaSettings");
    check_names::<TopicSettings>("TopicSettings");
    check_names::<TlsSettings>("TlsSettings");
    check_names::<SaslSettings>("SaslSettings");
    check_names::<TailSettings>("TailSettings");
    check_names::<TailedFile>("TailedFile");
    check_names::<SchemaRegistrySettings>("SchemaRegistrySettings");
    check_names::<Snapshot>("Snapshot");
    check_names::<watershed_connectors::formats::Limits>("formats::Limits");
}

#[test]
fn written_defaults_are_the_real_ones() {
    let settings = ReceiverSettings::default();
    let text = |duration| format!("`\"{}\"`", humantime::format_duration(duration));
    for (name, real) in [
        ("backoff_initial", text(settings.backoff_initial)),
        ("backoff_max", text(settings.backoff_max)),
        ("retry_after_max", text(settings.retry_after_max)),
        ("attempt_timeout", text(settings.attempt_timeout)),
        ("breaker_threshold", format!("`{}`", settings.breaker_threshold)),
        ("max_attempts", format!("`{}`", settings.max_attempts)),
        ("max_age", text(settings.max_age)),
    ] {
        assert_eq!(written_defaults(name), Some(real.as_str()), "{name}");
    }
    let schemas: SchemaRegistrySettings = toml::from_str("url = 'https://r.example'").expect("a url is all it needs");
    assert_eq!(written_defaults("schema_registry.timeout"), Some(text(schemas.timeout).as_str()));
    let sink: SinkSettings =
        toml::from_str("type = 'pagerduty'\nrouting_key = { env = 'KEY' }").expect("a key is all it needs");
    let SinkSettings::Pagerduty(pagerduty) = sink else { panic!("it is a PagerDuty service") };
    assert_eq!(written_defaults("pagerduty.url"), Some(format!("`\"{}\"`", pagerduty.url).as_str()));
    let webhook = SinkSettings::Webhook(WebhookSettings::signed("https://a.example/".to_owned(), Vec::new()));
    let SinkSettings::Webhook(webhook) = webhook else { panic!("it is a webhook") };
    assert_eq!(written_defaults("receivers[].webhook.source"), Some(format!("`\"{}\"`", webhook.source).as_str()));
    assert_eq!((webhook.format, webhook.envelope), (Format::Json, Envelope::None));
    let sink: SinkSettings = toml::from_str("type = 'slack'\nurl = { env = 'URL' }").expect("a url is all it needs");
    let SinkSettings::Slack(slack) = sink else { panic!("it is a Slack channel") };
    assert_eq!(written_defaults("receivers[].slack.api"), Some(format!("`\"{}\"`", slack.api).as_str()));
    assert!(
        !pagerduty.network.allow_private
            && !pagerduty.network.allow_http
            && pagerduty.network.allow_addresses.is_empty()
    );
}

#[test]
fn the_page_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.md");
    let page = page();
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::create_dir_all(path.parent().expect("it is in docs")).expect("docs can be made");
        std::fs::write(&path, page).expect("the page can be written");
        return;
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let difference = similar::TextDiff::from_lines(&there, &page).unified_diff().context_radius(1).to_string();
    assert!(difference.is_empty(), "docs/config.md is stale; write it anew with UPDATE_EXPECTED=1\n{difference}");
}
