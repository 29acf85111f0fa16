//! From a plan to its parts: every column is followed down to the scans that it comes from.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, JoinType};
use datafusion::execution::SessionState;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate as Grouping, BinaryExpr, Expr, Join, LogicalPlan, Operator, Unnest, Window};
use watershed_schemas::Table;

use super::Computed;
use super::condition::{Aggregate, Condition, Input, Value, computed_column, input_of, scan_column};
use super::part::{Needs, Part};
use super::window::Windows;
use crate::analyse::words;
use crate::slot::ScanRef;

/// A part, and for each of its output columns the expression over scans that it stands for.
struct Node {
    part: Part,
    columns: Vec<Option<Expr>>,
}

/// What is gathered on the way.
pub(super) struct Walk<'a> {
    pub(super) state: &'a SessionState,
    pub(super) tables: &'a [Table],
    /// What the author calls each scan.
    pub(super) labels: &'a [String],
    /// The filters of each scan, as text: the plan repeats them above it.
    pub(super) filters: &'a [Vec<Condition>],
    pub(super) computed: Vec<Computed>,
    pub(super) types: Vec<FieldRef>,
}

impl Walk<'_> {
    pub(super) fn part(&mut self, plan: &LogicalPlan) -> Part {
        self.visit(plan).part
    }

    fn visit(&mut self, plan: &LogicalPlan) -> Node {
        match plan {
            LogicalPlan::TableScan(scan) => {
                let fields = scan.projected_schema.fields();
                let Some(found) = ScanRef::of(scan) else {
                    let part = Part::Reference(scan.table_name.to_string());
                    return Node { part, columns: vec![None; fields.len()] };
                };
                let column = |field: &FieldRef| Some(Expr::Column(scan_column(found.scan, field.name())));
                Node { part: Part::Scan(found.scan), columns: fields.iter().map(column).collect() }
            }
            LogicalPlan::SubqueryAlias(named) => self.visit(&named.input),
            LogicalPlan::Sort(sort) => self.visit(&sort.input),
            LogicalPlan::Filter(filter) => {
                let node = self.visit(&filter.input);
                let conditions = split_conjunction(&filter.predicate)
                    .into_iter()
                    .map(|condition| self.condition(condition, filter.input.schema(), &node.columns))
                    .filter(|condition| !self.is_filter(condition))
                    .collect::<Vec<_>>();
                if conditions.is_empty() {
                    return node;
                }
                Node { part: Part::Where { input: Box::new(node.part), conditions }, columns: node.columns }
            }
            LogicalPlan::Projection(projection) => {
                let node = self.visit(&projection.input);
                let schema = projection.input.schema();
                let columns = projection.expr.iter().map(|expr| resolved(expr, schema, &node.columns)).collect();
                Node { part: node.part, columns }
            }
            LogicalPlan::Join(join) => self.joined(join),
            LogicalPlan::Aggregate(grouping) => self.grouped(grouping),
            LogicalPlan::Window(window) => self.windowed(window),
            LogicalPlan::Unnest(unnest) => self.unnested(unnest),
            LogicalPlan::Union(union) => {
                let parts = union.inputs.iter().map(|input| self.visit(input).part).collect();
                Node { part: Part::AnyOf(parts), columns: vec![None; union.schema.fields().len()] }
            }
            other => self.other(other),
        }
    }

    /// A node that is not looked into, with its inputs below it.
    fn other(&mut self, plan: &LogicalPlan) -> Node {
        let columns = plan.schema().fields().len();
        let parts: Vec<Part> = plan.inputs().into_iter().map(|input| self.visit(input).part).collect();
        let what = plan.display().to_string();
        let part = match parts.len() {
            0 => Part::Reference(what),
            _ => Part::Opaque { input: Box::new(one(parts)), what },
        };
        Node { part, columns: vec![None; columns] }
    }

    fn joined(&mut self, join: &Join) -> Node {
        let (left, right) = (self.visit(&join.left), self.visit(&join.right));
        let both: Vec<Option<Expr>> = left.columns.iter().chain(&right.columns).cloned().collect();
        let mut conditions: Vec<Condition> = Vec::new();
        if let Ok(schema) = join.left.schema().join(join.right.schema()) {
            let equal = |(a, b): &(Expr, Expr)| {
                Expr::BinaryExpr(BinaryExpr::new(Box::new(a.clone()), Operator::Eq, Box::new(b.clone())))
            };
            let on: Vec<Expr> = join.on.iter().map(equal).collect();
            for condition in on.iter().chain(join.filter.iter().flat_map(split_conjunction)) {
                conditions.push(self.condition(condition, &schema, &both));
            }
        }
        let turned =
            matches!(join.join_type, JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark);
        let mark = matches!(join.join_type, JoinType::LeftMark | JoinType::RightMark).then(|| {
            let field = Field::new("mark", DataType::Boolean, true);
            let other = if turned { &left.part } else { &right.part };
            let scans: Vec<&str> = other.scans().into_iter().map(|scan| self.labels[scan].as_str()).collect();
            self.compute(Computed::OfRow { text: format!("EXISTS ({})", scans.join(", ")) }, field)
        });
        let needs = match (join.join_type, mark) {
            (_, Some(at)) => Needs::Known(at),
            (JoinType::Inner, _) => Needs::Both,
            (JoinType::LeftSemi | JoinType::RightSemi, _) => Needs::Presence,
            (JoinType::LeftAnti | JoinType::RightAnti, _) => Needs::Absence,
            _ => Needs::Perhaps,
        };
        let columns = match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti => left.columns,
            JoinType::RightSemi | JoinType::RightAnti => right.columns,
            JoinType::LeftMark => with(left.columns, mark),
            JoinType::RightMark => with(right.columns, mark),
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => both,
        };
        let (left, right) = if turned { (right.part, left.part) } else { (left.part, right.part) };
        let part = Part::Join { left: Box::new(left), right: Box::new(right), conditions, needs };
        Node { part, columns }
    }

    fn grouped(&mut self, grouping: &Grouping) -> Node {
        let node = self.visit(&grouping.input);
        let schema = grouping.input.schema();
        let mut columns: Vec<Option<Expr>> =
            grouping.group_expr.iter().map(|expr| resolved(expr, schema, &node.columns)).collect();
        let by = grouping.group_expr.iter().zip(&columns).map(|(expr, column)| {
            let text = self.text(expr, schema, &node.columns);
            Value::new(text, column.as_ref()?, self.tables, &self.types, self.state)
        });
        let by = by.collect();
        let mut aggregates = Vec::new();
        for (at, expr) in grouping.aggr_expr.iter().enumerate() {
            let text = self.text(expr, schema, &node.columns);
            let function = match resolved(expr, schema, &node.columns) {
                Some(Expr::AggregateFunction(function)) => Some(function),
                _ => None,
            };
            let value = Aggregate::new(text, function.as_ref(), self.tables, &self.types, self.state);
            let field = grouping.schema.field(grouping.group_expr.len() + at).as_ref().clone();
            let at = self.compute(Computed::Aggregate(value), field);
            columns.push(Some(Expr::Column(computed_column(at))));
            aggregates.push(at);
        }
        let part = Part::Groups { input: Box::new(node.part), by, aggregates };
        Node { part, columns }
    }

    fn windowed(&mut self, window: &Window) -> Node {
        let node = self.visit(&window.input);
        let schema = window.input.schema();
        let functions: Option<Vec<Expr>> =
            window.window_expr.iter().map(|expr| resolved(expr, schema, &node.columns)).collect();
        let texts = window.window_expr.iter().map(|expr| self.text(expr, schema, &node.columns)).collect::<Vec<_>>();
        let windows = functions.and_then(|functions| Windows::new(functions, self.tables, &self.types, self.state));
        let mut columns = node.columns;
        let input = Box::new(node.part);
        let Some(windows) = windows else {
            columns.resize(window.schema.fields().len(), None);
            return Node { part: Part::Opaque { input, what: texts.join(", ") }, columns };
        };
        let mut values = Vec::new();
        for text in texts {
            let field = window.schema.field(columns.len()).as_ref().clone();
            let at = self.compute(Computed::OfRow { text }, field);
            columns.push(Some(Expr::Column(computed_column(at))));
            values.push(at);
        }
        Node { part: Part::Windowed { input, windows, values }, columns }
    }

    /// Rows with a list become one row for each of its elements. Several lists at once are not looked into.
    fn unnested(&mut self, unnest: &Unnest) -> Node {
        let node = self.visit(&unnest.input);
        let schema = unnest.input.schema();
        let list = match unnest.list_type_columns.as_slice() {
            [(at, _)] if unnest.struct_type_columns.is_empty() => Some(*at),
            _ => None,
        };
        let value = list.and_then(|at| {
            let list = node.columns.get(at)?.as_ref()?;
            let text = words(list, &|column| self.name(column));
            Some((at, Value::new(text, list, self.tables, &self.types, self.state)?))
        });
        let stands_for = |at: usize| unnest.dependency_indices.get(at).copied();
        let outputs = 0..unnest.schema.fields().len();
        let Some((list_at, list)) = value else {
            let columns = outputs.map(|at| {
                let source = stands_for(at).filter(|source| !is_list(schema, *source))?;
                node.columns.get(source).cloned().flatten()
            });
            let columns = columns.collect();
            let part = Part::Opaque {
                input: Box::new(node.part),
                what: LogicalPlan::Unnest(unnest.clone()).display().to_string(),
            };
            return Node { part, columns };
        };
        let field = outputs.clone().find(|at| stands_for(*at) == Some(list_at)).map(|at| unnest.schema.field(at));
        let field = field.map_or_else(|| Field::new("element", DataType::Null, true), |field| field.as_ref().clone());
        let element = self.compute(Computed::OfRow { text: format!("an element of {}", list.text) }, field);
        let columns = outputs.map(|at| match stands_for(at)? {
            source if source == list_at => Some(Expr::Column(computed_column(element))),
            source => node.columns.get(source).cloned().flatten(),
        });
        let columns = columns.collect();
        Node { part: Part::Each { input: Box::new(node.part), list, element }, columns }
    }

    fn compute(&mut self, value: Computed, field: Field) -> usize {
        self.computed.push(value);
        self.types.push(Arc::new(field));
        self.computed.len() - 1
    }

    fn condition(&self, expr: &Expr, schema: &DFSchema, columns: &[Option<Expr>]) -> Condition {
        let text = self.text(expr, schema, columns);
        Condition::new(text, resolved(expr, schema, columns), self.tables, &self.types, self.state)
    }

    /// The expression as its author would know it: with their names for scans, and computed values spelled out.
    fn text(&self, expr: &Expr, schema: &DFSchema, columns: &[Option<Expr>]) -> String {
        match resolved(expr, schema, columns) {
            Some(expr) => words(&expr, &|column| self.name(column)),
            None => words(expr, &|column| column.name.clone()),
        }
    }

    fn name(&self, column: &Column) -> String {
        match input_of(column, self.tables) {
            Some(Input::Column(scan, _)) => format!("{}.{}", self.labels[scan], column.name),
            Some(Input::Computed(at)) => self.computed[at].text().to_owned(),
            None => column.name.clone(),
        }
    }

    /// Whether this is one of the filters of a scan, which the plan says twice.
    fn is_filter(&self, condition: &Condition) -> bool {
        let scans = condition.scans();
        let Some(&scan) = scans.first().filter(|_| scans.len() == 1) else { return false };
        self.filters[scan].iter().any(|filter| filter.text == condition.text)
    }
}

