//! The plan as written, before any rewriting, held against the lists of allowed constructs and functions.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{AggregateFunction, Like, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Distinct, Expr, LogicalPlan, Operator, WindowFrameBound};

use super::functions::{AGGREGATE, SCALAR, WINDOW};
use crate::analyse::interval_of;
use crate::functions::{MAX_BUCKETS, hop_widths};
use crate::lint::{Code, LintFinding};
use crate::session::table_of;
use crate::text::SqlText;

/// The longest regular expression, in bytes, and the memory that it may compile to.
const MAX_PATTERN_BYTES: usize = 1_000;
const MAX_COMPILED_PATTERN_BYTES: usize = 1 << 20;

/// Checks every node and every expression, those of subqueries included.
pub(crate) fn plan(text: &SqlText, plan: &LogicalPlan) -> Result<(), Vec<LintFinding>> {
    let mut checker = Checker { text, findings: Vec::new() };
    let walked = plan.apply_with_subqueries(|node| {
        checker.node(node);
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                checker.expression(part);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    if let Err(error) = walked {
        checker.findings.push(super::planning_error(text, &error));
    }
    if checker.findings.is_empty() { Ok(()) } else { Err(checker.findings) }
}

struct Checker<'a> {
    text: &'a SqlText,
    findings: Vec<LintFinding>,
}

impl Checker<'_> {
    fn refuse(&mut self, code: Code, words: &[&str], message: String, help: &str) {
        let place = self.text.find(words);
        self.findings.push(self.text.finding(code, place, message, help));
    }

    fn node(&mut self, node: &LogicalPlan) {
        match node {
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Distinct(Distinct::All(_)) => {}
            LogicalPlan::Unnest(unnest) => {
                if !unnest.struct_type_columns.is_empty()
                    || unnest.list_type_columns.iter().any(|(_, list)| list.depth != 1)
                {
                    self.refuse(
                        Code::NodeForbidden,
                        &["unnest"],
                        "unnest of a struct, or of lists within a list, can't be streamed".into(),
                        "unnest one list of plain values, such as `unnest(scopes)`",
                    );
                }
            }
            LogicalPlan::Aggregate(aggregate) => {
                if aggregate.group_expr.is_empty() && reads_a_stream(&aggregate.input) {
                    self.empty_aggregate(&aggregate.aggr_expr);
                }
            }
            LogicalPlan::Limit(_) => {
                self.refuse(
                    Code::Limit,
                    &["limit"],
                    "LIMIT chooses rows by an order that a stream doesn't have".into(),
                    "leave it out",
                );
            }
            LogicalPlan::RecursiveQuery(_) => {
                self.refuse(
                    Code::Recursive,
                    &["recursive"],
                    "a recursive query isn't bounded".into(),
                    "write the steps as joins",
                );
            }
            other => {
                let message = format!(
                    "{} can't be streamed",
                    other.display().to_string().split(':').next().unwrap_or("this construct")
                );
                self.refuse(
                    Code::NodeForbidden,
                    &["select"],
                    message,
                    "use joins, EXISTS, GROUP BY, UNION ALL or a bounded window",
                );
            }
        }
    }

    fn empty_aggregate(&mut self, values: &[Expr]) {
        let words: Vec<String> =
            values.iter().filter_map(|expr| expr.to_string().split('(').next().map(str::to_owned)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let place = self.text.find(&words);
        if self.text.in_parentheses(&place) {
            let message =
                "an aggregate as a subquery gives a value even when nothing happened, and can't be bounded in time";
            let help = "join what it counts, with a LEFT JOIN where there may be none, and write `GROUP BY r.tenant, r.principal, r.event_time, r.event_id HAVING count(i.event_id) < 3`";
            self.findings.push(self.text.finding(Code::EmptyAggregate, place, message, help));
            return;
        }
        let message = "an aggregate without GROUP BY gives a row even when nothing happened, and never ends";
        let help = "group by tenant, principal and `date_bin(INTERVAL '15 minutes', event_time)`, or write EXISTS";
        self.findings.push(self.text.finding(Code::EmptyAggregate, place, message, help));
    }

    fn expression(&mut self, expr: &Expr) {
        match expr {
            Expr::ScalarFunction(function) => self.scalar(function),
            Expr::AggregateFunction(AggregateFunction { func, .. }) => {
                self.aggregate(func.name(), func.aliases());
            }
            Expr::WindowFunction(function) => {
                let name = function.fun.name();
                if !AGGREGATE.contains(&name) && !WINDOW.contains(&name) {
                    self.unknown(name, &[]);
                }
                for bound in [&function.params.window_frame.start_bound, &function.params.window_frame.end_bound] {
                    if let WindowFrameBound::Preceding(value) | WindowFrameBound::Following(value) = bound
                        && is_negative(value)
                    {
                        let message = format!("the frame bound {value} is negative");
                        self.refuse(Code::NegativeInterval, &["over"], message, "write PRECEDING for rows before the current one and FOLLOWING for rows after it, with a positive interval");
                    }
                }
            }
            Expr::BinaryExpr(BinaryExpr { op, right, .. }) if is_regex(*op) => self.pattern(right),
            Expr::SimilarTo(Like { pattern, .. }) => self.pattern(pattern),
            Expr::InSubquery(subquery) if subquery.negated => self.not_in(),
            Expr::Not(inner) if matches!(inner.as_ref(), Expr::InSubquery(_)) => self.not_in(),
            Expr::SetComparison(_) => {
                let message = "a comparison with ANY or ALL of a subquery can't be streamed".to_owned();
                self.refuse(
                    Code::NodeForbidden,
                    &["any", "all", "some"],
                    message,
                    "write EXISTS with the comparison inside",
                );
            }
            Expr::GroupingSet(_) => {
                let message = "GROUPING SETS, ROLLUP and CUBE can't be streamed".to_owned();
                self.refuse(
                    Code::NodeForbidden,
                    &["grouping", "rollup", "cube"],
                    message,
                    "write one SELECT per grouping with UNION ALL",
                );
            }
            Expr::Unnest(_) => {
                let message = "`unnest` can't be streamed here".to_owned();
                self.refuse(
                    Code::NodeForbidden,
                    &["unnest"],
                    message,
                    "select it under a name in a subquery, such as `SELECT …, unnest(hop(event_time, INTERVAL '10 minutes', INTERVAL '5 minutes')) AS bucket FROM identity`, and group that",
                );
            }
            Expr::Placeholder(_) | Expr::ScalarVariable(_, _) => {
                let message = "a rule has no parameters".to_owned();
                self.refuse(Code::NodeForbidden, &["select"], message, "write the value itself");
            }
            Expr::HigherOrderFunction(_) | Expr::Lambda(_) | Expr::LambdaVariable(_) => {
                let message = "functions over functions aren't allowed".to_owned();
                self.refuse(Code::NodeForbidden, &["select"], message, "use the list functions, such as `array_has`");
            }
            _ => {}
        }
    }

    fn scalar(&mut self, function: &ScalarFunction) {
        let name = function.name();
        if !SCALAR.contains(&name) {
            self.unknown(name, function.func.aliases());
        }
        let multiplied = match (name, function.args.as_slice()) {
            // As many steps as the product of their lengths, and as many bytes.
            ("levenshtein", [a, b, ..]) => !is_short(a) && !is_short(b),
            ("replace", [_, _, with]) | ("regexp_replace", [_, _, with, ..]) => !is_short(with),
            _ => false,
        };
        if multiplied {
            self.refuse(
                Code::NodeForbidden,
                &[name],
                format!("`{name}` of two texts of any length takes the product of their lengths"),
                "cut one of them, such as `left(content, 100)`, or write a constant",
            );
        }
        if name == "hop" {
            self.hop(&function.args);
        }
        if name.starts_with("regexp")
            && let Some(pattern) = function.args.get(1)
        {
            self.pattern(pattern);
        }
    }

    /// Sliding buckets of a size and slide that are known now.
    fn hop(&mut self, arguments: &[Expr]) {
        let [_, size, slide] = arguments else { return };
        let fault = match interval_of(size).zip(interval_of(slide)) {
            None => "the size and slide of `hop` aren't constant intervals".to_owned(),
            Some((size, slide)) if hop_widths(size, slide).is_none() => {
                format!(
                    "`hop` needs fixed intervals above zero, a slide no longer than the size, and at most {MAX_BUCKETS} slides in a size"
                )
            }
            Some(_) => return,
        };
        self.refuse(
            Code::SlidingBuckets,
            &["hop"],
            fault,
            "write `hop(event_time, INTERVAL '10 minutes', INTERVAL '5 minutes')`",
        );
    }

    fn aggregate(&mut self, name: &str, aliases: &[String]) {
        if !AGGREGATE.contains(&name) {
            self.unknown(name, aliases);
        }
    }

    fn unknown(&mut self, name: &str, aliases: &[String]) {
        let words: Vec<&str> = std::iter::once(name).chain(aliases.iter().map(String::as_str)).collect();
        let message = format!("the function `{name}` isn't allowed in rules");
        self.refuse(Code::UnknownFunction, &words, message, "use a text, time, list, JSON or address function from the reference, or one of count, sum, min, max, avg, array_agg");
    }

    fn not_in(&mut self) {
        let message = "NOT IN with a subquery can't be rewritten with its NULLs here".to_owned();
        self.refuse(
            Code::NotIn,
            &["not"],
            message,
            "have it stand in WHERE, alone or under AND and OR; or write NOT EXISTS with the equality inside, and say what a NULL shall mean",
        );
    }

    fn pattern(&mut self, pattern: &Expr) {
        let fault = match literal_text(pattern) {
            None => Some("the regular expression isn't a constant".to_owned()),
            Some(text) if text.len() > MAX_PATTERN_BYTES => {
                Some(format!("the regular expression has {} bytes; it may have {MAX_PATTERN_BYTES}", text.len()))
            }
            Some(text) => {
                regex::RegexBuilder::new(text).size_limit(MAX_COMPILED_PATTERN_BYTES).build().err().map(|error| {
                    match error {
                        regex::Error::CompiledTooBig(_) => {
                            "the regular expression is too large when compiled".to_owned()
                        }
                        other => format!(
                            "the regular expression isn't valid: {}",
                            other.to_string().lines().last().unwrap_or_default()
                        ),
                    }
                })
            }
        };
        if let Some(message) = fault {
            let place =
                literal_text(pattern).and_then(|text| self.text.literal(text)).unwrap_or_else(|| self.text.start());
            self.findings.push(self.text.finding(
                Code::LargePattern,
                place,
                message,
                "write a shorter one, or several LIKE conditions",
            ));
        }
    }
}

fn reads_a_stream(plan: &LogicalPlan) -> bool {
    plan.exists(|node| Ok(matches!(node, LogicalPlan::TableScan(scan) if table_of(&scan.source).is_some())))
        .unwrap_or(true)
}

fn is_regex(op: Operator) -> bool {
    matches!(op, Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch)
}

/// The longest text that may be multiplied with another.
const MAX_FACTOR: i64 = 1_000;

/// A text of bounded length.
fn is_short(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_short(&alias.expr),
        Expr::Literal(_, _) => true,
        Expr::ScalarFunction(function) if matches!(function.name(), "left" | "right") => {
            let length = function.args.get(1).map(|length| match length {
                Expr::Literal(value, _) => value.cast_to(&DataType::Int64),
                other => Ok(ScalarValue::Utf8(Some(other.to_string()))),
            });
            matches!(length, Some(Ok(ScalarValue::Int64(Some(0..=MAX_FACTOR)))))
        }
        _ => false,
    }
}

fn literal_text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        Expr::Cast(cast) => literal_text(&cast.expr),
        Expr::Alias(alias) => literal_text(&alias.expr),
        _ => None,
    }
}

fn is_negative(value: &ScalarValue) -> bool {
    match value {
        // Unbounded.
        value if value.is_null() => false,
        ScalarValue::IntervalMonthDayNano(Some(value)) => value.months < 0 || value.days < 0 || value.nanoseconds < 0,
        ScalarValue::IntervalDayTime(Some(value)) => value.days < 0 || value.milliseconds < 0,
        ScalarValue::IntervalYearMonth(Some(months)) => *months < 0,
        ScalarValue::Utf8(Some(text)) => text.contains('-'),
        other => ScalarValue::new_zero(&other.data_type())
            .is_ok_and(|zero| other.partial_cmp(&zero).is_some_and(|order| order.is_lt())),
    }
}
