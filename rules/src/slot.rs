//! A leaf of a cached plan that yields whatever rows lie in its slot when the plan is executed.

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::{TableType, source_as_provider};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableScan};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use watershed_schemas::Table;

/// The rows of one scan of one rule. Cloning shares the slot.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    schema: SchemaRef,
    rows: Arc<Mutex<Option<RecordBatch>>>,
}

impl Slot {
    /// An empty slot for rows of these columns.
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Slot { schema, rows: Arc::default() }
    }

    /// The columns that rows put in must have.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Replaces the rows.
    pub(crate) fn set(&self, rows: Option<RecordBatch>) {
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = rows;
    }
}

impl PartitionStream for Slot {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let rows = futures::stream::iter(rows.map(Ok));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}

/// Stands in a plan for one scan of a canonical table: the planner sees the whole table, the plan reads the slot.
#[derive(Debug)]
pub(crate) struct SlotTable {
    scan: usize,
    table: Table,
    columns: Vec<usize>,
    slot: Slot,
}

impl SlotTable {
    /// `scan` is the scan's position in the rule, `columns` the canonical positions of the slot's columns, ascending.
    pub(crate) fn new(scan: usize, table: Table, columns: Vec<usize>, slot: Slot) -> Self {
        SlotTable { scan, table, columns, slot }
    }
}

/// A scan of a canonical table inside a plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScanRef {
    /// Its position among the rule's scans.
    pub(crate) scan: usize,
    /// Which table it reads.
    pub(crate) table: Table,
}

impl ScanRef {
    /// The scan that this leaf of a plan stands for; `None` for a reference table.
    pub(crate) fn of(scan: &TableScan) -> Option<ScanRef> {
        let provider = source_as_provider(&scan.source).ok()?;
        provider.downcast_ref::<SlotTable>().map(|table| ScanRef { scan: table.scan, table: table.table })
    }
}

#[async_trait::async_trait]
impl TableProvider for SlotTable {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..self.table.columns().len()).collect());
        let positions = wanted
            .iter()
            .map(|column| {
                self.columns.binary_search(column).map_err(|_| {
                    datafusion::common::internal_datafusion_err!(
                        "column {column} of `{}` is not in its slot",
                        self.table.name()
                    )
                })
            })
            .collect::<Result<Vec<usize>>>()?;
        let partitions: Vec<Arc<dyn PartitionStream>> = vec![Arc::new(self.slot.clone())];
        let leaf =
            StreamingTableExec::try_new(Arc::clone(self.slot.schema()), partitions, Some(&positions), [], false, None)?;
        Ok(Arc::new(leaf))
    }
}
