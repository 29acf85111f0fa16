//! Findings as rows of `signals`. Stream and batch share it: it is part of what a rule over `signals` means.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, ListBuilder, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use serde_json::{Map, Value};
use watershed_schemas::Table;

use crate::compiled::CompiledRule;
use crate::finding::Finding;

/// These findings of a rule as rows of `signals`, in their order.
pub fn rows(rule: &CompiledRule, findings: &[&Finding]) -> RecordBatch {
    let text = |value: &dyn Fn(&Finding) -> Option<String>| -> ArrayRef {
        Arc::new(findings.iter().map(|finding| value(finding)).collect::<StringArray>())
    };
    let object = |map: &Map<String, Value>| serde_json::to_string(map).ok();
    let times = findings.iter().map(|finding| finding.event_time.micros());
    let mut evidence = ListBuilder::new(StringBuilder::new());
    for finding in findings {
        evidence.append_value(finding.evidence.iter().map(Some));
    }
    let meta = &rule.meta;
    let columns: Vec<ArrayRef> = vec![
        text(&|finding| Some(finding.signal_id.clone())),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times)),
        text(&|_| Some(meta.id.clone())),
        text(&|finding| Some(finding.tenant.clone())),
        text(&|_| Some(meta.plane.name().to_owned())),
        text(&|_| Some(meta.severity.name().to_owned())),
        text(&|finding| finding.principal.clone()),
        text(&|finding| finding.session_id.clone()),
        text(&|finding| object(&finding.key)),
        text(&|finding| object(&finding.details)),
        Arc::new(evidence.finish()),
    ];
    RecordBatch::try_new(Table::Signals.schema(), columns)
        .expect("as many values in each column, of its type, and none missing that is required")
}
