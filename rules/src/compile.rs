//! From a rule file to a [`CompiledRule`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use datafusion::common::DataFusionError;
use futures::executor::block_on;

use crate::analyse;
use crate::compiled::CompiledRule;
use crate::evaluate::{CachedPlan, panic_text};
use crate::front_matter::RuleSource;
use crate::lint::{Code, LintFinding};
use crate::reference::ReferenceTables;
use crate::sandbox::{self, Parsed};
use crate::session;
use crate::text::SqlText;
use crate::version::rule_version;

/// Planning takes milliseconds; what takes this long would take for ever.
const PLANNING_LIMIT: Duration = Duration::from_secs(20);
/// The planner recurses into deep expressions.
const PLANNING_STACK_BYTES: usize = 64 << 20;

static PLANNINGS: AtomicUsize = AtomicUsize::new(0);

/// How many rules this process has planned so far: it doesn't grow while rules run.
pub fn plannings() -> usize {
    PLANNINGS.load(Ordering::Relaxed)
}

/// Compiles one rule: parses it, holds it against the sandbox and the output contract, proves what a stream needs to know,
/// and caches its plan.
///
/// # Errors
/// Everything that is wrong with it that can be told at once, in the order of the file; at least one finding.
pub fn compile(source: &RuleSource, reference: &ReferenceTables) -> Result<CompiledRule, Vec<LintFinding>> {
    let text = SqlText::new(source).map_err(|finding| vec![*finding])?;
    let (sender, receiver) = mpsc::sync_channel(1);
    let worker = {
        let (source, reference, text) = (source.clone(), reference.clone(), text.clone());
        move || {
            let result = catch_unwind(AssertUnwindSafe(|| plan(&source, &reference, &text)));
            // Nobody listens any more where planning took too long.
            let _ = sender.send(result);
        }
    };
    let spawned =
        std::thread::Builder::new().name("rule-planner".into()).stack_size(PLANNING_STACK_BYTES).spawn(worker);
    let failed = |code: Code, message: String, help: &str| Err(vec![text.finding(code, text.start(), message, help)]);
    if let Err(error) = spawned {
        return failed(
            Code::Planning,
            format!("no thread to plan the rule: {error}"),
            "free some memory and try again",
        );
    }
    match receiver.recv_timeout(PLANNING_LIMIT) {
        Ok(Ok(result)) => result.map_err(in_order),
        Ok(Err(panic)) => failed(
            Code::Planning,
            format!("the planner panicked: {}", panic_text(panic.as_ref())),
            "write the query in a simpler form",
        ),
        Err(_) => failed(
            Code::TooComplex,
            format!("planning took longer than {} s", PLANNING_LIMIT.as_secs()),
            "split the rule into several",
        ),
    }
}

fn in_order(mut findings: Vec<LintFinding>) -> Vec<LintFinding> {
    findings.sort_by_key(|finding| (finding.span.start, finding.code));
    findings.dedup();
    findings
}

fn plan(source: &RuleSource, reference: &ReferenceTables, text: &SqlText) -> Result<CompiledRule, Vec<LintFinding>> {
    let tables: Vec<&str> = reference.iter().map(|(name, _)| name).collect();
    let Parsed { statement, rewritten } = sandbox::statement(text, &tables)?;
    PLANNINGS.fetch_add(1, Ordering::Relaxed);
    let refused = |error: DataFusionError| vec![sandbox::planning_error(text, &error)];
    let context = session::planning(reference).map_err(refused)?;
    let state = context.state();
    let written = block_on(state.statement_to_plan(statement)).map_err(refused)?;
    sandbox::plan(text, &written)?;
    let optimised = state.optimize(&written).map_err(refused)?;
    let version = rule_version(text, &source.meta.key);
    let analysed = analyse::analyse(source, text, &state, optimised, &version)?;
    let physical = block_on(state.query_planner().create_physical_plan(&analysed.plan, &state)).map_err(refused)?;
    let context = state.task_ctx();
    let plan = CachedPlan::new(physical, analysed.slots, context).map_err(|error| refused(error.into()))?;
    Ok(CompiledRule {
        meta: source.meta.clone(),
        version,
        scans: analysed.scans,
        speaks: analysed.speaks,
        lookahead: analysed.lookahead,
        warnings: analysed.warnings,
        sql: rewritten.unwrap_or_else(|| text.sql.clone()),
        reference: reference.clone(),
        reduction: analysed.reduction,
        plan: Mutex::new(plan),
    })
}
