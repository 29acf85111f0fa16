//! A spilled plane as a table that plain DataFusion reads from the disk, batch by batch.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::datasource::TableType;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use watershed_schemas::Plane;

/// One plane's table. Columns that no rule reads are named in its schema but not in the file.
#[derive(Debug)]
pub(super) struct SpilledTable {
    pub(super) plane: Plane,
    pub(super) path: PathBuf,
    /// The canonical positions of the file's columns, ascending.
    pub(super) columns: Vec<usize>,
}

#[async_trait::async_trait]
impl TableProvider for SpilledTable {
    fn schema(&self) -> SchemaRef {
        self.plane.schema()
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
        let wanted: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..self.plane.columns().len()).collect());
        let positions = wanted
            .iter()
            .map(|column| {
                self.columns.binary_search(column).map_err(|_| {
                    exec_datafusion_err!(
                        "the batch reads `{}.{}`, which the stream does not: it was not kept",
                        self.plane.table(),
                        self.plane.columns()[*column].name
                    )
                })
            })
            .collect::<Result<Vec<usize>>>()?;
        let schema = Arc::new(self.plane.schema().project(&wanted)?);
        let rows = SpilledRows { schema: Arc::clone(&schema), path: self.path.clone(), positions };
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(rows)], None, [], false, None)?))
    }
}

/// Some columns of the file.
#[derive(Debug)]
struct SpilledRows {
    schema: SchemaRef,
    path: PathBuf,
    positions: Vec<usize>,
}

impl PartitionStream for SpilledRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let open = || -> Result<StreamReader<BufReader<File>>> {
            let file = BufReader::with_capacity(1 << 18, File::open(&self.path)?);
            // Where nothing but the number of rows is wanted, some column has to carry it.
            let read = if self.positions.is_empty() { vec![0] } else { self.positions.clone() };
            Ok(StreamReader::try_new(file, Some(read))?)
        };
        let only_count = self.positions.is_empty();
        let batches: Box<dyn Iterator<Item = Result<_>> + Send> = match open() {
            Ok(reader) => Box::new(reader.map(move |batch| {
                let batch = batch?;
                Ok(if only_count { batch.project(&[])? } else { batch })
            })),
            Err(error) => Box::new(std::iter::once(Err(error))),
        };
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), futures::stream::iter(batches)))
    }
}
