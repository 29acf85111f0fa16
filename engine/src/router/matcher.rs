//! One question about a label, as it is written: `agent=~"pay.*"`.

use std::fmt;
use std::str::FromStr;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use watershed_schemas::Severity;

use super::labels::{Label, Labels};

/// Longest matcher, in bytes.
const LONGEST: usize = 1_024;
/// Most memory of one compiled expression: matchers come from people at run time too.
const REGEX_BYTES: usize = 256 << 10;

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Like,
    NotLike,
    AtLeast,
    AtMost,
}

/// A label, a comparison and a value. Of a label with several values, `=` and `=~` hold where they hold for one of them, `!=`
/// and `!~` where their opposites hold for none. A label without any value is compared as if it were empty. Regular
/// expressions are anchored at both ends.
#[derive(Clone, Debug)]
pub struct Matcher {
    label: Label,
    comparison: Comparison,
    value: String,
    like: Option<Regex>,
}

impl Matcher {
    /// A matcher that asks for one value.
    pub fn equal(label: Label, value: impl Into<String>) -> Matcher {
        Matcher { label, comparison: Comparison::Equal, value: value.into(), like: None }
    }

    /// What it asks about.
    pub fn label(&self) -> Label {
        self.label
    }

    /// The only value that it takes, where it is `=`.
    pub fn only_value(&self) -> Option<&str> {
        (self.comparison == Comparison::Equal).then_some(self.value.as_str())
    }

    /// Whether it holds.
    pub fn matches(&self, labels: &Labels) -> bool {
        let negative = matches!(self.comparison, Comparison::NotEqual | Comparison::NotLike);
        let mut values = labels.values(self.label);
        if negative { values.all(|value| self.takes(value)) } else { values.any(|value| self.takes(value)) }
    }

    /// Whether it holds for a label that has just this value.
    pub fn takes(&self, value: &str) -> bool {
        let like = || self.like.as_ref().is_some_and(|like| like.is_match(value));
        let rank = |name: &str| severity(name).map(|severity| severity as u8);
        match self.comparison {
            Comparison::Equal => value == self.value,
            Comparison::NotEqual => value != self.value,
            Comparison::Like => like(),
            Comparison::NotLike => !like(),
            Comparison::AtLeast => rank(value) >= rank(&self.value),
            Comparison::AtMost => rank(value) <= rank(&self.value),
        }
    }

    /// Whether everything passes it, such as `tenant=~".*"`: it asks nothing.
    pub fn asks_nothing(&self) -> bool {
        match self.comparison {
            Comparison::Like => matches!(self.value.as_str(), ".*" | "(.*)"),
            Comparison::AtLeast => self.value == "info",
            Comparison::AtMost => self.value == "critical",
            Comparison::Equal | Comparison::NotEqual | Comparison::NotLike => false,
        }
    }
}

fn severity(name: &str) -> Option<Severity> {
    use Severity::{Critical, High, Info, Low, Medium};
    [Info, Low, Medium, High, Critical].into_iter().find(|severity| severity.name() == name)
}

impl FromStr for Matcher {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Quotes belong to matchers.
        let shown = || text.chars().take(80).collect::<String>().escape_debug().to_string().replace("\\\"", "\"");
        if text.len() > LONGEST {
            return Err(format!("`{}…` is longer than {LONGEST} bytes", shown()));
        }
        let sign = |c: char| matches!(c, '=' | '!' | '<' | '>' | '~');
        let wrong = || format!("`{}` is no matcher; write a label, one of = != =~ !~ >= <=, and a value", shown());
        let start = text.find(sign).ok_or_else(wrong)?;
        let signs: String = text[start..].chars().take(2).take_while(|c| sign(*c)).collect();
        let comparison = match signs.as_str() {
            "=" => Comparison::Equal,
            "!=" => Comparison::NotEqual,
            "=~" => Comparison::Like,
            "!~" => Comparison::NotLike,
            ">=" => Comparison::AtLeast,
            "<=" => Comparison::AtMost,
            _ => return Err(wrong()),
        };
        let label = Label::parse(text[..start].trim())?;
        let value = unquoted(text[start + signs.len()..].trim()).ok_or_else(|| {
            format!("the value of `{}` is not text: put it in double quotes, with \\\" and \\\\ inside", shown())
        })?;
        if matches!(comparison, Comparison::AtLeast | Comparison::AtMost) {
            if label != Label::Severity {
                return Err(format!("`{}` orders the label `{}`; only severity has an order", shown(), label.name()));
            }
            if severity(&value).is_none() {
                let value = value.escape_debug();
                return Err(format!("`{value}` is no severity; there is info, low, medium, high, critical"));
            }
        }
        let like = match comparison {
            Comparison::Like | Comparison::NotLike => Some(anchored(&value).map_err(|reason| {
                format!(
                    "`{}` is no regular expression: {reason}",
                    value.chars().take(80).collect::<String>().escape_debug()
                )
            })?),
            _ => None,
        };
        Ok(Matcher { label, comparison, value, like })
    }
}

