//! One receiver's view of values: each is shown, masked or withheld, and what was withheld is counted.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::{Captures, Regex};
use watershed_schemas::{BlastRadius, Plane, Withheld};

use super::{Class, Key, Policy, mask_known, mask_secrets};

static EMAIL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+").ok());
static ADDRESS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?-u:\b)(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?-u:\b)|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}").ok()
});

/// An event that somebody looks at.
pub struct Event<'e> {
    /// Whose it is.
    pub plane: Plane,
    /// Its kind.
    pub kind: &'e str,
    /// What was copied of it.
    pub columns: &'e BTreeMap<String, String>,
    /// Whether it is of a plane that the reader answers for.
    pub own: bool,
}

/// How one receiver sees values.
pub struct Lens<'a> {
    policy: Policy,
    key: &'a Key,
    /// Names of the incident's own principal: they are no third person.
    known: BTreeSet<&'a str>,
    /// Whether the incident has a half that is another team's, so that shown values carry their fingerprints too.
    compared: bool,
    withheld: BTreeMap<Class, u32>,
}

impl<'a> Lens<'a> {
    /// The view of a receiver with this policy.
    pub fn new(policy: Policy, key: &'a Key) -> Self {
        Lens { policy, key, known: BTreeSet::new(), compared: false, withheld: BTreeMap::new() }
    }

    /// The incident is about this identity: texts may name it.
    #[must_use]
    pub fn about(mut self, principal: Option<&'a str>) -> Self {
        self.known.extend(principal);
        self
    }

    /// The incident has a half that is another team's, which has to be able to compare.
    #[must_use]
    pub fn compared(mut self, compared: bool) -> Self {
        self.compared = compared;
        self
    }

    /// Whether values of this class are shown.
    pub fn shows(&self, plane: Plane, class: Class) -> bool {
        self.policy.shows(plane, class)
    }

