//! Durations in settings: `"5m"`, `"1s 500ms"`. For `#[serde(with = "crate::duration")]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// Writes a duration as the text that [`deserialize`] reads.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

/// Reads a duration such as `"250ms"`, `"30s"` or `"1h 30m"`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|_| {
        serde::de::Error::custom(format!("`{text}` is not a duration such as \"250ms\", \"30s\" or \"5m\""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize, Deserialize)]
    struct Settings {
        #[serde(with = "super")]
        wait: Duration,
    }

    #[test]
    fn reads_what_it_writes() {
        let settings: Settings = serde_json::from_str(r#"{"wait":"1m 30s"}"#).expect("a duration");
        assert_eq!(settings.wait, Duration::from_secs(90));
        assert_eq!(serde_json::to_string(&settings).expect("serialises"), r#"{"wait":"1m 30s"}"#);
    }

    #[test]
    fn a_bare_number_names_the_way_out() {
        let error = serde_json::from_str::<Settings>(r#"{"wait":"90"}"#).err().expect("no unit").to_string();
        assert!(error.contains("`90` is not a duration such as"), "{error}");
    }
}
