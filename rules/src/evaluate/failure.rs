//! Why a plan failed, without the values on which it did: those come from events and are hostile or somebody's, while
//! reasons go to logs, to health pages and into the store.

use std::any::Any;

use datafusion::arrow::error::ArrowError;
use datafusion::common::DataFusionError;

/// What kind of failure it was, in words of our own.
pub(crate) fn reason(error: &DataFusionError) -> String {
    let what = match error.find_root() {
        // What the memory pool says names operators and sizes.
        DataFusionError::ResourcesExhausted(text) => return printable(text),
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::CastError(_) => "a value can't be cast to the type that is asked for",
            ArrowError::ParseError(_) => "a text can't be parsed",
            ArrowError::DivideByZero => "something is divided by zero",
            ArrowError::ArithmeticOverflow(_) => "a number is too big for its type",
            _ => "an expression can't be computed",
        },
        DataFusionError::Execution(_) => "an expression can't be computed",
        _ => "the plan can't be run",
    };
    format!("{what}; on which value isn't said here, as it comes from an event: look for it with `rules explain --on`")
}

/// What a panic said, as far as it was written by a programmer: values are put in after the first quote or colon.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => printable(text),
        (None, Some(text)) => printable(text.split(['`', '"', '\'', ':']).next().unwrap_or_default().trim_end()),
        (None, None) => "without a message".to_owned(),
    }
}

/// A text of limited length that moves no cursor.
pub(crate) fn printable(text: &str) -> String {
    const LONGEST: usize = 400;
    let plain = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let mut short: String = text.chars().take(LONGEST).map(plain).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    const SECRET: &str = "sk-live-0815\u{1b}[2J";

    #[test]
    fn values_of_events_are_not_repeated() {
        let execution = DataFusionError::Execution(format!("can't read '{SECRET}'"));
        for error in [
            DataFusionError::from(ArrowError::CastError(format!(
                "Cannot cast string '{SECRET}' to value of Int64 type"
            ))),
            DataFusionError::from(ArrowError::ParseError(SECRET.to_owned())),
            DataFusionError::Context(SECRET.to_owned(), Box::new(execution)),
            DataFusionError::Internal(SECRET.to_owned()),
        ] {
            let said = reason(&error);
            assert!(!said.contains("sk-live") && !said.contains('\u{1b}'), "{said}");
        }
        let full = DataFusionError::ResourcesExhausted("Failed to allocate 2 MB for HashJoinInput".to_owned());
        assert_eq!(reason(&full), "Failed to allocate 2 MB for HashJoinInput");
    }

    #[test]
    fn panics_are_cut_where_values_begin() {
        let said = |panic: Result<(), Box<dyn Any + Send>>| panic_text(panic.expect_err("it panics").as_ref());
        assert_eq!(said(catch_unwind(|| panic!("no such operator"))), "no such operator");
        assert_eq!(said(catch_unwind(|| panic!("index 7 is inside of `{SECRET}`"))), "index 7 is inside of");
        assert!(printable(&"\u{7}x".repeat(1_000)).chars().count() == 401);
    }
}
