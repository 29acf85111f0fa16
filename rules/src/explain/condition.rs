//! A condition of a rule, to be tried on concrete rows.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, TableReference};
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use watershed_schemas::Table;

use crate::analyse::compares;

/// Where a value that a condition reads comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Input {
    /// A column of a scan's row: the position of the scan in the rule, that of the column in the canonical table.
    Column(usize, usize),
    /// A value that the rule computes: its position in [`super::Anatomy::computed`].
    Computed(usize),
}

/// How to try a condition.
#[derive(Clone, Debug)]
struct Trial {
    schema: SchemaRef,
    expr: Arc<dyn PhysicalExpr>,
    /// Both sides, where it is a comparison.
    sides: Option<[Arc<dyn PhysicalExpr>; 2]>,
}

/// One condition that rows must meet, alone or together.
#[derive(Clone, Debug)]
pub struct Condition {
    /// As SQL.
    pub text: String,
    /// What it reads, in order.
    pub inputs: Vec<Input>,
    /// The operator, where it compares two values.
    pub operator: Option<Operator>,
    /// What each side of the comparison reads.
    pub sides: Option<[Vec<Input>; 2]>,
    trial: Option<Trial>,
}

/// A condition tried on some rows.
#[derive(Clone, Debug)]
pub struct Tried {
    /// For each row whether it holds; NULL is not true.
    pub holds: BooleanArray,
    /// For each row what is compared, where it is a comparison.
    pub sides: Option<[ArrayRef; 2]>,
}

impl Condition {
    /// A condition that is understood only as text.
    pub(crate) fn opaque(text: String) -> Self {
        Condition { text, inputs: Vec::new(), operator: None, sides: None, trial: None }
    }

    /// A condition over a scan's full row.
    pub(crate) fn of_scan(text: String, scan: usize, table: Table, expr: Arc<dyn PhysicalExpr>) -> Self {
        let read = datafusion::physical_expr::utils::collect_columns(&expr);
        let columns: BTreeSet<usize> = read.iter().map(|column| column.index()).collect();
        let inputs: Vec<Input> = columns.into_iter().map(|column| Input::Column(scan, column)).collect();
        let schema = schema_of(&inputs, &|_| table, &[]);
        let narrow = datafusion::physical_expr::utils::reassign_expr_columns(expr, &schema);
        let trial = narrow.ok().map(|expr| Trial { schema, expr, sides: None });
        Condition { text, inputs, operator: None, sides: None, trial }
    }

    /// `expr` reads columns `s<scan>.<name>` and computed values `c.<position>`.
    pub(crate) fn new(
        text: String,
        expr: Option<Expr>,
        tables: &[Table],
        computed: &[FieldRef],
        state: &SessionState,
    ) -> Self {
        let Some(expr) = expr else { return Condition::opaque(text) };
        let Some(inputs) = reads(&expr, tables) else { return Condition::opaque(text) };
        let comparison = match &expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => Some((left, *op, right)),
            _ => None,
        };
        let sides = comparison.and_then(|(left, _, right)| Some([reads(left, tables)?, reads(right, tables)?]));
        let trial = trial(&expr, &inputs, tables, computed, state).ok();
        Condition { text, inputs, operator: comparison.map(|(_, op, _)| op), sides, trial }
    }

    /// Whether it can be tried on concrete rows at all.
    pub fn can_be_tried(&self) -> bool {
        self.trial.is_some()
    }

    /// The scans whose rows it reads.
    pub fn scans(&self) -> BTreeSet<usize> {
        self.inputs
            .iter()
            .filter_map(|input| match input {
                Input::Column(scan, _) => Some(*scan),
                Input::Computed(_) => None,
            })
            .collect()
    }

    /// Tries it on rows whose values of [`Condition::inputs`] are these columns, in their order.
    ///
    /// # Errors
    /// When it can't be tried, or fails on a value.
    pub fn on(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<Tried> {
        let Some(trial) = &self.trial else {
            return datafusion::common::plan_err!("`{}` can't be tried on single rows", self.text);
        };
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&trial.schema), columns, &options)?;
        let value = |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(&batch)?.into_array(rows);
        let truth = value(&trial.expr)?;
        let Some(truth) = truth.as_boolean_opt() else {
            return datafusion::common::plan_err!("`{}` is not a condition", self.text);
        };
        let holds = truth.iter().map(|holds| Some(holds.unwrap_or(false))).collect();
        let sides = trial
            .sides
            .as_ref()
            .map(|[left, right]| Ok::<_, datafusion::common::DataFusionError>([value(left)?, value(right)?]));
        Ok(Tried { holds, sides: sides.transpose()? })
    }
}

/// A value that can be read off single rows.
#[derive(Clone, Debug)]
pub struct Value {
    /// As SQL.
    pub text: String,
    /// What it reads.
    pub inputs: Vec<Input>,
    schema: SchemaRef,
    expr: Arc<dyn PhysicalExpr>,
}

impl Value {
    pub(crate) fn new(
        text: String,
        expr: &Expr,
        tables: &[Table],
        computed: &[FieldRef],
        state: &SessionState,
    ) -> Option<Self> {
        let inputs = reads(expr, tables)?;
        let named = df_schema(&inputs, tables, computed).ok()?;
        let expr = state.create_physical_expr(expr.clone(), &named).ok()?;
        Some(Value { text, schema: schema_of(&inputs, &|scan| tables[scan], computed), inputs, expr })
    }

