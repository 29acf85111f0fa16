//! The statement as parsed: one SELECT, of the constructs that have a meaning over a stream.

use std::ops::{ControlFlow, Range};

use datafusion::common::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, Function, Query, Select, SetExpr, SetOperator, Spanned, Statement as SqlStatement, TableFactor,
    UnaryOperator, Visit, Visitor, WindowFrameBound, WindowType,
};
use watershed_schemas::Table;

use super::functions::VOLATILE;
use super::{not_in, parameters};
use crate::lint::{Code, LintFinding};
use crate::text::SqlText;
use crate::views;

/// More tokens than this can't be planned in bounded time and stack.
const MAX_TOKENS: usize = 6_000;
/// Operators nest: each may be one level of recursion in the planner.
const MAX_OPERATORS: usize = 1_500;
/// The longest IN list.
const MAX_LIST: usize = 500;

/// The file's one statement.
pub(crate) struct Parsed {
    pub(crate) statement: Statement,
    /// Its SQL, where it isn't what the file says: NOT IN is written as what it means, views and
    /// parameters as theirs.
    pub(crate) rewritten: Option<String>,
}

/// Parses the file's one statement and checks what can be checked without planning. `tables` are the names of the reference
/// tables.
pub(crate) fn statement(text: &SqlText, tables: &[&str]) -> Result<Parsed, Vec<LintFinding>> {
    let one = |code: Code, place: Range<usize>, message: String, help: &str| {
        Err(vec![text.finding(code, place, message, help)])
    };
    let operators = text.lexemes.iter().filter(|lexeme| is_operator(lexeme)).count();
    if text.lexemes.len() > MAX_TOKENS || operators > MAX_OPERATORS {
        let message = format!(
            "the query has {} words and {operators} operators; it may have {MAX_TOKENS} and {MAX_OPERATORS}",
            text.lexemes.len()
        );
        return one(Code::TooComplex, text.start(), message, "put long lists into a reference table and join it");
    }
    let parsed = DFParserBuilder::new(text.sql.as_str()).build().and_then(|mut parser| parser.parse_statements());
    let mut statements = parsed.map_err(|error| vec![planning_error(text, &error)])?;
    let Some(mut statement) = statements.pop_front() else {
        return one(
            Code::NotOneSelect,
            text.start(),
            "the file holds no query".into(),
            "write one SELECT after the front matter",
        );
    };
    if !statements.is_empty() {
        let message = format!("the file holds {} statements", statements.len() + 1);
        return one(
            Code::NotOneSelect,
            text.second_statement(),
            message,
            "write one SELECT; put further ones into files of their own",
        );
    }
    let not_select =
        || one(Code::NotOneSelect, text.start(), "the statement isn't a SELECT".into(), "write one SELECT");
    let Statement::Statement(parsed) = &mut statement else { return not_select() };
    let SqlStatement::Query(query) = parsed.as_mut() else { return not_select() };
    let wrong = parameters::findings(text);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let filled = parameters::rewrite(query, &text.parameters);
    let rewritten = not_in::rewrite(query) || filled;
    let mut checker = Checker { text, tables, findings: Vec::new() };
    let _: ControlFlow<()> = query.visit(&mut checker);
    if !checker.findings.is_empty() {
        return Err(checker.findings);
    }
    // What a view says is ours and need not be checked; what the query makes of it is, as of any table.
    let rewritten = views::expand(query) || rewritten;
    let rewritten = rewritten.then(|| query.to_string());
    Ok(Parsed { statement, rewritten })
}

fn is_operator(lexeme: &crate::text::Lexeme) -> bool {
    match lexeme.word().as_deref() {
        Some("and" | "or" | "not" | "case" | "between" | "union" | "join") => true,
        Some(_) => false,
        None => "+-*/%=<>|!~".contains(lexeme.token.to_string().chars().next().unwrap_or(' ')),
    }
}

struct Checker<'a> {
    text: &'a SqlText,
    tables: &'a [&'a str],
    findings: Vec<LintFinding>,
}

