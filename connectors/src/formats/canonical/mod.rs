//! From loosely typed values to a row of a canonical table: what `watershed`, `guardrail` and `avro` share.

mod attributes;
mod draft;
mod names;
mod reader;

pub(super) use attributes::{quote, unquote};
pub(super) use draft::{Defaults, Draft, attributes_column};
pub(super) use reader::{Shape, read, shape};

/// The names of both planes' columns, each once: what a canonical record may fill.
pub(super) const ALL_COLUMNS: &[&str] = &names::all_columns();

/// Whether a payload seems to have a member of this name, at any depth: a search for the quoted name.
pub(super) fn mentions(payload: &[u8], name: &str) -> bool {
    // A name is looked for once per record at most, so building the searcher is all there is to pay.
    let mut quoted = [0; 32];
    let needle = &mut quoted[..name.len() + 2];
    needle[0] = b'"';
    needle[1..=name.len()].copy_from_slice(name.as_bytes());
    needle[name.len() + 1] = b'"';
    memchr::memmem::find(payload, needle).is_some()
}

/// Whether a payload looks like a guardrail's record: an object with a time and a verdict, but without a kind.
pub(super) fn is_guardrail(payload: &[u8]) -> bool {
    payload.trim_ascii_start().first() == Some(&b'{')
        && mentions(payload, "event_time")
        && (mentions(payload, "verdict") || mentions(payload, "native"))
        // Most records have none at all; where one is mentioned, only a look at the top tells whose it is.
        && !(mentions(payload, "kind") && sonic_rs::get_from_slice(payload, &["kind"]).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_kind_at_the_top_makes_a_row() {
        for (payload, expected) in [
            (r#"{"event_time":1,"verdict":"deny"}"#, true),
            (r#"{"event_time":1,"verdict":"deny","attributes":{"kind":"x"}}"#, true),
            (r#"{"event_time":1,"verdict":"deny","kind":"guardrail"}"#, false),
            (r#"{"event_time":1,"kind":"prompt"}"#, false),
            (r#"{"verdict":"deny"}"#, false),
            (r#"[{"event_time":1,"verdict":"deny"}]"#, false),
        ] {
            assert_eq!(is_guardrail(payload.as_bytes()), expected, "{payload}");
        }
    }
}
