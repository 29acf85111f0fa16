//! Rules, incidents, store, limits, console and logs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use watershed_schemas::{PlaneScores, Timestamp};

use super::Findings;
use crate::config::raw::{self, Mode};
use crate::config::{Inventory, Log, Rules, Store, Tuning};
use crate::exceptions::Exception;
use crate::{books, correlator, operator, store};

/// The longest commit interval: a crash repeats at most that much work, and nobody waits longer for a message.
const LONGEST_COMMIT: Duration = Duration::from_secs(60);

pub(super) fn store(raw: &raw::Store, findings: &mut Findings<'_>) -> Store {
    if raw.path.as_os_str().is_empty() {
        findings.error("store.path", "is empty; name a directory");
    } else if raw.path.is_file() {
        findings.error("store.path", format!("`{}` is a file; name a directory", raw.path.display()));
    }
    if raw.commit_interval > LONGEST_COMMIT {
        findings.error("store.commit_interval", "is longer than 1m; notifications wait that long, choose less");
    }
    Store {
        path: raw.path.clone(),
        commit_interval: raw.commit_interval,
        options: store::Options { cache_bytes: raw.cache, warn_bytes: raw.warn_size },
    }
}

pub(super) fn inventory(raw: &raw::Inventory, findings: &mut Findings<'_>) -> Inventory {
    if raw.entries == 0 {
        let message = "is 0, so that nothing would be kept; set `inventory.enabled = false` if that is meant";
        findings.error("inventory.entries", message);
    }
    Inventory { enabled: raw.enabled, limits: books::Limits::of(raw.entries) }
}

pub(super) fn incidents(
    raw: &raw::Incidents,
    limits: &raw::Limits,
    findings: &mut Findings<'_>,
) -> correlator::Settings {
    if raw.gap.is_zero() {
        findings.error("incidents.gap", "is zero, so that every signal would be an incident of its own; try \"30m\"");
    }
    if raw.max_duration < raw.gap {
        findings.error("incidents.max_duration", "is shorter than `incidents.gap`; make it at least as long");
    }
    for threshold in raw.threshold.both().into_iter().flatten() {
        if !threshold.is_finite() || threshold <= 0.0 {
            findings.error(
                "incidents.threshold",
                format!("{threshold} is not above zero; 1.0 is one finding of an ordinary rule"),
            );
        }
    }
    if !(0.0..=1.0).contains(&raw.repeat_factor) {
        findings.error(
            "incidents.repeat_factor",
            format!("{} is not between 0 and 1; 0.5 lets repeats count for half of the one before", raw.repeat_factor),
        );
    }
    if raw.evidence_retention < raw.max_duration {
        findings.error(
            "incidents.evidence_retention",
            "is shorter than `incidents.max_duration`: the evidence of an incident would go before it ends; try \"90d\"",
        );
    }
    if raw.related_limit == 0 {
        findings.warn("incidents.related_limit", "is 0, so that incidents never name each other");
    }
    if raw.keep < raw.gap {
        findings.error(
            "incidents.keep",
            "is shorter than `incidents.gap`, so that nobody could close what was resolved; try \"7d\"",
        );
    }
    let defaults = correlator::Settings::default();
    let [model, access] = raw.threshold.both();
    correlator::Settings {
        evidence_text: raw.evidence_text,
        gap: raw.gap,
        max_duration: raw.max_duration,
        threshold: PlaneScores {
            model: model.unwrap_or(defaults.threshold.model),
            access: access.unwrap_or(defaults.threshold.access),
        },
        repeat_factor: raw.repeat_factor,
        related_limit: raw.related_limit,
        over_keep: raw.keep,
        clock_skew: raw.clock_skew,
        silence_after: raw.silence_after,
        links_keep: raw.links_keep,
        links_limit: limits.session_links,
        ..defaults
    }
}

pub(super) fn limits(raw: &raw::Limits, findings: &mut Findings<'_>) {
    let bounds = [
        ("rows_per_key", raw.rows_per_key),
        ("session_links", raw.session_links),
        ("principal_links", raw.principal_links),
        ("principal_ids", raw.principal_ids),
        ("outbox_rows", raw.outbox_rows),
        ("record.payload_bytes", raw.record.payload_bytes),
        ("record.json_depth", raw.record.json_depth),
        ("record.string_bytes", raw.record.string_bytes),
        ("record.rows_per_record", raw.record.rows_per_record),
    ];
    let bounds = bounds.into_iter().chain([
        ("rule_memory", raw.rule_memory),
        ("rule_memory_stop", raw.rule_memory_stop),
        ("state_memory", raw.state_memory),
        ("identity_memory", raw.identity_memory),
        ("row_memory", raw.row_memory),
        ("rule_work", usize::try_from(raw.rule_work).unwrap_or(usize::MAX)),
        ("rule_time", usize::try_from(raw.rule_time.as_millis()).unwrap_or(usize::MAX)),
    ]);
    for (name, value) in bounds {
        if value == 0 {
            findings.error(&format!("limits.{name}"), "is 0, so that nothing would pass; leave it out for the default");
        }
    }
    if raw.rule_memory_stop < raw.rule_memory {
        let message =
            "is less than `limits.rule_memory`, so that a rule would be stopped before it is degraded; make it larger";
        findings.error("limits.rule_memory_stop", message);
    }
}

