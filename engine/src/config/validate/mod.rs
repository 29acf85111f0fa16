//! From the sections as written to a valid configuration: what serde can't see.

mod console;
mod input;
mod redaction;
mod routing;
mod running;

use super::document::Document;
use super::problem::{Level, Problem};
use super::raw::Raw;
use super::{Config, DeadLetterOutput};
use crate::cases;
use crate::core;
use crate::evaluator;
use crate::principals;
use crate::router::Routes;
use crate::watermark::PlaneTime;

/// Collects problems with their places.
struct Findings<'a> {
    document: &'a Document,
    problems: &'a mut Vec<Problem>,
}

impl Findings<'_> {
    fn error(&mut self, setting: &str, message: impl Into<String>) {
        self.problems.push(self.document.problem(Level::Error, setting, message.into()));
    }

    fn warn(&mut self, setting: &str, message: impl Into<String>) {
        self.problems.push(self.document.problem(Level::Warning, setting, message.into()));
    }
}

/// Validates every section. Without a configuration there is no input.
pub(super) fn validate(raw: Raw, document: &Document, problems: &mut Vec<Problem>) -> Option<Config> {
    let mut findings = Findings { document, problems };
    let dlq = dead_letters(&raw, &raw.dlq, "dlq", &mut findings);
    let late = dead_letters(&raw, &raw.late, "late", &mut findings);
    let dead_letters = raw.delivery.dead_letters.clone().unwrap_or_else(|| raw.beside_store("undelivered.jsonl"));
    let store = running::store(&raw.store, &mut findings);
    let inventory = running::inventory(&raw.inventory, &mut findings);
    let shared_principals = raw.incidents.shared_principals.clone();
    let incidents = running::incidents(&raw.incidents, &raw.limits, &mut findings);
    let cases = cases::Settings { retention: raw.incidents.evidence_retention, ..cases::Settings::default() };
    running::limits(&raw.limits, &mut findings);
    let audit = raw.console.audit.clone().unwrap_or_else(|| raw.beside_store("audit.jsonl"));
    let external_url = console::external_url(raw.console.external_url.as_deref(), &mut findings);
    let console = console::validate(&raw.console, audit, &mut findings);
    let log = running::log(raw.log, &mut findings);
    let rules = running::rules(raw.rules, &mut findings);
    let reference = running::reference(raw.reference, &mut findings);
    let redaction = redaction::validate(&raw.receivers, &raw.redaction, &mut findings);
    let routed = routing::validate(raw.receivers, raw.routing, &mut findings);
    let time = |plane: &super::raw::PlaneTimes| PlaneTime {
        out_of_orderness: plane.out_of_orderness,
        allowed_lateness: plane.allowed_lateness,
    };
    let times = [time(&raw.time.runtime), time(&raw.time.identity)];
    input::schema_registry(raw.schema_registry.as_ref(), &mut findings);
    let tokens = input::tokens(&raw.input, &raw.formats, &mut findings);
    let formats = input::formats(&raw.formats, tokens.clone(), &raw.limits.record, &mut findings);
    input::snapshots(&raw.snapshots, &formats, &mut findings);
    let input = input::validate(raw.input, raw.schema_registry.is_some(), &formats, &mut findings)?;
    let core = core::Settings {
        times,
        present: input::present(&input),
        skew: raw.time.skew,
        limits: evaluator::Limits {
            rows_per_key: raw.limits.rows_per_key,
            rule_bytes: raw.limits.rule_memory,
            rule_bytes_stop: raw.limits.rule_memory_stop,
            state_bytes: raw.limits.state_memory,
            identity_bytes: raw.limits.identity_memory,
            rule_work: raw.limits.rule_work,
        },
        all_state: true,
        cold: input::is_cold(&input),
        incidents,
        principals: principals::Limits {
            links: raw.limits.principal_links,
            ids: raw.limits.principal_ids,
            ..principals::Limits::default()
        },
    };
    let operator = running::operator(&raw.operator, core.incidents.silence_after, &mut findings);
    let delivery = crate::deliver::DeliverySettings {
        fallback: routed.fallback,
        dead_letters,
        outbox_limit: raw.limits.outbox_rows,
    };
    Some(Config {
        input,
        schema_registry: raw.schema_registry,
        core,
        rules,
        shared_principals,
        reference,
        inventory,
        cases,
        store,
        receivers: routed.receivers,
        routes: Routes { external_url, ..routed.routes },
        redaction,
        operator,
        delivery,
        dlq,
        late,
        rule_time: raw.limits.rule_time,
        row_memory: raw.limits.row_memory,
        snapshots: raw.snapshots,
        formats,
        tokens,
        mappings: raw.formats.directory,
        record_limits: raw.limits.record,
        console,
        log,
    })
}

fn dead_letters(
    raw: &Raw,
    section: &super::raw::DeadLetters,
    name: &str,
    findings: &mut Findings<'_>,
) -> DeadLetterOutput {
    let beside = || DeadLetterOutput::File(raw.beside_store(&format!("{name}.jsonl")));
    match (&section.file, &section.topic) {
        (Some(_), Some(_)) => {
            findings.error(name, "has both `file` and `topic`; keep one of them");
            beside()
        }
        (Some(file), None) => DeadLetterOutput::File(file.clone()),
        (None, Some(topic)) => match &raw.input.kafka {
            Some(kafka) => DeadLetterOutput::Kafka { connection: Box::new(kafka.connection()), topic: topic.clone() },
            None => {
                if !findings.document.incomplete("input") {
                    findings.error(
                        &format!("{name}.topic"),
                        "needs [input.kafka], whose cluster it is in; name a `file` instead",
                    );
                }
                beside()
            }
        },
        (None, None) => beside(),
    }
}