fn with(mut columns: Vec<Option<Expr>>, mark: Option<usize>) -> Vec<Option<Expr>> {
    columns.push(mark.map(|at| Expr::Column(computed_column(at))));
    columns
}

fn one(mut parts: Vec<Part>) -> Part {
    if parts.len() == 1 { parts.remove(0) } else { Part::AnyOf(parts) }
}

fn is_list(schema: &DFSchema, at: usize) -> bool {
    schema.fields().get(at).is_some_and(|field| field.data_type().is_nested())
}

/// The expression over scans; absent where it reads something that single rows don't show.
fn resolved(expr: &Expr, schema: &DFSchema, columns: &[Option<Expr>]) -> Option<Expr> {
    let mut known = true;
    let replaced = expr.clone().transform(|part| {
        Ok(match part {
            Expr::Column(column) => {
                let stands_for =
                    schema.maybe_index_of_column(&column).and_then(|at| columns.get(at).cloned().flatten());
                match stands_for {
                    // What it stands for names scans: it must not be resolved again.
                    Some(expr) => Transformed::new(expr, true, datafusion::common::tree_node::TreeNodeRecursion::Jump),
                    None => {
                        known = false;
                        Transformed::no(Expr::Column(column))
                    }
                }
            }
            Expr::Alias(alias) => Transformed::yes(*alias.expr),
            other @ (Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_)) => {
                known = false;
                Transformed::no(other)
            }
            other => Transformed::no(other),
        })
    });
    replaced.ok().filter(|_| known).map(|replaced| replaced.data)
}
