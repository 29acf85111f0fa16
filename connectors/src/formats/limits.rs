//! Bounds that a payload must keep before anything parses it.

/// Deeper nesting than this is never parsed, whatever the settings say: parsers recurse.
const DEEPEST: usize = 120;

/// Bounds checked before a payload is parsed. Reaching one rejects the record with the bound in the reason.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of one payload.
    pub payload_bytes: usize,
    /// Depth of nested JSON objects and arrays; at most 120.
    pub json_depth: usize,
    /// Bytes of one string.
    pub string_bytes: usize,
    /// Attributes (unmapped members) of one event.
    pub attributes: usize,
    /// Rows that one record may give.
    pub rows_per_record: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            payload_bytes: 4 << 20,
            json_depth: 64,
            string_bytes: 1 << 20,
            attributes: 1_024,
            rows_per_record: 20_000,
        }
    }
}

impl Limits {
    /// Why the payload may not be parsed, if so. Nearly all records pass after one vectorised count of brackets.
    pub fn fault_of(&self, payload: &[u8]) -> Option<String> {
        if payload.len() > self.payload_bytes {
            return Some(format!(
                "has {} bytes, more than the limit `payload_bytes` of {}",
                payload.len(),
                self.payload_bytes
            ));
        }
        if !looks_like_json(payload) {
            return None;
        }
        let depth = self.json_depth.min(DEEPEST);
        if openings(payload) <= depth && payload.len() <= self.string_bytes {
            return None;
        }
        self.walk(payload, depth)
    }

    /// The exact check: depth outside of strings, length of each string.
    fn walk(&self, payload: &[u8], deepest: usize) -> Option<String> {
        let (mut at, mut depth) = (0, 0_usize);
        while let Some(byte) = payload.get(at) {
            at += 1;
            match byte {
                b'[' | b'{' => {
                    depth += 1;
                    if depth > deepest {
                        return Some(format!("nests deeper than the limit `json_depth` of {deepest}"));
                    }
                }
                b']' | b'}' => depth = depth.saturating_sub(1),
                b'"' => {
                    let length = string_length(&payload[at..]);
                    if length > self.string_bytes {
                        return Some(format!(
                            "holds a string of {length} bytes, more than the limit `string_bytes` of {}",
                            self.string_bytes
                        ));
                    }
                    at += length + 1;
                }
                _ => {}
            }
        }
        None
    }
}

/// Opening brackets, inside of strings too. Counted in blocks short enough for a byte, which is what vectorises.
fn openings(payload: &[u8]) -> usize {
    // `[` and `{` differ in one bit.
    let opens = |byte: &u8| u8::from(*byte | 0x20 == b'{');
    let mut blocks = payload.chunks_exact(128);
    let whole: usize = blocks.by_ref().map(|block| usize::from(block.iter().map(opens).sum::<u8>())).sum();
    whole + usize::from(blocks.remainder().iter().map(opens).sum::<u8>())
}

/// Protobuf and Avro may begin with bytes that are white space in JSON, so white space needs a closing bracket too.
fn looks_like_json(payload: &[u8]) -> bool {
    let trimmed = payload.trim_ascii();
    match trimmed {
        [b'{' | b'[', ..] if trimmed.len() == payload.len() => true,
        [b'{', .., b'}'] | [b'[', .., b']'] => true,
        _ => matches!(payload, [b'{' | b'[', ..]),
    }
}

/// Bytes up to the closing quote (or the end) of a string whose opening quote was read, escapes counted as written.
fn string_length(rest: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &rest[at..]) {
        at += found;
        if rest[at] == b'"' {
            return at;
        }
        at += 2;
        if at >= rest.len() {
            break;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Limits =
        Limits { payload_bytes: 200, json_depth: 3, string_bytes: 20, attributes: 4, rows_per_record: 2 };

    fn check(payload: &str, limit: Option<&str>) {
        let fault = SMALL.fault_of(payload.as_bytes());
        match (limit, &fault) {
            (None, None) => {}
            (Some(limit), Some(fault)) if fault.contains(&format!("`{limit}`")) => {}
            _ => panic!("{payload}: expected {limit:?}, found {fault:?}"),
        }
    }

    #[test]
    fn each_bound_is_named() {
        check(r#"{"a":[{"b":1}]}"#, None);
        check(r#"{"a":[{"b":[]}]}"#, Some("json_depth"));
        check("  \n{\"a\":[{\"b\":[]}]}  ", Some("json_depth"));
        check("[[[[", Some("json_depth"));
        check(&"[".repeat(201), Some("payload_bytes"));
        check(&format!(r#"{{"a":"{}"}}"#, "x".repeat(20)), None);
        check(&format!(r#"{{"a":"{}"}}"#, "x".repeat(21)), Some("string_bytes"));
        check(&format!(r#"{{"{}":1}}"#, "x".repeat(21)), Some("string_bytes"));
        check(&format!(r#"{{"a":"{}"#, "x".repeat(30)), Some("string_bytes"));
    }

    #[test]
    fn brackets_and_quotes_in_strings_are_text() {
        check(r#"{"a":"[[[[[[["}"#, None);
        check(r#"{"a":"\"[[[[\\","b":[[1]]}"#, None);
        check(r#"{"a":[[]],"b":[[]],"c":[[]],"d":[[]]}"#, None);
        check(r#"{"a":"\"#, None);
    }

    #[test]
    fn what_is_not_json_is_bounded_by_size_alone() {
        check("\n{\u{1}[[[[[[[", None);
        check("\0[[[[[", None);
    }

    #[test]
    fn no_setting_lets_a_parser_overflow_the_stack() {
        let generous = Limits { json_depth: usize::MAX, ..Limits::default() };
        assert!(generous.fault_of("[".repeat(5_000).as_bytes()).is_some());
    }
}
