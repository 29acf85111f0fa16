//! The wall clock. Sources stamp what they receive; nothing behind them looks at a clock.

use watershed_schemas::Timestamp;

/// The time now.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_micros(chrono::Utc::now().timestamp_micros())
}
