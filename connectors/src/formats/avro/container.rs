//! Avro object container files.

use apache_avro::Reader;
use bytes::Bytes;
use watershed_schemas::{ColumnSet, EventBatch, EventBatchBuilder, Plane, Timestamp};

use super::{append, schemas};
use crate::formats::{Context, Limits};
use crate::raw::RawRecord;

/// The rows of one plane in a whole container file. `received` is the `ingest_time` of rows that name none.
pub fn decode_container(bytes: Bytes, plane: Plane, tenant: &str, received: Timestamp, limits: &Limits) -> EventBatch {
    let record = RawRecord { offset: 0, timestamp: None, key: None, headers: Vec::new(), payload: bytes };
    let context = Context { plane, tenant, ingest_time: received, limits, columns: ColumnSet::ALL };
    let mut out = EventBatchBuilder::new(plane);
    if let Err(reason) = decode(&record, &context, &mut out) {
        out.reject(None, reason);
    }
    out.finish()
}

/// Appends the rows of a record that is a container file; fails where the file itself is broken, from there on.
pub(super) fn decode(record: &RawRecord, context: &Context<'_>, out: &mut EventBatchBuilder) -> Result<(), String> {
    let payload: &[u8] = &record.payload;
    let reader = Reader::new(payload).map_err(|_| "has no valid header of an Avro container file".to_owned())?;
    schemas::check(reader.writer_schema())?;
    for (part, value) in reader.enumerate() {
        if part >= context.limits.rows_per_record {
            return Err(format!("holds more events than the limit `rows_per_record` of {part}"));
        }
        let value = value.map_err(|_| format!("is a broken Avro container file from datum {part} on"))?;
        append(value, None, Some(part), context, out);
    }
    Ok(())
}
