//! One entry of a segment as bytes. The numbers here are persisted: never reuse one.
//!
//! An entry is `length: u32, crc32: u32, body`, little-endian; the body begins with the entry's kind. Partitions are
//! defined before their first use in each segment and named by number after, so a segment can be read alone.

use bytes::{Buf, BufMut, Bytes};
use watershed_schemas::{Plane, Timestamp};

use crate::raw::RawRecord;

/// Bytes before the body.
pub(super) const HEAD: usize = 8;
/// No entry is longer: a larger length is damage, not a reason to allocate.
pub(super) const LONGEST: usize = 1 << 30;

const PARTITION: u8 = 1;
const RECORD: u8 = 2;
const CAUGHT_UP: u8 = 3;
const ASSIGNED: u8 = 4;
const REVOKED: u8 = 5;

/// What a segment holds, in arrival order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// From here on `id` stands for this partition.
    Partition { id: u32, plane: Plane, topic: String, index: i32, format: String, tenant: String },
    /// A record.
    Record { partition: u32, received: Timestamp, record: RawRecord },
    /// A partition's end was reached.
    CaughtUp { partition: u32, at: Timestamp },
    /// Partitions came.
    Assigned { partitions: Vec<u32> },
    /// Partitions went.
    Revoked { partitions: Vec<u32>, lost: bool },
}

/// Appends the entry with its length and checksum.
pub(super) fn write(entry: &Entry, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    match entry {
        Entry::Partition { id, plane, topic, index, format, tenant } => {
            out.put_u8(PARTITION);
            out.put_u32_le(*id);
            out.put_u8(match plane {
                Plane::Model => 0,
                Plane::Access => 1,
            });
            out.put_i32_le(*index);
            for text in [topic, format, tenant] {
                put_bytes(text.as_bytes(), out);
            }
        }
        Entry::Record { partition, received, record } => put_record(*partition, *received, record, out),
        Entry::CaughtUp { partition, at } => {
            out.put_u8(CAUGHT_UP);
            out.put_u32_le(*partition);
            out.put_i64_le(at.micros());
        }
        Entry::Assigned { partitions } => {
            out.put_u8(ASSIGNED);
            put_ids(partitions, out);
        }
        Entry::Revoked { partitions, lost } => {
            out.put_u8(REVOKED);
            out.put_u8(u8::from(*lost));
            put_ids(partitions, out);
        }
    }
    seal(start, out);
}

/// Appends a record without building an [`Entry`] around it.
pub(super) fn write_record(partition: u32, received: Timestamp, record: &RawRecord, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    put_record(partition, received, record, out);
    seal(start, out);
}

fn seal(start: usize, out: &mut [u8]) {
    let body = &out[start + HEAD..];
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let sum = checksum(body);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + HEAD].copy_from_slice(&sum.to_le_bytes());
}

pub(super) fn checksum(body: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(body);
    crc.sum()
}

