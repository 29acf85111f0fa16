//! Event time: microseconds since 1970-01-01 in UTC.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment, in microseconds since 1970-01-01 UTC. Shown and written as RFC 3339 with `Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A text that is not a moment.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not an RFC 3339 time such as 2026-01-31T12:00:00Z")]
pub struct TimestampError {
    text: String,
}

impl Timestamp {
    /// Earlier than every event: a watermark that has seen nothing.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// Later than every event: the watermark of a finished history.
    pub const MAX: Timestamp = Timestamp(i64::MAX);
    /// 2262-04-11: nanosecond arithmetic in SQL overflows beyond it. Later event times are refused.
    pub const LATEST_EVENT: Timestamp = Timestamp(9_223_372_036_000_000);
    /// 1678: nanosecond arithmetic in SQL overflows before it. Earlier event times are refused.
    pub const EARLIEST_EVENT: Timestamp = Timestamp(-9_223_372_036_000_000);

    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    /// From milliseconds since the epoch; saturates.
    pub const fn from_millis(millis: i64) -> Self {
        Timestamp(millis.saturating_mul(1_000))
    }

    /// From seconds since the epoch; saturates.
    pub const fn from_secs(secs: i64) -> Self {
        Timestamp(secs.saturating_mul(1_000_000))
    }

    /// From nanoseconds since the epoch, rounded towards the past.
    pub const fn from_nanos(nanos: i64) -> Self {
        Timestamp(nanos.div_euclid(1_000))
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The time `duration` later; saturates.
    pub fn plus(self, duration: Duration) -> Self {
        self.plus_micros(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
    }

    /// The time `duration` earlier; saturates. [`Timestamp::MAX`] stays what it is: a finished history has no lag.
    pub fn minus(self, duration: Duration) -> Self {
        self.plus_micros(-i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
    }

    /// The time `micros` later (earlier where negative). [`Timestamp::MIN`] and [`Timestamp::MAX`] absorb.
    pub const fn plus_micros(self, micros: i64) -> Self {
        if self.0 == i64::MAX || self.0 == i64::MIN {
            return self;
        }
        Timestamp(self.0.saturating_add(micros))
    }

    /// Parses RFC 3339, with any number of fractional digits (cut at microseconds).
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        DateTime::parse_from_rfc3339(text)
            .map(|time| Timestamp(time.timestamp_micros()))
            .map_err(|_| TimestampError { text: text.chars().take(64).collect() })
    }

    /// The moment as a [`DateTime`], where the calendar reaches it.
    pub fn to_datetime(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_datetime() {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            None if self.0 < 0 => f.write_str("-infinity"),
            None => f.write_str("infinity"),
        }
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time", "description": "RFC 3339, in UTC"})
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        match text.as_ref() {
            "infinity" => Ok(Timestamp::MAX),
            "-infinity" => Ok(Timestamp::MIN),
            text => Timestamp::parse(text).map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for micros in [0, -1, 1_700_000_000_123_456, 1_700_000_000_000_000] {
            let time = Timestamp::from_micros(micros);
            assert_eq!(Timestamp::parse(&time.to_string()).expect("own output parses"), time);
        }
    }

    #[test]
    fn infinities_absorb_arithmetic() {
        assert_eq!(Timestamp::MAX.minus(Duration::from_secs(60)), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.plus(Duration::from_secs(60)), Timestamp::MIN);
    }

    #[test]
    fn nanoseconds_round_towards_the_past() {
        assert_eq!(Timestamp::from_nanos(-1), Timestamp::from_micros(-1));
        assert_eq!(Timestamp::from_nanos(1_999), Timestamp::from_micros(1));
    }
}
