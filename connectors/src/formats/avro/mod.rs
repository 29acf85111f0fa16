//! Canonical Avro: records whose fields are named like the columns of the plane's table.
//!
//! Read in two wrappings: Confluent framing (a zero byte, the schema's id in four bytes, the datum), with schemas from
//! a Confluent-compatible registry, and object container files, whole or as one record. Writer and table are matched
//! by field names: a column that the writer has no field for has no value, a field that the table has no column for
//! goes to `attributes`, and values are converted as the format `watershed` converts them.

mod client;
mod container;
mod schemas;
mod value;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use watershed_schemas::{ColumnSet, EventBatchBuilder, Plane};

pub use client::{SchemaRegistry, SchemaRegistryError, SchemaRegistrySettings};
pub use container::decode_container;
pub use schemas::{SchemaFault, SchemaSource};

use self::schemas::SchemaCache;
use super::canonical::{ALL_COLUMNS, Defaults, Draft};
use super::{Context, Format, Recognition};
use crate::raw::RawRecord;

const DEFAULTS: Defaults = Defaults { source: "avro", kind: "other" };

/// The first bytes of an object container file.
const CONTAINER: &[u8] = b"Obj\x01";

/// A zero byte and four of the schema's id stand before a framed datum.
const FRAME_BYTES: usize = 5;

/// What a decoder may allocate for one record; a few bytes of Avro can ask for gigabytes.
const MAX_ALLOCATION_BYTES: usize = 64 << 20;

/// Canonical Avro.
pub struct Avro {
    schemas: Option<SchemaCache>,
}

impl Avro {
    /// Reads container files only.
    pub fn new() -> Self {
        Avro::bounded(None)
    }

    /// Reads framed records too, with schemas from `source`. What it knows is kept for good (an id never changes its
    /// schema); an id that it doesn't know is asked for again after a minute, and a source that didn't answer after
    /// five seconds.
    pub fn with_schemas(source: Arc<dyn SchemaSource>) -> Self {
        let cache = SchemaCache::new(source, Duration::from_secs(60), Duration::from_secs(5));
        Avro::bounded(Some(cache))
    }

    fn bounded(schemas: Option<SchemaCache>) -> Self {
        // Whoever comes first sets it for the whole process; only decoding of Avro looks at it.
        apache_avro::util::max_allocation_bytes(MAX_ALLOCATION_BYTES);
        Avro { schemas }
    }

    fn decode_framed(
        &self,
        id: u32,
        payload: &[u8],
        context: &Context<'_>,
        out: &mut EventBatchBuilder,
    ) -> Result<(), String> {
        let Some(schemas) = &self.schemas else {
            return Err(format!("names the Avro schema {id}, but no schema registry is configured"));
        };
        let schema = schemas.get(id, Instant::now())?;
        let reader = GenericDatumReader::builder(&schema)
            .build()
            .map_err(|_| format!("can't be read: the Avro schema {id} refers to types that it doesn't define"))?;
        let mut rest = &payload[FRAME_BYTES..];
        // The decoder's own message may quote the record.
        let value = reader.read_value(&mut rest).map_err(|_| format!("is not what the Avro schema {id} says"))?;
        if !rest.is_empty() {
            return Err(format!("has {} bytes after the end of what the Avro schema {id} says", rest.len()));
        }
        append(value, Some(payload), None, context, out);
        Ok(())
    }
}

impl Default for Avro {
    fn default() -> Self {
        Avro::new()
    }
}

impl Format for Avro {
    fn name(&self) -> &'static str {
        "avro"
    }

    fn about(&self) -> &'static str {
        "canonical Avro: Confluent framing with a schema registry, and object container files"
    }

    fn planes(&self) -> &'static [Plane] {
        &Plane::ALL
    }

    fn fills(&self) -> &'static [&'static str] {
        ALL_COLUMNS
    }

    fn recognise(&self, payload: &[u8]) -> Recognition {
        if payload.starts_with(CONTAINER) {
            Recognition::Certain
        } else if matches!(payload, [0, _, _, _, _, _, ..]) {
            Recognition::Possible
        } else {
            Recognition::No
        }
    }

    fn decode(&self, record: &RawRecord, context: &Context<'_>, out: &mut EventBatchBuilder) {
        let payload: &[u8] = &record.payload;
        let outcome =
            match payload {
                _ if payload.starts_with(CONTAINER) => container::decode(record, context, out),
                [0, a, b, c, d, ..] => self.decode_framed(u32::from_be_bytes([*a, *b, *c, *d]), payload, context, out),
                _ => Err("is neither an Avro container file nor in Confluent framing (a zero byte and a schema id)"
                    .to_owned()),
            };
        if let Err(reason) = outcome {
            out.reject(None, reason);
        }
    }
}

/// Appends one datum, or rejects it. Its id, where it names none, is made of its own bytes or, in a container (which
/// has no frame around each datum), of its fields.
fn append(value: Value, bytes: Option<&[u8]>, part: Option<usize>, context: &Context<'_>, out: &mut EventBatchBuilder) {
    let Value::Record(fields) = value else {
        return out.reject(part, "is not an Avro record");
    };
    let identity = match bytes {
        Some(bytes) => Cow::Borrowed(bytes),
        None if fields.iter().any(|(name, value)| name == "event_id" && value::says_something(value)) => {
            Cow::Borrowed(&[][..])
        }
        None => Cow::Owned(value::text(&fields).into_bytes()),
    };
    let mut draft = Draft::new(out, ColumnSet::ALL);
    value::fill(fields, &mut draft);
    draft.finish(context, DEFAULTS, &identity, part, out);
}
