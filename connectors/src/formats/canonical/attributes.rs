//! What a record says beyond the columns: the text of the column `attributes`.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// The members of the column `attributes`, as JSON text that mostly borrows from the record.
#[derive(Debug, Default)]
pub(in crate::formats) struct Attributes<'a> {
    /// The record's own `attributes` object.
    given: Option<Cow<'a, str>>,
    /// Members without a column and values that their column can't hold; values as JSON text.
    members: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Attributes<'a> {
    /// Sets the record's own `attributes`. An object, or a string that holds one, is taken as it is;
    /// anything else is kept as a member of that name.
    pub(in crate::formats) fn give(&mut self, json: Cow<'a, str>) {
        self.given = None;
        self.remove("attributes");
        match json.as_bytes().first() {
            Some(b'{') => self.given = Some(json),
            Some(b'n') | None => {}
            Some(b'"') => match unquote(json) {
                Ok(text) if is_object(&text) => self.given = Some(trimmed(text)),
                Ok(text) if text.is_empty() => {}
                Ok(text) => self.set(Cow::Borrowed("attributes"), quote(&text)),
                Err(json) => self.set(Cow::Borrowed("attributes"), json),
            },
            Some(_) => self.set(Cow::Borrowed("attributes"), json),
        }
    }

    /// Sets a member to a value given as JSON text. Of repeated names the last one counts.
    pub(in crate::formats) fn set(&mut self, name: Cow<'a, str>, json: Cow<'a, str>) {
        match self.members.iter_mut().find(|(known, _)| *known == name) {
            Some((_, value)) => *value = json,
            None => self.members.push((name, json)),
        }
    }

    /// Takes a member away; gives its value as JSON text.
    pub(in crate::formats) fn remove(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let at = self.members.iter().position(|(known, _)| known == name)?;
        Some(self.members.remove(at).1)
    }

    /// More attributes than there are: fewer than five bytes each do not exist.
    pub(super) fn at_most(&self) -> usize {
        self.given.as_ref().map_or(0, |given| given.len() / 5 + 1) + self.members.len()
    }

    /// The column's text, or why there is too much of it.
    pub(in crate::formats) fn finish(self, limit: usize) -> Result<Option<Cow<'a, str>>, String> {
        let given = match self.given {
            // Fewer than five bytes a member do not exist, so most objects need no counting.
            Some(given) if self.members.is_empty() && given.len() / 5 < limit => return Ok(Some(given)),
            None if self.members.is_empty() => return Ok(None),
            given => given.unwrap_or_default(),
        };
        let taken = if given.is_empty() { Vec::new() } else { names_of(&given) };
        let count = taken.len() + self.members.len();
        if count > limit {
            return Err(format!("has {count} attributes, more than the limit `attributes` of {limit}"));
        }
        if self.members.is_empty() {
            return Ok(Some(given));
        }
        let mut text = String::with_capacity(
            given.len() + self.members.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>() + 2,
        );
        // The given object less its closing bracket.
        text.push_str(if taken.is_empty() { "{" } else { given.trim_end().strip_suffix('}').unwrap_or("{") });
        let mut first = taken.is_empty();
        for (name, value) in self.members {
            if !std::mem::take(&mut first) {
                text.push(',');
            }
            push_name(&mut text, name, &taken);
            text.push(':');
            text.push_str(&value);
        }
        text.push('}');
        Ok(Some(Cow::Owned(text)))
    }
}

/// A record's own attribute keeps its name; a member that comes later with the same one gets an underscore.
fn push_name(text: &mut String, name: Cow<'_, str>, taken: &[Cow<'_, str>]) {
    let mut name = name;
    while taken.contains(&name) {
        name.to_mut().push('_');
    }
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')) {
        text.extend(["\"", &name, "\""]);
    } else {
        text.push_str(&quote(&name));
    }
}

fn names_of(object: &str) -> Vec<Cow<'_, str>> {
    sonic_rs::to_object_iter(object).map_while(|member| member.ok().map(|(name, _)| name)).collect()
}

fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

/// A text as JSON.
pub(in crate::formats) fn quote(text: &str) -> Cow<'static, str> {
    // Strings always serialise.
    Cow::Owned(serde_json::to_string(text).unwrap_or_default())
}

/// The text of a JSON string; gives a string back that is not valid after all.
pub(in crate::formats) fn unquote(json: Cow<'_, str>) -> Result<Cow<'_, str>, Cow<'_, str>> {
    if json.contains('\\') {
        return serde_json::from_str::<String>(&json).map(Cow::Owned).map_err(|_| json);
    }
    match json {
        Cow::Borrowed(json) => {
            Ok(Cow::Borrowed(json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(json)))
        }
        Cow::Owned(json) => Ok(Cow::Owned(json.trim_matches('"').to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: Option<&'static str>, members: &[(&'static str, &'static str)], expected: Option<&str>) {
        let mut attributes = Attributes::default();
        if let Some(given) = given {
            attributes.give(Cow::Borrowed(given));
        }
        for (name, value) in members {
            attributes.set(Cow::Borrowed(*name), Cow::Borrowed(*value));
        }
        assert_eq!(attributes.finish(8).expect("few").as_deref(), expected);
    }

    #[test]
    fn objects_and_members_merge() {
        check(None, &[], None);
        check(Some("null"), &[], None);
        check(Some(r#"{"a":1}"#), &[], Some(r#"{"a":1}"#));
        check(Some(r#""{\"a\":1} ""#), &[("b", "2")], Some(r#"{"a":1,"b":2}"#));
        check(Some(r#"{"a":{"x":{}}}"#), &[("b\"", "2")], Some(r#"{"a":{"x":{}},"b\"":2}"#));
        check(Some("{ }"), &[("b", "2"), ("c", "3")], Some(r#"{"b":2,"c":3}"#));
        check(None, &[("b", "2"), ("b", "3")], Some(r#"{"b":3}"#));
        check(Some(r#"{"a":1,"a_":2}"#), &[("a", "3")], Some(r#"{"a":1,"a_":2,"a__":3}"#));
    }

    #[test]
    fn what_is_no_object_becomes_a_member() {
        check(Some("[1]"), &[], Some(r#"{"attributes":[1]}"#));
        check(Some(r#""plain""#), &[], Some(r#"{"attributes":"plain"}"#));
        check(Some(r#""{broken""#), &[], Some(r#"{"attributes":"{broken"}"#));
        check(Some(r#""{} {}""#), &[], Some(r#"{"attributes":"{} {}"}"#));
        check(Some(r#""""#), &[], None);
    }

    #[test]
    fn too_many_are_refused() {
        let mut attributes = Attributes::default();
        attributes.give(Cow::Borrowed(r#"{"a":1,"b":2}"#));
        attributes.set(Cow::Borrowed("c"), Cow::Borrowed("3"));
        let reason = attributes.finish(2).expect_err("three");
        assert!(reason.contains("has 3 attributes"), "{reason}");
        let mut attributes = Attributes::default();
        attributes.give(Cow::Borrowed(r#"{"a":1,"b":2,"c":3}"#));
        assert!(attributes.finish(2).is_err());
    }
}