    /// A column of an event as the receiver may see it, under the name that it has there; nothing where it is no concern of the
    /// receiver, or something else stands for it.
    pub fn column<'c>(&mut self, event: &Event<'_>, column: &'c str) -> Option<(&'c str, String)> {
        let value = event.columns.get(column)?;
        let shown = match Class::of(event.plane, event.kind, column) {
            Some(class) => self.shows(event.plane, class),
            None if event.own || Class::is_open_to_others(event.plane, column) => true,
            None => return None,
        };
        let text = column.strip_suffix("_fingerprint");
        // A text that is withheld is stood for by its fingerprint alone, which is of the whole of it.
        if !shown && text.is_none() && event.columns.contains_key(&format!("{column}_fingerprint")) {
            return None;
        }
        let label = if shown { column } else { text.unwrap_or(column) };
        Some((label, self.value(event.plane, event.kind, column, value)))
    }

    /// How far an identity reaches. What it may do, and what access it was allowed, is everybody's who is told of it; what a tool
    /// acted on is of the class of its arguments.
    pub fn blast_radius(&mut self, radius: &BlastRadius) -> BlastRadius {
        let mut radius = radius.clone();
        for reached in &mut radius.did {
            let (plane, kind) = match reached.what.as_str() {
                "target" => (Plane::Model, "tool_call"),
                "resource" => (Plane::Access, "access_allowed"),
                _ => continue,
            };
            reached.name = self.value(plane, kind, &reached.what, &reached.name);
        }
        radius
    }

    /// The value of a column of an event as the receiver may see it: as it is, in part, or `withheld:class#fingerprint`.
    pub fn value(&mut self, plane: Plane, kind: &str, column: &str, value: &str) -> String {
        let Some(class) = Class::of(plane, kind, column) else {
            return self.text(plane, column, value).into_owned();
        };
        if !self.shows(plane, class) {
            return self.withheld(class, value);
        }
        if column.ends_with("_fingerprint") {
            // What is stored is the hash of the text without a key.
            return format!("#{}", self.key.fingerprint(value));
        }
        let text = self.text(plane, column, value).into_owned();
        // Texts have a fingerprint of their own.
        if self.compared && !matches!(column, "content" | "arguments") {
            format!("{text}#{}", self.key.fingerprint(value))
        } else {
            text
        }
    }

    /// What stands for a value that is not shown.
    pub fn withheld(&mut self, class: Class, value: &str) -> String {
        *self.withheld.entry(class).or_default() += 1;
        format!("withheld:{class}#{}", self.key.fingerprint(value))
    }

    /// Counts what is not even stood for.
    pub fn left_out(&mut self, class: Class) {
        *self.withheld.entry(class).or_default() += 1;
    }

    /// A text without secrets, and without the people and addresses that the receiver is not shown.
    fn text<'t>(&mut self, plane: Plane, column: &str, text: &'t str) -> Cow<'t, str> {
        if !Class::is_free_text(column) {
            return mask_known(text);
        }
        let mut text = mask_secrets(text);
        if !self.shows(plane, Class::Personal) {
            text = self.without(text, &EMAIL, Class::Personal);
        }
        if Class::tells_whence(column) && !self.shows(plane, Class::Address) {
            text = self.without(text, &ADDRESS, Class::Address);
        }
        text
    }

    fn without<'t>(&mut self, text: Cow<'t, str>, pattern: &LazyLock<Option<Regex>>, class: Class) -> Cow<'t, str> {
        let Some(pattern) = pattern.as_ref().filter(|pattern| pattern.is_match(&text)) else { return text };
        let replaced = pattern.replace_all(&text, |found: &Captures<'_>| {
            let found = &found[0];
            let real = class != Class::Address || found.parse::<std::net::IpAddr>().is_ok();
            if self.known.contains(found) || !real {
                found.to_owned()
            } else {
                format!("[{}]", self.withheld(class, found))
            }
        });
        Cow::Owned(replaced.into_owned())
    }

    /// What was withheld so far, and this many secrets.
    pub fn tally(mut self, secrets: usize) -> Vec<Withheld> {
        if secrets > 0 {
            *self.withheld.entry(Class::Secret).or_default() += u32::try_from(secrets).unwrap_or(u32::MAX);
        }
        self.withheld.into_iter().map(|(class, count)| Withheld { class: class.name().to_owned(), count }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(planes: &[Plane], column: &str, value: &str) -> String {
        let key = Key::public();
        let mut lens = Lens::new(Policy::of(planes), &key).about(Some("alice@acme.example"));
        lens.value(Plane::Access, "authentication", column, value)
    }

    #[test]
    fn people_and_addresses_in_texts_are_withheld_and_the_subject_is_not() {
        let text =
            "alice@acme.example from 203.0.113.7 or 2001:db8::1 at 10:02:03, says bob@acme.example, password=hunter2";
        let all = seen(&[Plane::Access], "reason", text);
        assert_eq!(all, text.replace("hunter2", "[masked:password]"));
        let none = seen(&[], "policy", text);
        for hidden in ["203.0.113.7", "2001:db8::1", "bob@", "hunter2"] {
            assert!(!none.contains(hidden), "{none}");
        }
        assert!(none.contains("alice@acme.example") && none.contains("10:02:03"), "{none}");
        assert_eq!(none.matches("[withheld:address#").count(), 2, "{none}");
    }

    #[test]
    fn where_a_tool_went_is_no_address_of_a_person() {
        assert_eq!(seen(&[], "resource", "https://10.0.0.7/admin"), "https://10.0.0.7/admin");
    }

    #[test]
    fn what_one_team_is_not_shown_both_can_compare() {
        let key = Key::new(b"k");
        let at = |planes: &[Plane]| {
            let mut lens = Lens::new(Policy::of(planes), &key).compared(true);
            let shown = lens.value(Plane::Access, "authentication", "ip", "203.0.113.7");
            (shown, lens.tally(0))
        };
        let fingerprint = key.fingerprint("203.0.113.7");
        assert_eq!(at(&[Plane::Access]), (format!("203.0.113.7#{fingerprint}"), Vec::new()));
        let withheld = vec![Withheld { class: "address".to_owned(), count: 1 }];
        assert_eq!(at(&[Plane::Model]), (format!("withheld:address#{fingerprint}"), withheld));
    }
}
