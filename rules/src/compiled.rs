//! A rule, ready to run: the narrow seam between rules and the engine.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::RecordBatch;
use datafusion::physical_expr::PhysicalExpr;
use watershed_schemas::Table;
use watershed_schemas::tables::signals;

use crate::evaluate::{Apart, CachedPlan, Reduction};
use crate::finding::Finding;
use crate::front_matter::RuleMeta;
use crate::lint::LintFinding;
use crate::reference::ReferenceTables;

/// One condition that a scan's rows must meet.
#[derive(Clone, Debug)]
pub struct Conjunct {
    /// Canonical text without table alias: equal texts are the same condition, evaluated once a batch for all rules.
    pub text: Arc<str>,
    /// The same as SQL, for people; alternatives stand in parentheses.
    pub sql: Arc<str>,
    /// The condition over the plane's full canonical schema.
    pub expr: Arc<dyn PhysicalExpr>,
}

/// One scan of a table by a rule.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Which table.
    pub table: Table,
    /// Its alias in the SQL.
    pub alias: String,
    /// What a row must meet to matter to this scan; cheap ones first.
    pub filters: Vec<Conjunct>,
    /// The columns that the plan reads, as positions in the canonical table, ascending.
    pub projection: Vec<usize>,
    /// The rule's partition key in this scan, as positions in the canonical table, in the same order for every scan.
    /// Empty for a global rule. Rows of different keys never influence each other's output.
    pub key: Vec<usize>,
    /// For each plane (by [`watershed_schemas::Plane::index`]) how long a row must be kept, in microseconds; may be negative. `None`: that
    /// plane's watermark doesn't matter. It is bound through the output, so that whatever can still change an output
    /// finds every row that takes part in it: the most that the output's `event_time` can lie after the row's, plus the
    /// rule's [`CompiledRule::lookahead`] of that plane. (`r BETWEEN i AND i + 12 h` with `event_time = r.event_time`: an
    /// identity row 12 h, a runtime row 0.)
    /// A row goes when every named plane's watermark has passed its event time plus this plus the allowed lateness.
    pub keep: [Option<i64>; 2],
    /// Bounds `(least, most)` on this scan's `event_time` less the output's `event_time` over all rows that can take part
    /// in or change an output (groups and buckets included), in microseconds. Added by the engine's author: it follows from
    /// the same difference bounds as `keep`. The engine re-evaluates only outputs that a new row can touch
    /// (output time in `[row - most, row - least]`) over only the rows that those outputs can see. `i64::MIN`/`i64::MAX`
    /// where one side is open.
    pub around: (i64, i64),
    /// The fewest rows of a key that this scan needs for any output to be possible; 0 where the scan may be empty.
    pub min_rows: usize,
    /// For a scan of `signals` the rules whose findings it reads, in order of their ids.
    pub upstream: Vec<Upstream>,
    /// For a scan of a state table how its versions are found. Such a scan has no rows of its own, no key, and no `keep`; its
    /// `around` is that of the scan at whose time it is read.
    pub lookup: Option<Lookup>,
}

/// How the versions that a scan of a state table needs are found: all those of the keys that rows of other scans name. It
/// may be more than the plan joins, never less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The column that is looked up, one of [`watershed_schemas::StateTable::lookups`].
    pub column: usize,
    /// Where the values come from.
    pub asked: Vec<Asked>,
    /// The scans of events as of whose time the versions are.
    pub as_of: Vec<usize>,
    /// Whether there is no output without a version that passes the scan's filters.
    pub needed: bool,
}

/// A column whose values are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// The scan that names the organisation.
    pub tenant: usize,
    /// The scan that has the column: of events or signals, or of another state table.
    pub scan: usize,
    /// The column: text, or a list of texts each of which is asked for.
    pub column: usize,
}

/// A rule whose findings a scan of `signals` reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its id.
    pub rule: String,
    /// For each plane (by [`watershed_schemas::Plane::index`]) how far beyond a finding's `event_time` the watermark must be before the scan has
    /// it, in microseconds: what the scan reads of it then stays as it is, late events aside. All `None`: as soon as it is said.
    pub there: [Option<i64>; 2],
}

/// Which columns of a rule's findings follow from their key, so that they are as they stay from the first statement on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) event_time: bool,
    pub(crate) principal: bool,
    pub(crate) session_id: bool,
}

impl Settled {
    /// Whether this column of `signals` is settled.
    pub(crate) fn contains(self, column: usize) -> bool {
        match column {
            signals::EVENT_TIME => self.event_time,
            signals::PRINCIPAL => self.principal,
            signals::SESSION_ID => self.session_id,
            column => ![signals::DETAILS, signals::EVIDENCE].contains(&column),
        }
    }
}

/// When a rule may speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// More input can only add findings: at once.
    AtOnce {
        /// Why that is so.
        why: String,
    },
    /// At the watermark that makes a row final: when for each plane with a value W > event_time + value (µs).
    AtWatermark {
        /// For each plane (by [`watershed_schemas::Plane::index`]) how far beyond the output's `event_time` its rows matter, in microseconds.
        lookahead: [Option<i64>; 2],
        /// The operator that decides it, and why.
        why: String,
    },
}