fn put_record(partition: u32, received: Timestamp, record: &RawRecord, out: &mut Vec<u8>) {
    out.put_u8(RECORD);
    out.put_u32_le(partition);
    out.put_i64_le(record.offset);
    out.put_i64_le(received.micros());
    out.put_u8(u8::from(record.timestamp.is_some()) | (u8::from(record.key.is_some()) << 1));
    if let Some(timestamp) = record.timestamp {
        out.put_i64_le(timestamp.micros());
    }
    if let Some(key) = &record.key {
        put_bytes(key, out);
    }
    out.put_u32_le(u32::try_from(record.headers.len()).unwrap_or(u32::MAX));
    for (name, value) in &record.headers {
        put_bytes(name.as_bytes(), out);
        put_bytes(value, out);
    }
    // The payload is last and needs no length of its own.
    out.extend_from_slice(&record.payload);
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.put_u32_le(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(bytes);
}

fn put_ids(ids: &[u32], out: &mut Vec<u8>) {
    out.put_u32_le(u32::try_from(ids.len()).unwrap_or(u32::MAX));
    for id in ids {
        out.put_u32_le(*id);
    }
}

/// Reads a body whose checksum was right; `None` where it is no entry of this version.
pub(super) fn read(mut body: Bytes) -> Option<Entry> {
    let entry = match body.try_get_u8().ok()? {
        PARTITION => Entry::Partition {
            id: body.try_get_u32_le().ok()?,
            plane: match body.try_get_u8().ok()? {
                0 => Plane::Model,
                1 => Plane::Access,
                _ => return None,
            },
            index: body.try_get_i32_le().ok()?,
            topic: take_text(&mut body)?,
            format: take_text(&mut body)?,
            tenant: take_text(&mut body)?,
        },
        RECORD => return read_record(body),
        CAUGHT_UP => Entry::CaughtUp {
            partition: body.try_get_u32_le().ok()?,
            at: Timestamp::from_micros(body.try_get_i64_le().ok()?),
        },
        ASSIGNED => Entry::Assigned { partitions: take_ids(&mut body)? },
        REVOKED => {
            let lost = body.try_get_u8().ok()? == 1;
            Entry::Revoked { partitions: take_ids(&mut body)?, lost }
        }
        _ => return None,
    };
    body.is_empty().then_some(entry)
}

fn read_record(mut body: Bytes) -> Option<Entry> {
    let partition = body.try_get_u32_le().ok()?;
    let offset = body.try_get_i64_le().ok()?;
    let received = Timestamp::from_micros(body.try_get_i64_le().ok()?);
    let flags = body.try_get_u8().ok()?;
    let timestamp = match flags & 1 {
        1 => Some(Timestamp::from_micros(body.try_get_i64_le().ok()?)),
        _ => None,
    };
    let key = match flags & 2 {
        2 => Some(take_bytes(&mut body)?),
        _ => None,
    };
    let count = body.try_get_u32_le().ok()?;
    let mut headers = Vec::new();
    for _ in 0..count {
        headers.push((take_text(&mut body)?, take_bytes(&mut body)?));
    }
    Some(Entry::Record { partition, received, record: RawRecord { offset, timestamp, key, headers, payload: body } })
}

fn take_bytes(body: &mut Bytes) -> Option<Bytes> {
    let length = body.try_get_u32_le().ok()? as usize;
    (length <= body.len()).then(|| body.split_to(length))
}

fn take_text(body: &mut Bytes) -> Option<String> {
    String::from_utf8(take_bytes(body)?.to_vec()).ok()
}

fn take_ids(body: &mut Bytes) -> Option<Vec<u32>> {
    let count = body.try_get_u32_le().ok()?;
    (0..count).map(|_| body.try_get_u32_le().ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
    }

    fn entries() -> impl Strategy<Value = Entry> {
        let record = (
            any::<i64>(),
            any::<Option<i64>>(),
            proptest::option::of(bytes()),
            proptest::collection::vec((".{0,8}", bytes()), 0..3),
            bytes(),
        )
            .prop_map(|(offset, timestamp, key, headers, payload)| RawRecord {
                offset,
                timestamp: timestamp.map(Timestamp::from_micros),
                key,
                headers,
                payload,
            });
        prop_oneof![
            (any::<u32>(), any::<bool>(), ".{0,12}", any::<i32>(), ".{0,8}", ".{0,8}").prop_map(
                |(id, access, topic, index, format, tenant)| Entry::Partition {
                    id,
                    plane: if access { Plane::Access } else { Plane::Model },
                    topic,
                    index,
                    format,
                    tenant,
                }
            ),
            (any::<u32>(), any::<i64>(), record).prop_map(|(partition, received, record)| Entry::Record {
                partition,
                received: Timestamp::from_micros(received),
                record,
            }),
            (any::<u32>(), any::<i64>())
                .prop_map(|(partition, at)| Entry::CaughtUp { partition, at: Timestamp::from_micros(at) }),
            proptest::collection::vec(any::<u32>(), 0..5).prop_map(|partitions| Entry::Assigned { partitions }),
            (proptest::collection::vec(any::<u32>(), 0..5), any::<bool>())
                .prop_map(|(partitions, lost)| Entry::Revoked { partitions, lost }),
        ]
    }

    proptest! {
        #[test]
        fn every_entry_reads_back(entry in entries()) {
            let mut out = Vec::new();
            write(&entry, &mut out);
            let body = Bytes::from(out).split_off(HEAD);
            prop_assert_eq!(read(body), Some(entry));
        }

        #[test]
        fn arbitrary_bytes_never_panic(body in bytes()) {
            let _ = read(body);
        }
    }
}