pub(super) fn log(raw: raw::Log, findings: &mut Findings<'_>) -> Log {
    if let Err(error) = EnvFilter::builder().parse(&raw.level) {
        findings.error("log.level", format!("`{}`: {error}; try \"info\"", raw.level));
    }
    Log { json: raw.json, level: raw.level }
}

pub(super) fn rules(raw: raw::Rules, findings: &mut Findings<'_>) -> Rules {
    for (index, path) in raw.paths.iter().enumerate() {
        if !path.exists() {
            findings.error(
                &format!("rules.paths[{index}]"),
                format!("`{}` does not exist; name a directory or a rule file", path.display()),
            );
        }
    }
    if !raw.catalog && raw.paths.is_empty() {
        findings
            .error("rules.catalog", "is false and `rules.paths` is empty, so that no rule runs; name your own rules");
    }
    let mut tuning = BTreeMap::new();
    for (id, tuned) in raw.overrides {
        let setting = format!("rules.override.{id}");
        if raw.disable.contains(&id) {
            findings.warn(&setting, "has no effect: `rules.disable` names the rule");
        }
        for weight in tuned.weights.iter().flat_map(|weights| weights.both()).flatten() {
            if !weight.is_finite() || weight < 0.0 {
                let message = format!("{weight} is not zero or above; 1.0 is what an ordinary rule counts");
                findings.error(&format!("{setting}.weights"), message);
            }
        }
        let tuned = Tuning {
            severity: tuned.severity,
            weights: tuned.weights,
            shadow: tuned.mode == Mode::Shadow,
            backfill: tuned.backfill,
            parameters: tuned.parameters,
        };
        tuning.insert(id, tuned);
    }
    Rules {
        catalog: raw.catalog,
        paths: raw.paths,
        disable: raw.disable,
        tuning,
        exceptions: exceptions(raw.exceptions, findings),
        reload_every: raw.reload_every,
    }
}

fn exceptions(raw: Vec<raw::RuleException>, findings: &mut Findings<'_>) -> Vec<Exception> {
    let now = Timestamp::from_micros(chrono::Utc::now().timestamp_micros());
    let mut exceptions = Vec::new();
    for (index, exception) in raw.into_iter().enumerate() {
        let setting = format!("rules.exceptions[{index}]");
        if exception.matches.is_empty() {
            findings.error(
                &format!("{setting}.match"),
                "is empty, so that it would except every finding; say which, or switch the rule off with `rules.disable`",
            );
        }
        for (name, text) in [("author", &exception.author), ("reason", &exception.reason)] {
            if text.trim().is_empty() {
                findings.error(&format!("{setting}.{name}"), "is empty; whoever reads it later must know");
            }
        }
        if exception.until <= now {
            findings.warn(&format!("{setting}.until"), "is over: it excepts only what happened before; remove it");
        }
        exceptions.push(Exception {
            rules: exception.rules.into_iter().collect(),
            matches: exception.matches.into_iter().map(|(column, values)| (column, values.into())).collect(),
            author: exception.author,
            reason: exception.reason,
            until: exception.until,
        });
    }
    exceptions
}

pub(super) fn reference(raw: raw::Reference, findings: &mut Findings<'_>) -> Option<PathBuf> {
    if let Some(dir) = &raw.dir
        && !dir.is_dir()
    {
        findings.error(
            "reference.dir",
            format!("`{}` is not a directory; name the one that holds agents and tools", dir.display()),
        );
    }
    raw.dir
}

/// When the team `operator` is told of the engine itself.
pub(super) fn operator(
    raw: &raw::Operator,
    silence_after: Duration,
    findings: &mut Findings<'_>,
) -> operator::Settings {
    if raw.repeat < Duration::from_secs(60) {
        findings.error("operator.repeat", "is less than a minute, which is a storm of its own; try \"4h\"");
    }
    operator::Settings { repeat: raw.repeat, silence_after, rejects: raw.rejects }
}