impl Checker<'_> {
    fn refuse(&mut self, code: Code, place: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.findings.push(self.text.finding(code, place, message, help));
    }

    fn place(&self, of: &impl Spanned) -> Range<usize> {
        let span = of.span();
        if span.start.line == 0 { self.text.start() } else { self.text.span(span.start, span.end) }
    }

    fn body(&mut self, body: &SetExpr) {
        match body {
            SetExpr::SetOperation { op: SetOperator::Union, left, right, .. } => {
                self.body(left);
                self.body(right);
            }
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => {}
            SetExpr::SetOperation { op, .. } => {
                let place = self.text.find(&[&op.to_string()]);
                self.refuse(
                    Code::NodeForbidden,
                    place,
                    format!("{op} can't be bounded in time"),
                    "write EXISTS or NOT EXISTS with a bound on `event_time`",
                );
            }
            other => {
                let place = self.place(other);
                self.refuse(Code::NotOneSelect, place, "the statement isn't a SELECT", "write one SELECT");
            }
        }
    }

    fn function(&mut self, function: &Function, place: Range<usize>) {
        let name = function.name.to_string().to_lowercase();
        if VOLATILE.contains(&name.as_str()) {
            let help = "compare with the `event_time` of another row instead, so that the rule means the same whenever it runs";
            self.refuse(Code::Volatile, place.clone(), format!("`{name}` depends on when the rule runs"), help);
        }
        if let Some(WindowType::WindowSpec(spec)) = &function.over
            && let Some(frame) = &spec.window_frame
        {
            for bound in std::iter::once(&frame.start_bound).chain(&frame.end_bound) {
                if let WindowFrameBound::Preceding(Some(offset)) | WindowFrameBound::Following(Some(offset)) = bound
                    && is_negative(offset)
                {
                    let help = "write PRECEDING for rows before the current one and FOLLOWING for rows after it, with a positive interval";
                    self.refuse(
                        Code::NegativeInterval,
                        place.clone(),
                        format!("the frame bound `{bound}` is negative"),
                        help,
                    );
                }
            }
        }
    }

    fn is_table(&self, name: &str) -> bool {
        Table::from_name(name).is_some() || self.tables.contains(&name)
    }

    /// An alias that is the name of another table.
    fn alias(&mut self, factor: &TableFactor) {
        let (table, alias) = match factor {
            TableFactor::Table { name, alias: Some(alias), .. } => (name.to_string().to_lowercase(), alias),
            TableFactor::Derived { alias: Some(alias), .. } => (String::new(), alias),
            _ => return,
        };
        let name = alias.name.value.to_lowercase();
        if name != table && self.is_table(&name) {
            let span = alias.name.span;
            let place = self.text.span(span.start, span.end);
            self.refuse(Code::Shadow, place, format!("`{name}` is the name of a table"), "give it another alias");
        }
    }

    fn forbid(&mut self, place: Range<usize>, what: &str, help: &str) {
        self.refuse(Code::NodeForbidden, place, format!("{what} can't be streamed"), help);
    }
}

fn is_negative(expr: &Expr) -> bool {
    match expr {
        Expr::UnaryOp { op: UnaryOperator::Minus, .. } => true,
        Expr::Interval(interval) => {
            is_negative(&interval.value) || interval.value.to_string().trim_matches('\'').contains('-')
        }
        Expr::Nested(inner) => is_negative(inner),
        _ => false,
    }
}

