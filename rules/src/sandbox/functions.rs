//! The functions that rules may call.

/// Scalar functions: results depend on nothing but the arguments, and take bounded time and memory.
pub(crate) const SCALAR: &[&str] = &[
    // Text.
    "ascii",
    "bit_length",
    "btrim",
    "character_length",
    "chr",
    "concat",
    "concat_ws",
    "contains",
    "ends_with",
    "find_in_set",
    "initcap",
    "left",
    "levenshtein",
    "lower",
    "ltrim",
    "octet_length",
    "overlay",
    "replace",
    "reverse",
    "right",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "substr_index",
    "to_hex",
    "translate",
    "upper",
    // Regular expressions.
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "regexp_match",
    "regexp_replace",
    // Time.
    "date_bin",
    "date_part",
    "date_trunc",
    "from_unixtime",
    "make_date",
    "to_char",
    "to_date",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
    // Lists.
    "array_append",
    "array_concat",
    "array_distinct",
    "array_element",
    "array_empty",
    "array_except",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_intersect",
    "array_length",
    "array_max",
    "array_min",
    "array_position",
    "array_positions",
    "array_prepend",
    "array_remove",
    "array_remove_all",
    "array_reverse",
    "array_slice",
    "array_sort",
    "array_to_string",
    "array_union",
    "cardinality",
    "empty",
    "flatten",
    "make_array",
    "string_to_array",
    // Choice.
    "coalesce",
    "greatest",
    "least",
    "nullif",
    "nvl",
    "nvl2",
    // Values.
    "arrow_cast",
    "arrow_typeof",
    "get_field",
    "named_struct",
    "struct",
    // Numbers.
    "abs",
    "acos",
    "asin",
    "atan",
    "atan2",
    "ceil",
    "cos",
    "degrees",
    "exp",
    "floor",
    "isnan",
    "ln",
    "log",
    "log10",
    "log2",
    "pi",
    "power",
    "radians",
    "round",
    "signum",
    "sin",
    "sqrt",
    "tan",
    "trunc",
    // Ours.
    "cidr_contains",
    "hop",
    "ip_prefix",
    "json_text",
];

/// Aggregates.
pub(crate) const AGGREGATE: &[&str] = &[
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "first_value",
    "last_value",
    "max",
    "min",
    "string_agg",
    "sum",
];

/// Window functions beside the aggregates.
pub(crate) const WINDOW: &[&str] =
    &["dense_rank", "first_value", "lag", "last_value", "lead", "nth_value", "rank", "row_number"];

/// Functions whose result depends on when or how often they are called.
pub(super) const VOLATILE: &[&str] = &[
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "now",
    "rand",
    "random",
    "today",
    "uuid",
    "version",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::ReferenceTables;
    use crate::session;

    #[test]
    fn every_listed_function_exists() {
        let context = session::planning(&ReferenceTables::default()).expect("a context");
        let state = context.state();
        let missing: Vec<&&str> = SCALAR.iter().filter(|name| !state.scalar_functions().contains_key(**name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert!(AGGREGATE.iter().all(|name| state.aggregate_functions().contains_key(*name)));
        assert!(WINDOW.iter().all(|name| state.window_functions().contains_key(*name)));
        assert!(VOLATILE.iter().all(|name| !SCALAR.contains(name)));
    }
}
