//! Sizes in settings: `"64MiB"`, `"500KB"`. For `#[serde(with = "crate::byte_size")]`.

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes a number of bytes as the text that [`deserialize`] reads.
pub fn serialize<S: Serializer>(bytes: &usize, serializer: S) -> Result<S::Ok, S::Error> {
    // Whole units only: a rounded "1.2 MiB" would not read back as the same number.
    let (unit, name) = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
        .into_iter()
        .find(|(unit, _)| *bytes >= *unit && bytes.is_multiple_of(*unit))
        .unwrap_or((1, "B"));
    serializer.collect_str(&format_args!("{}{name}", bytes / unit))
}

/// Reads a size such as `"64MiB"` or `"500KB"`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse::<ByteSize>()
        .ok()
        .and_then(|size| usize::try_from(size.as_u64()).ok())
        .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a size such as \"64MiB\" or \"500KB\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize, Deserialize)]
    struct Settings {
        #[serde(with = "super")]
        queue: usize,
    }

    #[test]
    fn reads_what_it_writes() {
        for (bytes, text) in [(64 << 20, "64MiB"), (1_500, "1500B"), (0, "0B"), (3 << 10, "3KiB")] {
            let json = serde_json::to_string(&Settings { queue: bytes }).expect("serialises");
            assert_eq!(json, format!(r#"{{"queue":"{text}"}}"#));
            assert_eq!(serde_json::from_str::<Settings>(&json).expect("reads back").queue, bytes);
        }
    }

    #[test]
    fn what_is_no_size_names_the_way_out() {
        let error = serde_json::from_str::<Settings>(r#"{"queue":"much"}"#).err().expect("no size").to_string();
        assert!(error.contains("`much` is not a size such as"), "{error}");
    }
}