    /// Its values over rows whose values of [`Value::inputs`] are these columns, in their order.
    ///
    /// # Errors
    /// When it fails on a value.
    pub fn of(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<ArrayRef> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        self.expr.evaluate(&batch)?.into_array(rows)
    }
}

/// A value that a rule computes from several rows.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// As SQL.
    pub text: String,
    /// What its argument reads.
    pub inputs: Vec<Input>,
    schema: SchemaRef,
    function: Option<Arc<AggregateFunctionExpr>>,
}

impl Aggregate {
    pub(crate) fn new(
        text: String,
        expr: Option<&AggregateFunction>,
        tables: &[Table],
        computed: &[FieldRef],
        state: &SessionState,
    ) -> Self {
        let unknown = |text| Aggregate { text, inputs: Vec::new(), schema: Arc::new(Schema::empty()), function: None };
        let Some(AggregateFunction { func, params }) = expr.filter(|expr| expr.params.filter.is_none()) else {
            return unknown(text);
        };
        let read: Option<Vec<Vec<Input>>> = params.args.iter().map(|argument| reads(argument, tables)).collect();
        let Some(read) = read else { return unknown(text) };
        let read: Vec<Input> = read.into_iter().flatten().collect::<BTreeSet<_>>().into_iter().collect();
        let schema = schema_of(&read, &|scan| tables[scan], computed);
        let function = df_schema(&read, tables, computed).and_then(|named| {
            let arguments: Result<Vec<_>> =
                params.args.iter().map(|argument| state.create_physical_expr(argument.clone(), &named)).collect();
            AggregateExprBuilder::new(Arc::clone(func), arguments?)
                .schema(Arc::clone(&schema))
                .alias(text.clone())
                .with_distinct(params.distinct)
                .build()
        });
        Aggregate { text, inputs: read, schema, function: function.ok().map(Arc::new) }
    }

    /// Its value over rows whose values of [`Aggregate::inputs`] are these columns, in their order; absent where it can't
    /// be computed apart from the plan.
    ///
    /// # Errors
    /// When it fails on a value.
    pub fn over(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<Option<ScalarValue>> {
        let Some(function) = &self.function else { return Ok(None) };
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        let arguments: Result<Vec<ArrayRef>> =
            function.expressions().iter().map(|argument| argument.evaluate(&batch)?.into_array(rows)).collect();
        let mut accumulator = function.create_accumulator()?;
        accumulator.update_batch(&arguments?)?;
        accumulator.evaluate().map(Some)
    }
}

/// The column that stands for a computed value in expressions.
pub(crate) fn computed_column(at: usize) -> Column {
    Column::new(Some("c"), at.to_string())
}

/// The column that stands for a scan's column in expressions.
pub(crate) fn scan_column(scan: usize, name: &str) -> Column {
    Column::new(Some(format!("s{scan}")), name)
}

/// What a column of an expression stands for.
pub(crate) fn input_of(column: &Column, tables: &[Table]) -> Option<Input> {
    let relation = column.relation.as_ref()?.table();
    if relation == "c" {
        return column.name.parse().ok().map(Input::Computed);
    }
    let scan: usize = relation.strip_prefix('s')?.parse().ok()?;
    Some(Input::Column(scan, tables.get(scan)?.column(&column.name)?))
}

fn reads(expr: &Expr, tables: &[Table]) -> Option<Vec<Input>> {
    let read: Option<BTreeSet<Input>> = expr.column_refs().into_iter().map(|column| input_of(column, tables)).collect();
    Some(read?.into_iter().collect())
}

fn fields<'a>(
    inputs: &'a [Input],
    table: &'a dyn Fn(usize) -> Table,
    computed: &'a [FieldRef],
) -> impl Iterator<Item = (Option<TableReference>, FieldRef)> + 'a {
    inputs.iter().map(move |input| match *input {
        Input::Column(scan, column) => {
            let table = table(scan).schema();
            // A row of a side that may be absent has no values at all.
            let field = table.field(column).clone().with_nullable(true);
            (Some(TableReference::bare(format!("s{scan}"))), Arc::new(field))
        }
        Input::Computed(at) => {
            let ty = computed.get(at).map_or(DataType::Null, |field| field.data_type().clone());
            (Some(TableReference::bare("c")), Arc::new(Field::new(at.to_string(), ty, true)))
        }
    })
}

pub(crate) fn schema_of(inputs: &[Input], table: &dyn Fn(usize) -> Table, computed: &[FieldRef]) -> SchemaRef {
    Arc::new(Schema::new(fields(inputs, table, computed).map(|(_, field)| field).collect::<Vec<_>>()))
}

fn df_schema(inputs: &[Input], tables: &[Table], computed: &[FieldRef]) -> Result<DFSchema> {
    DFSchema::new_with_metadata(fields(inputs, &|scan| tables[scan], computed).collect(), HashMap::new())
}

fn trial(
    expr: &Expr,
    inputs: &[Input],
    tables: &[Table],
    computed: &[FieldRef],
    state: &SessionState,
) -> Result<Trial> {
    let named = df_schema(inputs, tables, computed)?;
    let physical = |expr: &Expr| state.create_physical_expr(expr.clone(), &named);
    let sides = match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => Some([physical(left)?, physical(right)?]),
        _ => None,
    };
    Ok(Trial { schema: schema_of(inputs, &|scan| tables[scan], computed), expr: physical(expr)?, sides })
}
