//! A span or a log record, whichever encoding it came in.

use std::borrow::Cow;

use watershed_schemas::Timestamp;

use crate::formats::json::Json;

/// Attributes in the order in which they came.
pub(super) type Attributes<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

/// What all spans or log records of one scope share.
#[derive(Clone, Default)]
pub(super) struct Origin<'a> {
    pub(super) resource: Attributes<'a>,
    /// Name, version and attributes of the instrumentation scope.
    pub(super) scope: Attributes<'a>,
}

/// A span, or a log record.
#[derive(Default)]
pub(super) struct Item<'a> {
    pub(super) is_log: bool,
    /// 32 lower-case hexadecimal digits, or empty.
    pub(super) trace_id: String,
    /// 16 lower-case hexadecimal digits, or empty.
    pub(super) span_id: String,
    pub(super) parent_span_id: String,
    /// The span's or the event's name.
    pub(super) name: Cow<'a, str>,
    /// Nanoseconds since the epoch; 0 is unknown. For a log record the time, else when it was observed.
    pub(super) start: u64,
    /// The span's end; 0 is unknown.
    pub(super) end: u64,
    pub(super) status: Status,
    pub(super) status_message: Cow<'a, str>,
    pub(super) attributes: Attributes<'a>,
    /// The log record's body.
    pub(super) body: Json<'a>,
    pub(super) events: Vec<SpanEvent<'a>>,
    /// Members without a column, such as the span's kind, links or severity.
    pub(super) rest: Attributes<'a>,
}

/// An event inside a span.
pub(super) struct SpanEvent<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) time: u64,
    pub(super) attributes: Attributes<'a>,
}

/// A span's status.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Status {
    #[default]
    Unset,
    Ok,
    Error,
}

impl Status {
    /// From the protocol's number; unknown ones count as unset.
    pub(super) fn from_number(number: i64) -> Self {
        match number {
            1 => Status::Ok,
            2 => Status::Error,
            _ => Status::Unset,
        }
    }
}

/// The moment of a protocol time, where it has one.
pub(super) fn moment(nanos: u64) -> Option<Timestamp> {
    (nanos != 0).then(|| Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX)))
}

/// Lower-case hexadecimal digits of an id of this many bytes; one of only zeros is no id.
pub(super) fn hex_id(bytes: &[u8], length: usize, what: &str) -> Result<String, String> {
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(String::new());
    }
    if bytes.len() != length {
        return Err(format!("its {what} has {} bytes instead of {length}", bytes.len()));
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The same from its text in OTLP/JSON, in upper or lower case.
pub(super) fn hex_text(text: &str, length: usize, what: &str) -> Result<String, String> {
    if text.bytes().all(|byte| byte == b'0') {
        return Ok(String::new());
    }
    if text.len() != 2 * length || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("its {what} is not {} hexadecimal digits", 2 * length));
    }
    Ok(text.to_ascii_lowercase())
}
