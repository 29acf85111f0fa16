//! Rules over what other rules say: which rules a scan of `signals` names, and when their findings are there.

use std::collections::BTreeSet;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use watershed_schemas::tables::signals;
use watershed_schemas::{Plane, Table};

use super::scans::FoundScan;
use crate::compiled::{CompiledRule, Speaks, Upstream};
use crate::lint::{Code, LintFinding};
use crate::session::table_of;
use crate::text::SqlText;

/// The rules whose signals a plan reads; what names none is left out.
pub(crate) fn names(plan: &LogicalPlan) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // A plan that can't be walked is refused elsewhere.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && table_of(&scan.source) == Some(Table::Signals)
        {
            found.extend(named(&scan.filters).unwrap_or_default());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// The rules that these conditions on a scan of `signals` leave; none where they leave it open.
pub(super) fn named(filters: &[Expr]) -> Option<BTreeSet<String>> {
    let lists = filters.iter().flat_map(split_conjunction).filter_map(rules_of);
    lists.reduce(|a, b| a.intersection(&b).cloned().collect()).filter(|names| !names.is_empty())
}

/// The rules for which a condition on `rule` alone is true.
fn rules_of(condition: &Expr) -> Option<BTreeSet<String>> {
    let is_rule = |expr: &Expr| matches!(expr, Expr::Column(column) if column.name == COLUMN);
    let text = |expr: &Expr| match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_owned),
        _ => None,
    };
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let (column, value) = if is_rule(left) { (left, right) } else { (right, left) };
            is_rule(column).then(|| text(value).map(|name| BTreeSet::from([name]))).flatten()
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let mut either = rules_of(left)?;
            either.extend(rules_of(right)?);
            Some(either)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => rules_of(left).or_else(|| rules_of(right)),
        Expr::InList(InList { expr, list, negated: false }) if is_rule(expr) => list.iter().map(text).collect(),
        _ => None,
    }
}

const COLUMN: &str = signals::COLUMNS[signals::RULE].name;

/// A scan that leaves open which rules' signals it reads.
pub(super) fn unnamed(text: &SqlText, scan: &FoundScan) -> Option<LintFinding> {
    if scan.table != Table::Signals || scan.names.is_some() {
        return None;
    }
    let (table, alias) = (scan.table.name(), scan.alias.as_str());
    let name = if table == alias { table.to_owned() } else { format!("{table} {alias}") };
    let message = format!("`{name}` doesn't say whose signals it reads: they have to be there before this rule is");
    let help = format!("name the rules, such as `{alias}.rule = 'x'` or `{alias}.rule IN ('x', 'y')`, not under OR");
    Some(text.finding(Code::SignalsOfWhom, text.alias(table, alias), message, help))
}

/// What scans of `signals` say of rules that aren't there, as they are disabled: a scan that is left without any is refused.
pub(super) fn disabled(
    text: &SqlText,
    scans: &[FoundScan],
    upstream: &[&CompiledRule],
) -> Result<Vec<LintFinding>, Vec<LintFinding>> {
    let (mut refused, mut warnings) = (Vec::new(), Vec::new());
    for names in scans.iter().filter_map(|scan| scan.names.as_ref()) {
        let there = |name: &&String| upstream.iter().any(|rule| rule.meta.id == **name);
        let missing: Vec<&String> = names.iter().filter(|name| !there(name)).collect();
        let (code, findings) = match missing.len() == names.len() {
            true => (Code::SignalsOfNobody, &mut refused),
            false => (Code::SignalsDisabled, &mut warnings),
        };
        findings.extend(missing.into_iter().map(|name| {
            let message = format!("the rule `{name}` is disabled, so that it has no signals to read");
            let help =
                "put it into shadow instead (`mode = \"shadow\"`: signals that page nobody), or disable this rule too";
            let place = text.literal(name).unwrap_or_else(|| text.start());
            text.finding(code, place, message, help)
        }));
    }
    if refused.is_empty() { Ok(warnings) } else { Err(refused) }
}

/// For each rule that a scan reads, in order of their ids, when its findings are there.
pub(super) fn reads(scan: &FoundScan, upstream: &[&CompiledRule]) -> Vec<Upstream> {
    let of_scan = upstream.iter().filter(|rule| scan.names.iter().flatten().any(|name| *name == rule.meta.id));
    of_scan.map(|rule| Upstream { rule: rule.meta.id.clone(), there: there(scan, rule) }).collect()
}

/// Beyond a finding's `event_time` how far each plane's watermark must be before the scan has it as it stays.
fn there(scan: &FoundScan, rule: &CompiledRule) -> [Option<i64>; 2] {
    // What is said early may still be withdrawn: it is there when it is final.
    let waits = match &rule.speaks {
        Speaks::AtOnce { .. } => [None; 2],
        Speaks::AtWatermark { lookahead, .. } => *lookahead,
    };
    if read(scan).all(|column| rule.settled.contains(column)) { waits } else { later(waits, rule.lookahead) }
}

/// The columns of `signals` that a scan reads.
fn read(scan: &FoundScan) -> impl Iterator<Item = usize> {
    let filtered = scan.filters.iter().flat_map(|filter| {
        let columns = datafusion::physical_expr::utils::collect_columns(&filter.expr);
        columns.into_iter().map(|column| column.index()).collect::<BTreeSet<_>>()
    });
    scan.projection.iter().copied().chain(filtered)
}

/// How far beyond its time a row of any of these rules can come or change.
pub(super) fn lag(scan: &FoundScan, upstream: &[&CompiledRule]) -> [Option<i64>; 2] {
    let of_scan = upstream.iter().filter(|rule| scan.names.iter().flatten().any(|name| *name == rule.meta.id));
    of_scan.fold([None; 2], |lag, rule| match &rule.speaks {
        Speaks::AtOnce { .. } => later(lag, rule.lookahead),
        Speaks::AtWatermark { lookahead, .. } => later(later(lag, *lookahead), rule.lookahead),
    })
}

fn later(a: [Option<i64>; 2], b: [Option<i64>; 2]) -> [Option<i64>; 2] {
    // `None` is less than any value.
    Plane::ALL.map(|plane| a[plane.index()].max(b[plane.index()]))
}
