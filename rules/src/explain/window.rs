//! Window functions, computed over concrete rows by the same engine that runs the rule.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{concat_batches, sort_to_indices, take};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::physical_plan::collect;
use watershed_schemas::Table;

use super::condition::{Input, input_of, schema_of};
use crate::evaluate::on_plain_thread;

/// The column that tells rows apart while they are sorted and partitioned.
const ROW: &str = "row";

/// What window functions add to each row.
#[derive(Clone, Debug)]
pub struct Windows {
    /// What they read.
    pub inputs: Vec<Input>,
    /// Over columns `i<position>`.
    functions: Vec<Expr>,
    schema: SchemaRef,
    state: Box<SessionState>,
}

impl Windows {
    /// `functions` read columns `s<scan>.<name>` and computed values `c.<position>`.
    pub(crate) fn new(
        functions: Vec<Expr>,
        tables: &[Table],
        computed: &[FieldRef],
        state: &SessionState,
    ) -> Option<Self> {
        let read: Option<BTreeSet<Input>> =
            functions.iter().flat_map(Expr::column_refs).map(|column| input_of(column, tables)).collect();
        let inputs: Vec<Input> = read?.into_iter().collect();
        let place = |column: &Column| {
            let input = input_of(column, tables)?;
            inputs.iter().position(|known| *known == input)
        };
        let functions: Result<Vec<Expr>> = functions
            .into_iter()
            .map(|function| {
                let placed = function.transform(|part| {
                    Ok(match part {
                        Expr::Column(column) => {
                            let name = place(&column).map(|at| Column::new_unqualified(format!("i{at}")));
                            Transformed::yes(Expr::Column(name.unwrap_or(column)))
                        }
                        Expr::Alias(alias) => Transformed::yes(*alias.expr),
                        other => Transformed::no(other),
                    })
                });
                Ok(placed?.data)
            })
            .collect();
        let read = schema_of(&inputs, &|scan| tables[scan], computed);
        let mut fields: Vec<FieldRef> = read
            .fields()
            .iter()
            .enumerate()
            .map(|(at, field)| Arc::new(field.as_ref().clone().with_name(format!("i{at}"))))
            .collect();
        fields.push(Arc::new(Field::new(ROW, DataType::UInt32, false)));
        let schema = Arc::new(Schema::new(fields));
        Some(Windows { inputs, functions: functions.ok()?, schema, state: Box::new(state.clone()) })
    }

    /// For each function its value for each row; the rows' values of [`Windows::inputs`] are these columns, in their order.
    ///
    /// # Errors
    /// When a function fails on these rows.
    pub fn over(&self, mut columns: Vec<ArrayRef>, rows: usize) -> Result<Vec<ArrayRef>> {
        columns.push(Arc::new((0..u32::try_from(rows).unwrap_or(u32::MAX)).collect::<UInt32Array>()));
        let row = columns.len() - 1;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        let table = Arc::new(MemTable::try_new(Arc::clone(&self.schema), vec![vec![batch]])?);
        let plan = LogicalPlanBuilder::scan("rows", provider_as_source(table), None)?
            .window(self.functions.clone())?
            .build()?;
        let batches = on_plain_thread(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            runtime.block_on(async {
                let physical = self.state.create_physical_plan(&plan).await?;
                collect(physical, self.state.task_ctx()).await
            })
        })?;
        let Some(first) = batches.first() else { return Ok(Vec::new()) };
        let all = concat_batches(&first.schema(), &batches)?;
        let order = sort_to_indices(all.column(row), None, None)?;
        Ok(all.columns()[row + 1..]
            .iter()
            .map(|values| take(values, &order, None))
            .collect::<std::result::Result<_, _>>()?)
    }
}
