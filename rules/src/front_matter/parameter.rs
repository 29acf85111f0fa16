//! Values of a rule that an installation may set otherwise.

use datafusion::sql::sqlparser::ast::{Expr, UnaryOperator, Value};
use serde::{Deserialize, Serialize};

/// What `$name` stands for in a rule's SQL. It is a literal like any other: the rule is planned with it, and is another
/// version with another value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Parameter {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Number(f64),
    /// A text; behind `INTERVAL` a span such as `6 hours`.
    Text(String),
}

impl Parameter {
    /// What kind of value it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Parameter::Bool(_) => "true or false",
            Parameter::Integer(_) => "a whole number",
            Parameter::Number(_) => "a number",
            Parameter::Text(_) => "a text",
        }
    }

    /// Whether this may stand where the rule's author wrote `default`: a whole number may where a number does.
    pub fn may_replace(&self, default: &Parameter) -> bool {
        matches!(
            (default, self),
            (Parameter::Bool(_), Parameter::Bool(_))
                | (Parameter::Integer(_), Parameter::Integer(_))
                | (Parameter::Number(_), Parameter::Number(_) | Parameter::Integer(_))
                | (Parameter::Text(_), Parameter::Text(_))
        )
    }

    /// The literal.
    pub(crate) fn literal(&self) -> Expr {
        let number = |negative: bool, digits: String| {
            let number = Expr::value(Value::Number(digits, false));
            if negative { Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(number) } } else { number }
        };
        match self {
            Parameter::Bool(value) => Expr::value(Value::Boolean(*value)),
            Parameter::Integer(value) => number(*value < 0, value.unsigned_abs().to_string()),
            // With its point, so that it isn't taken for a whole number.
            Parameter::Number(value) => number(value.is_sign_negative(), format!("{:?}", value.abs())),
            Parameter::Text(value) => Expr::value(Value::SingleQuotedString(value.clone())),
        }
    }
}