fn anchored(expression: &str) -> Result<Regex, String> {
    // Alone first: what is unbalanced must not become balanced by what is put around it.
    let build = |text: &str| RegexBuilder::new(text).size_limit(REGEX_BYTES).build();
    let reason = |error: regex::Error| match error {
        regex::Error::CompiledTooBig(_) => "it is too big; make it shorter".to_owned(),
        error => error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    };
    build(expression).map_err(reason)?;
    build(&format!("^(?s:{expression})$")).map_err(reason)
}

/// A value without its quotes; bare words need none.
fn unquoted(text: &str) -> Option<String> {
    let Some(inner) = text.strip_prefix('"') else {
        return (!text.is_empty() && !text.contains(|c: char| c == '"' || c.is_whitespace())).then(|| text.to_owned());
    };
    let mut value = String::new();
    let mut letters = inner.chars();
    loop {
        match letters.next()? {
            '"' => return letters.next().is_none().then_some(value),
            '\\' => match letters.next()? {
                escaped @ ('"' | '\\') => value.push(escaped),
                // Expressions are full of backslashes, and are written as they are.
                other => value.extend(['\\', other]),
            },
            letter => value.push(letter),
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signs = match self.comparison {
            Comparison::Equal => "=",
            Comparison::NotEqual => "!=",
            Comparison::Like => "=~",
            Comparison::NotLike => "!~",
            Comparison::AtLeast => ">=",
            Comparison::AtMost => "<=",
        };
        write!(f, "{}{signs}\"{}\"", self.label.name(), self.value.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (self.label, self.comparison, &self.value) == (other.label, other.comparison, &other.value)
    }
}

impl Eq for Matcher {}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        Labels::default()
            .with(Label::Severity, "high")
            .with(Label::Tenant, "acme")
            .with(Label::Agent, "payments")
            .with(Label::Agent, "mailer")
    }

    fn check(text: &str, holds: bool) {
        let matcher: Matcher = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(matcher.matches(&labels()), holds, "{text}");
        let again: Matcher = matcher.to_string().parse().expect("own text parses");
        assert_eq!(again, matcher);
    }

    #[test]
    fn matchers_hold_as_in_alertmanager() {
        check("tenant=\"acme\"", true);
        check("tenant=acme", true);
        check("tenant = \"acme\"", true);
        check("tenant!=\"acme\"", false);
        check("tenant=~\"ac.*\"", true);
        check("tenant=~\"ac\"", false);
        check("tenant=~\"x|acme\"", true);
        check("tenant!~\"x|acme\"", false);
        check(r#"tenant=~"\w+""#, true);
        check("agent=\"mailer\"", true);
        check("agent!=\"mailer\"", false);
        check("agent!~\"pay.*\"", false);
        check("agent!=\"other\"", true);
        check("principal=\"\"", true);
        check("principal!=\"\"", false);
        check("principal!~\".+\"", true);
        check("severity>=high", true);
        check("severity>=\"critical\"", false);
        check("severity<=high", true);
    }

    #[test]
    fn what_is_no_matcher_says_why() {
        for (text, part) in [
            ("tenant", "is no matcher"),
            ("tenant==x", "is no matcher"),
            ("colour=red", "`colour` is no label; there is verdict"),
            ("tenant=\"x", "is not text"),
            ("tenant=a b", "is not text"),
            ("tenant=", "is not text"),
            ("tenant>=x", "only severity has an order"),
            ("severity>=worse", "is no severity"),
            ("agent=~\"(\"", "is no regular expression"),
            ("agent=~\"a)|(b\"", "is no regular expression"),
            ("agent=~\"(a{1000}){1000}\"", "too big"),
        ] {
            let error = text.parse::<Matcher>().expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_written_is_read_or_refused(text in "[a-z]{0,8}[=!~<>]{0,3}.{0,20}") {
            if let Ok(matcher) = text.parse::<Matcher>() {
                proptest::prop_assert_eq!(matcher.to_string().parse::<Matcher>(), Ok(matcher));
            }
        }
    }
}
