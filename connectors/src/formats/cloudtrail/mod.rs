//! AWS CloudTrail: sign-ins, keys and sessions of AWS identities, grants, and every other call as an access.
//!
//! Reads a delivered file (`{"Records": […]}`), one record, an array of them, and EventBridge (`detail`). What a
//! call means is data: `mapping.yaml`.

mod record;
mod table;

use std::sync::LazyLock;

use watershed_schemas::{EventBatchBuilder, Plane};

use super::json::Json;
use super::mapping::Names;
use super::{Context, Format, Recognition};
use crate::raw::RawRecord;

static NAMES: LazyLock<Names<3>> =
    LazyLock::new(|| Names::new(["\"eventSource\"", "\"eventName\"", "\"userIdentity\""]));

/// The format `cloudtrail`.
pub(super) struct CloudTrail;

impl Format for CloudTrail {
    fn name(&self) -> &'static str {
        "cloudtrail"
    }

    fn about(&self) -> &'static str {
        "AWS CloudTrail records 1.05 to 1.11, also as delivered files and EventBridge detail"
    }

    fn planes(&self) -> &'static [Plane] {
        &[Plane::Access]
    }

    fn fills(&self) -> &'static [&'static str] {
        &[
            "event_id",
            "event_time",
            "kind",
            "principal",
            "principal_type",
            "actor",
            "session_id",
            "client_id",
            "credential_id",
            "credential_type",
            "grant_type",
            "issuer",
            "roles",
            "resource",
            "outcome",
            "reason",
            "auth_method",
            "mfa",
            "ip",
            "user_agent",
            "on_behalf_of",
            "request_id",
            "expires_at",
            "attributes",
        ]
    }

    fn recognise(&self, payload: &[u8]) -> Recognition {
        if NAMES.found(payload) == [true; 3] { Recognition::Certain } else { Recognition::No }
    }

    fn decode(&self, record: &RawRecord, context: &Context<'_>, out: &mut EventBatchBuilder) {
        let mut payload = match Json::parse(&record.payload) {
            Ok(payload) => payload,
            Err(reason) => return out.reject(None, reason),
        };
        let records = match payload.take("Records") {
            Json::List(records) => records,
            _ => match (payload.take("detail"), payload) {
                (detail @ Json::Map(_), _) => return record::decode(detail, context, None, out),
                (_, Json::List(records)) => records,
                (_, single) => return record::decode(single, context, None, out),
            },
        };
        let limit = context.limits.rows_per_record;
        if records.is_empty() {
            out.reject(None, "holds an empty list of CloudTrail records");
        } else if records.len() > limit {
            out.reject(
                None,
                format!("holds {} records, more than the limit `rows_per_record` of {limit}", records.len()),
            );
        } else {
            for (part, single) in records.into_iter().enumerate() {
                record::decode(single, context, Some(part), out);
            }
        }
    }
}
