//! What every rule's output must look like.

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::logical_expr::LogicalPlan;
use watershed_schemas::{Plane, RulePlane};

use super::present;
use crate::evaluate::{OwnerColumns, Reduction};
use crate::front_matter::RuleSource;
use crate::lint::{Code, LintFinding};
use crate::text::SqlText;

/// Holds the output columns against the contract, and says which is which.
pub(super) fn contract(
    source: &RuleSource,
    text: &SqlText,
    version: &str,
    plan: &LogicalPlan,
) -> Result<Reduction, Vec<LintFinding>> {
    let fields: Vec<&Field> = plan.schema().fields().iter().map(AsRef::as_ref).collect();
    let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
    let mut findings = Vec::new();
    let mut fault = |code: Code, word: &str, message: String, help: &str| {
        findings.push(text.finding(code, text.output(word), message, help));
    };
    let position = |name: &str| names.iter().position(|other| other == name);
    for (at, name) in names.iter().enumerate() {
        if names[..at].contains(name) {
            fault(
                Code::OutputType,
                name,
                format!("two output columns are called `{name}`"),
                "give each a name of its own with AS",
            );
        }
    }
    let mut required = |name: &str, help: &str| {
        let at = position(name);
        if at.is_none() {
            fault(Code::OutputMissing, "select", format!("the output has no column `{name}`"), help);
        }
        at
    };
    let event_time = required("event_time", "select the time of the event that decides, such as `r.event_time`");
    let tenant = required("tenant", "select it from any of the tables, such as `r.tenant`");
    let (principal, session_id) = (position("principal"), position("session_id"));
    if principal.is_none() && session_id.is_none() {
        let help = "select `principal` or `session_id`: an incident is about somebody";
        fault(Code::OutputMissing, "select", "the output has neither `principal` nor `session_id`".into(), help);
    }
    if let Some(at) = event_time.filter(|&at| !matches!(fields[at].data_type(), DataType::Timestamp(_, _))) {
        let message = format!("`event_time` is {}, not a TIMESTAMP", fields[at].data_type());
        fault(Code::OutputType, "event_time", message, "take it from an `event_time` column");
    }
    for at in [tenant, principal, session_id].into_iter().flatten() {
        if !is_text(fields[at].data_type()) {
            let message = format!("`{}` is {}, not a VARCHAR", names[at], fields[at].data_type());
            fault(Code::OutputType, &names[at], message, "select the column as it is");
        }
    }
    let evidence: Vec<usize> = (0..names.len()).filter(|&at| is_evidence(&names[at])).collect();
    for &at in &evidence {
        if !is_text(fields[at].data_type()) && !is_text_list(fields[at].data_type()) {
            let message = format!("the evidence column `{}` is {}", names[at], fields[at].data_type());
            fault(Code::OutputType, &names[at], message, "evidence is an `event_id` or `array_agg(event_id)`");
        }
    }
    let mut key = Vec::new();
    for name in &source.meta.key {
        match position(name) {
            None => {
                let message = format!("the key column `{name}` isn't in the output");
                let help = format!("the output has {}", quoted(&names));
                let at = front_matter_word(source, name);
                findings.push(text.finding(Code::KeyMissing, at, message, help));
            }
            Some(at) => {
                let ty = fields[at].data_type();
                if ty.is_floating() || ty.is_nested() {
                    let message = format!("the key column `{name}` is {ty}");
                    let help = "a key is of texts, whole numbers and times: floats depend on rounding, lists grow";
                    findings.push(text.finding(Code::OutputType, text.output(name), message, help));
                }
                key.push(at);
            }
        }
    }
    match (event_time, tenant, findings.is_empty()) {
        (Some(event_time), Some(tenant), true) => Ok(Reduction {
            rule: source.meta.id.clone(),
            version: version.to_owned(),
            names,
            event_time,
            tenant,
            principal,
            session_id,
            key,
            evidence,
            gathered: Vec::new(),
            owner: OwnerColumns::None,
        }),
        _ => Err(findings),
    }
}