impl Visitor for Checker<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if query.limit_clause.is_some() || query.fetch.is_some() {
            let place = self.text.find(&["limit", "offset", "fetch"]);
            let help = "leave it out: every row of the result is a finding; to find the first of several, join with NOT EXISTS of an earlier one";
            self.refuse(
                Code::Limit,
                place,
                "LIMIT, OFFSET and FETCH choose rows by an order that a stream doesn't have",
                help,
            );
        }
        if let Some(with) = &query.with {
            if with.recursive {
                let place = self.text.find(&["recursive"]);
                self.refuse(
                    Code::Recursive,
                    place,
                    "a recursive query isn't bounded",
                    "write the steps as joins, one per step",
                );
            }
            for cte in &with.cte_tables {
                let name = cte.alias.name.value.to_lowercase();
                if self.is_table(&name) {
                    let span = cte.alias.name.span;
                    let place = self.text.span(span.start, span.end);
                    self.refuse(
                        Code::Shadow,
                        place,
                        format!("`{name}` is the name of a table"),
                        "give the query in WITH another name",
                    );
                }
            }
        }
        if !query.pipe_operators.is_empty()
            || !query.locks.is_empty()
            || query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
        {
            let place = self.text.find(&["for", "settings", "format"]);
            self.forbid(place, "what follows the SELECT", "end the query after WHERE, GROUP BY and HAVING");
        }
        self.body(&query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let help = "use SELECT … FROM … WHERE … GROUP BY … HAVING";
        if matches!(select.distinct, Some(Distinct::On(_))) {
            let place = self.text.find(&["distinct"]);
            self.forbid(place, "DISTINCT ON", "write GROUP BY with min() or max(), or NOT EXISTS of an earlier row");
        }
        if select.top.is_some() {
            let place = self.text.find(&["top"]);
            self.refuse(
                Code::Limit,
                place,
                "TOP chooses rows by an order that a stream doesn't have",
                "leave it out: every row of the result is a finding",
            );
        }
        if select.into.is_some() {
            let place = self.text.find(&["into"]);
            self.refuse(Code::NotOneSelect, place, "a rule writes nothing", "leave INTO out");
        }
        if !select.lateral_views.is_empty() || select.prewhere.is_some() || !select.connect_by.is_empty() {
            let place = self.place(select);
            self.forbid(place, "LATERAL VIEW, PREWHERE and CONNECT BY", help);
        }
        if !select.cluster_by.is_empty() || !select.distribute_by.is_empty() || !select.sort_by.is_empty() {
            let place = self.place(select);
            self.forbid(place, "CLUSTER BY, DISTRIBUTE BY and SORT BY", help);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.alias(factor);
        let refused = match factor {
            TableFactor::Table { args: None, sample: None, version: None, json_path: None, .. }
            | TableFactor::Derived { lateral: false, sample: None, .. }
            | TableFactor::NestedJoin { .. } => return ControlFlow::Continue(()),
            TableFactor::Table { args: Some(_), name, .. } | TableFactor::Function { name, .. } => {
                format!("the table function `{name}` isn't allowed")
            }
            TableFactor::Derived { lateral: true, .. } => "LATERAL isn't allowed".to_owned(),
            _ => "this kind of table isn't allowed".to_owned(),
        };
        let place = self.place(factor);
        self.refuse(
            Code::TableFunction,
            place,
            refused,
            "read `runtime`, `identity`, `signals` or a reference table, and join them",
        );
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::InSubquery { expr: outer, negated: true, .. } => {
                let place = self.text.words(&["not", "in"]).unwrap_or_else(|| self.place(expr));
                let help = format!(
                    "have it stand in WHERE, alone or under AND and OR, with `{outer}` named by its table and one plain column selected; or write `NOT EXISTS (SELECT 1 FROM … WHERE … = {outer})`, and say what a NULL shall mean"
                );
                self.refuse(Code::NotIn, place, "NOT IN with a subquery can't be rewritten with its NULLs here", help);
            }
            Expr::InList { list, .. } if list.len() > MAX_LIST => {
                let place = self.place(expr);
                let message = format!("the IN list has {} values; it may have {MAX_LIST}", list.len());
                self.refuse(Code::LargeList, place, message, "put them into a reference table and join it");
            }
            Expr::Function(function) => {
                let place = self.place(&function.name);
                self.function(function, place);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// What the parser or the planner refused, with the place that it names.
pub(crate) fn planning_error(text: &SqlText, error: &DataFusionError) -> LintFinding {
    let message = error.strip_backtrace();
    let mut message = message.as_str();
    for prefix in [
        "Error during planning: ",
        "Schema error: ",
        "SQL error: ",
        "Optimizer rule ",
        "type_coercion\ncaused by\n",
        "Diagnostic: ",
    ] {
        message = message.strip_prefix(prefix).unwrap_or(message);
    }
    let message = message.split_once(" No function matches").map_or(message, |(cause, _)| cause);
    let message = message.strip_prefix("ParserError(\"").map_or(message, |rest| rest.trim_end_matches("\")"));
    let diagnosed = error.diagnostic().and_then(|diagnostic| diagnostic.span);
    let place = diagnosed
        .map(|span| text.span(location(span.start.line, span.start.column), location(span.end.line, span.end.column)))
        .or_else(|| {
            named_place(message).map(|(line, column)| text.span(location(line, column), location(line, column)))
        });
    let lower = message.to_lowercase();
    if lower.contains("recursion") {
        let help = "write deep expressions as several, in queries of WITH or in files of their own";
        return text.finding(Code::TooComplex, text.start(), "the query nests too deep to be parsed", help);
    }
    let (code, help) = if lower.contains("no field named") {
        (Code::UnknownName, "see the columns of `runtime`, `identity` and `signals` in the reference")
    } else if lower.contains("a call to 'hop' function") {
        let help = "write `hop(event_time, INTERVAL '10 minutes', INTERVAL '5 minutes')`";
        return text.finding(
            Code::SlidingBuckets,
            text.find(&["hop"]),
            "`hop` takes a time and two constant intervals",
            help,
        );
    } else if lower.contains("cannot infer common argument type") && text.words(&["distinct", "from"]).is_some() {
        let place = text.words(&["distinct", "from"]).unwrap_or_else(|| text.start());
        let help = "put it in parentheses, such as `(a IS DISTINCT FROM b) AND …`: without them the AND belongs to its right side";
        return text.finding(Code::Planning, place, message.replace('\n', " "), help);
    } else if lower.contains("table '") && lower.contains("not found") {
        (Code::UnknownName, "read `runtime`, `identity`, `signals` or a reference table")
    } else if lower.contains("invalid function") {
        (Code::UnknownFunction, "use one of the listed functions")
    } else if matches!(error.find_root(), DataFusionError::SQL(_, _)) {
        (Code::Syntax, "correct the SQL at this place")
    } else {
        (Code::Planning, "write it in a form that can be planned")
    };
    let message = message.replace("datafusion.public.", "");
    let quoted = message.split(['\'', '`', '"']).nth(1).unwrap_or_default();
    let place = place
        .or_else(|| text.word(quoted.rsplit('.').next().unwrap_or_default()))
        .or_else(|| text.literal(quoted))
        .unwrap_or_else(|| text.start());
    text.finding(code, place, message.replace('\n', " "), help)
}

fn location(line: u64, column: u64) -> datafusion::sql::sqlparser::tokenizer::Location {
    datafusion::sql::sqlparser::tokenizer::Location { line, column }
}

/// The place in `… at Line: 3, Column: 14`.
fn named_place(message: &str) -> Option<(u64, u64)> {
    let (_, rest) = message.rsplit_once("Line: ")?;
    let (line, rest) = rest.split_once(", Column: ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((line.parse().ok()?, digits.parse().ok()?))
}