/// A rule that the compiler has proven runnable over streams.
pub struct CompiledRule {
    /// The front matter.
    pub meta: RuleMeta,
    /// Hash of the normalised SQL and the key columns.
    pub version: String,
    /// Every scan of a canonical table in the plan.
    pub scans: Vec<Scan>,
    /// The scans of state tables, each after those that it asks.
    pub lookups: Vec<usize>,
    /// When it may speak.
    pub speaks: Speaks,
    /// For each plane (by [`watershed_schemas::Plane::index`]; `None` where the rule doesn't read it) how far beyond an output's `event_time`
    /// rows of that plane can still add to it or change it, in microseconds; may be negative. An output is sealed, and
    /// neither revised nor withdrawn any more, when every named plane's watermark has passed its `event_time` plus this
    /// plus the allowed lateness. Given for every rule, also for those that speak at once.
    pub lookahead: [Option<i64>; 2],
    /// The rules whose findings its scans of `signals` read, in order of their ids.
    pub upstream: Vec<Arc<CompiledRule>>,
    /// What its author should look at; the rule runs all the same.
    pub warnings: Vec<LintFinding>,
    /// The SQL, with the front matter blanked out.
    pub(crate) sql: String,
    /// The reference tables that it was planned with.
    pub(crate) reference: ReferenceTables,
    pub(crate) reduction: Reduction,
    pub(crate) settled: Settled,
    pub(crate) plan: Mutex<CachedPlan>,
}

/// A rule failed while it ran: the engine quarantines it and goes on with the others.
#[derive(Debug, thiserror::Error)]
#[error("rule {rule}: {reason}")]
pub struct EvaluateError {
    /// Its id.
    pub rule: String,
    /// What happened.
    pub reason: String,
}

impl CompiledRule {
    /// Runs the cached plan over these rows, one batch per scan in the order of [`CompiledRule::scans`], each holding exactly the
    /// columns of the scan's projection, and reduces the result to one finding per key, sorted by `signal_id`.
    /// The rows must have passed the scan's filters. Running it over all such rows of a history is the rule's batch result.
    /// Nothing is planned. Concurrent calls wait for each other.
    ///
    /// # Errors
    /// When an expression fails on these rows (a cast, a division), an operator panics, or the memory limit is reached.
    pub fn evaluate(&self, rows: &[RecordBatch]) -> Result<Vec<Finding>, EvaluateError> {
        self.evaluate_apart(rows).map(|apart| apart.findings)
    }

    /// The same, and to which partition key each finding belongs where the output tells.
    ///
    /// # Errors
    /// As [`CompiledRule::evaluate`].
    pub fn evaluate_apart(&self, rows: &[RecordBatch]) -> Result<Apart, EvaluateError> {
        let hopeless = |(scan, rows): (&Scan, &RecordBatch)| rows.num_rows() < scan.min_rows.min(1);
        if rows.len() == self.scans.len() && self.scans.iter().zip(rows).any(hopeless) {
            return Ok(Apart::default());
        }
        // A panic inside is caught before it reaches the lock; what is behind it is set anew by each run.
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let batches = plan.run(rows).map_err(|reason| self.failed(reason))?;
        self.reduction.reduce(&plan.schema(), &batches).map_err(|reason| self.failed(reason))
    }

    /// Names of the columns of its findings, in their order.
    pub fn output_columns(&self) -> &[String] {
        &self.reduction.names
    }

    /// Every rule on whose findings this one's rest, each after those on which its own do.
    pub fn strata(&self) -> Vec<Arc<CompiledRule>> {
        let mut found = Vec::new();
        self.collect_strata(&mut found);
        found
    }

    fn collect_strata(&self, found: &mut Vec<Arc<CompiledRule>>) {
        for rule in &self.upstream {
            if !found.iter().any(|known| known.meta.id == rule.meta.id) {
                rule.collect_strata(found);
                found.push(Arc::clone(rule));
            }
        }
    }

    /// The physical plan that is run, indented.
    pub(crate) fn physical_plan(&self) -> String {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).to_string()
    }

    /// Names of the reference tables that the rule reads, itself or through the findings of others, in their order. A column
    /// that is named like a table counts too.
    pub fn reference_tables(&self) -> Vec<&str> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let below = self.strata();
        let texts = below.iter().map(|rule| rule.sql.as_str()).chain([self.sql.as_str()]);
        let words: BTreeSet<String> = texts
            .flat_map(|sql| sql.split(|c| !plain(c)).filter(|word| !word.is_empty()).map(str::to_lowercase))
            .collect();
        self.reference.iter().map(|(name, _)| name).filter(|name| words.contains(*name)).collect()
    }

    pub(crate) fn failed(&self, reason: String) -> EvaluateError {
        EvaluateError { rule: self.meta.id.clone(), reason }
    }
}

impl std::fmt::Debug for CompiledRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompiledRule")
            .field("id", &self.meta.id)
            .field("version", &self.version)
            .field("scans", &self.scans)
            .field("speaks", &self.speaks)
            .field("lookahead", &self.lookahead)
            .field("upstream", &self.upstream.iter().map(|rule| &rule.meta.id).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
