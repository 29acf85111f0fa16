//! What a stream needs to know about a rule, proven from its optimised plan.

mod scans;

use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use watershed_schemas::Plane;

use crate::compiled::{Scan, Speaks};
use crate::evaluate::Reduction;
use crate::front_matter::RuleSource;
use crate::lint::LintFinding;
use crate::slot::Slot;
use crate::text::SqlText;

/// What the analysis found.
pub(crate) struct Analysed {
    /// The optimised plan, each scan reading its own slot.
    pub(crate) plan: LogicalPlan,
    pub(crate) slots: Vec<Slot>,
    pub(crate) scans: Vec<Scan>,
    pub(crate) speaks: Speaks,
    pub(crate) lookahead: [Option<i64>; 2],
    pub(crate) reduction: Reduction,
    pub(crate) warnings: Vec<LintFinding>,
}

pub(crate) fn analyse(
    source: &RuleSource,
    _text: &SqlText,
    state: &SessionState,
    _written: &LogicalPlan,
    optimised: LogicalPlan,
    version: &str,
) -> Result<Analysed, Vec<LintFinding>> {
    let (plan, found) = scans::assign_slots(optimised, state).map_err(|_| Vec::new())?;
    let names: Vec<String> = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
    let at = |name: &str| names.iter().position(|other| other == name);
    let reduction = Reduction {
        rule: source.meta.id.clone(),
        version: version.to_owned(),
        event_time: at("event_time").unwrap_or(0),
        tenant: at("tenant").unwrap_or(0),
        principal: at("principal"),
        session_id: at("session_id"),
        key: source.meta.key.iter().filter_map(|name| at(name)).collect(),
        evidence: (0..names.len())
            .filter(|&at| names[at] == "event_id" || names[at].ends_with("_event_id") || names[at].ends_with("_event_ids"))
            .collect(),
        names,
    };
    let lookahead = [Some(0), Some(0)];
    let mut slots = Vec::new();
    let mut scans = Vec::new();
    for scan in found {
        slots.push(scan.slot);
        scans.push(Scan {
            plane: scan.plane,
            alias: scan.alias,
            filters: scan.filters,
            projection: scan.projection,
            key: vec![scan.plane.column("tenant").unwrap_or(0)],
            keep: Plane::ALL.map(|_| Some(0)),
            min_rows: 0,
        });
    }
    Ok(Analysed { plan, slots, scans, speaks: Speaks::AtOnce { why: String::new() }, lookahead, reduction, warnings: Vec::new() })
}