/// `event_time` and `tenant` must have a value in every row.
pub(super) fn may_be_null(text: &SqlText, plan: &LogicalPlan, reduction: &Reduction) -> Vec<LintFinding> {
    let needed = [reduction.event_time, reduction.tenant].into_iter();
    let missing = needed.filter(|&at| !present::always_there(plan, at)).map(|at| {
        let name = &reduction.names[at];
        let message = format!("`{name}` may be NULL, and a finding without it can't be told");
        let help = format!("take it from a side that is always there, or keep only rows with `{name} IS NOT NULL`");
        text.finding(Code::OutputNull, text.output(name), message, help)
    });
    missing.collect()
}

/// The warnings about an output that is otherwise as it must be.
pub(super) fn warnings(text: &SqlText, reduction: &Reduction, determined: &dyn Fn(usize) -> bool) -> Vec<LintFinding> {
    let mut findings = Vec::new();
    if reduction.evidence.is_empty() {
        let help = "select the ids of the events that show it, such as `r.event_id AS tool_event_id`, `array_agg(event_id) AS call_event_ids` or, of a signal, `s.evidence AS finding_event_ids`";
        findings.push(text.finding(
            Code::EvidenceMissing,
            text.output("select"),
            "the output names no event as evidence",
            help,
        ));
    }
    for at in [reduction.principal, reduction.session_id].into_iter().flatten() {
        if !determined(at) {
            let name = &reduction.names[at];
            let message =
                format!("`{name}` can't be shown to follow from the key: rows of one finding may differ in it");
            let help = format!("add `{name}` to the key, or group by it");
            findings.push(text.finding(Code::NotOfKey, text.output(name), message, help));
        }
    }
    findings
}

/// Whether what the rule reads fits whose finding it says it is. `planes` are those of its scans, also of what it reads through
/// `signals`.
pub(super) fn reads(source: &RuleSource, text: &SqlText, scans: usize, planes: &[Plane]) -> Option<LintFinding> {
    if scans == 0 {
        let help = "select from `runtime`, `identity` or `signals`";
        return Some(text.finding(
            Code::NoInput,
            text.start(),
            "the query reads neither `runtime` nor `identity` nor `signals`",
            help,
        ));
    }
    let unread = Plane::ALL.into_iter().find(|plane| !planes.contains(plane))?;
    if source.meta.plane != RulePlane::Both {
        return None;
    }
    let message = format!("a finding of both planes needs evidence in each, and `{}` isn't read", unread.table());
    let help = format!("read `{}` too, or write `plane: {}`", unread.table(), unread.other().name());
    Some(text.finding(Code::PlaneMismatch, front_matter_word(source, "plane"), message, help))
}

fn is_evidence(name: &str) -> bool {
    name == "event_id" || name.ends_with("_event_id") || name.ends_with("_event_ids")
}

fn is_text(ty: &DataType) -> bool {
    matches!(ty, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null)
}

fn is_text_list(ty: &DataType) -> bool {
    matches!(ty, DataType::List(field) | DataType::LargeList(field) if is_text(field.data_type()))
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Where a word stands in the front matter.
pub(super) fn front_matter_word(source: &RuleSource, word: &str) -> std::ops::Range<usize> {
    let front = &source.text[..source.sql_offset];
    let boundary = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '-');
    let found = front
        .match_indices(word)
        .map(|(at, _)| at)
        .filter(|&at| boundary(front[..at].chars().next_back()) && boundary(front[at + word.len()..].chars().next()));
    // A key column is looked for where the key is.
    let key = front.find("\nkey:").map_or(0, |at| at + 1);
    let found: Vec<usize> = found.collect();
    let at =
        found.iter().copied().find(|&at| word == "plane" || at > key).or_else(|| found.first().copied()).unwrap_or(0);
    at..at + word.len()
}
