//! Reading structs, their fields and their doc comments from source text.
//!
//! It knows exactly as much Rust as the declarations of settings use; a test holds what it finds against serde.

use std::collections::BTreeMap;

/// One setting.
#[derive(Clone, Debug, Default)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) docs: String,
    /// The type as written.
    written: String,
    /// What `#[serde(with = …)]` makes of it.
    with: String,
    pub(super) optional: bool,
    pub(super) flatten: bool,
}

/// One variant of an enum of settings.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) docs: String,
    /// The type of its settings.
    pub(super) kind: String,
}

/// One struct, or enum of structs.
#[derive(Clone, Debug, Default)]
pub(super) struct Declaration {
    pub(super) docs: String,
    pub(super) fields: Vec<Field>,
    pub(super) variants: Vec<Variant>,
}

impl Declaration {
    /// Whether it is a table of the file: a struct with named fields.
    pub(super) fn is_section(&self) -> bool {
        !self.fields.is_empty()
    }
}

/// Declarations by name.
#[derive(Debug, Default)]
pub(super) struct Declarations(BTreeMap<String, Declaration>);

impl Declarations {
    pub(super) fn get(&self, name: &str) -> Option<&Declaration> {
        self.0.get(name)
    }

    /// Reads the declarations of one file; `prefix` goes before their names.
    pub(super) fn read(&mut self, prefix: &str, source: &str) {
        let mut docs: Vec<String> = Vec::new();
        let mut attributes = String::new();
        let mut open: Option<(String, Declaration, bool)> = None;
        for line in source.lines() {
            let text = line.trim();
            if let Some(doc) = text.strip_prefix("///") {
                docs.push(doc.trim().to_owned());
                continue;
            }
            if text.starts_with("#[") {
                attributes.push_str(text);
                continue;
            }
            let bare = bare(text);
            if let Some((name, declaration, all_optional)) = &mut open {
                if line == "}" {
                    if !declaration.fields.is_empty() || !declaration.variants.is_empty() {
                        self.0.insert(format!("{prefix}{name}"), declaration.clone());
                    }
                    open = None;
                } else if let Some((field, written)) = bare.split_once(": ") {
                    let written = written.trim_end_matches(',').to_owned();
                    let renamed = between(&attributes, "rename = \"", "\"").unwrap_or(field);
                    let defaulted = attributes.contains("default") || written.starts_with("Option<");
                    declaration.fields.push(Field {
                        name: renamed.to_owned(),
                        docs: docs.join("\n"),
                        with: between(&attributes, "with = \"", "\"").unwrap_or_default().to_owned(),
                        optional: *all_optional || defaulted,
                        flatten: attributes.contains("flatten"),
                        written,
                    });
                } else if let Some((variant, kind)) = bare.trim_end_matches(',').trim_end_matches(')').split_once('(') {
                    let (name, kind) = (variant.to_owned(), kind.to_owned());
                    declaration.variants.push(Variant { name, docs: docs.join("\n"), kind });
                }
            } else if let Some(name) = bare.strip_prefix("struct ").or_else(|| bare.strip_prefix("enum "))
                && let Some(name) = name.strip_suffix(" {")
            {
                let all_optional = attributes.contains("default)") || attributes.contains("(default");
                open = Some((
                    name.to_owned(),
                    Declaration { docs: docs.join("\n"), ..Declaration::default() },
                    all_optional,
                ));
            }
            docs.clear();
            attributes.clear();
        }
    }
}

/// A line without its visibility.
fn bare(text: &str) -> &str {
    let Some(rest) = text.strip_prefix("pub") else { return text };
    match rest.strip_prefix('(') {
        Some(rest) => rest.split_once(") ").map_or(text, |(_, rest)| rest),
        None => rest.trim_start(),
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(inner, _)| inner)
}

impl Field {
    /// The type without what wraps it.
    pub(super) fn inner(&self) -> &str {
        let mut inner = self.written.as_str();
        for wrapper in ["Option<", "Vec<", "Box<"] {
            inner = inner.strip_prefix(wrapper).and_then(|rest| rest.strip_suffix('>')).unwrap_or(inner);
        }
        match between(inner, "BTreeMap<String, ", ">") {
            Some(value) => value,
            None => inner,
        }
    }

    pub(super) fn is_list(&self) -> bool {
        self.written.starts_with("Vec<")
    }

    pub(super) fn is_map(&self) -> bool {
        self.written.starts_with("BTreeMap<")
    }

    /// What an absent setting is, where its type says so.
    pub(super) fn empty(&self) -> &'static str {
        match self.written.as_str() {
            "bool" => "`false`",
            written if written.starts_with("Vec<") => "`[]`",
            _ => "",
        }
    }

    /// What is written there, for a person.
    pub(super) fn kind(&self) -> String {
        let one = if self.with.ends_with("duration") {
            "duration"
        } else if self.with.ends_with("byte_size") {
            "size"
        } else {
            match self.inner() {
                "bool" => "`true` or `false`",
                "PathBuf" | "BTreeSet<PathBuf>" => "path",
                "usize" | "u32" | "u64" | "f64" => "number",
                "SecretRef" => "secret",
                "PerPlane" => "number, or table of two",
                _ => "text",
            }
        };
        let many = self.is_list() || self.written.contains("BTreeSet<") || self.written.contains("<Vec<");
        if many { format!("list of {one}") } else { one.to_owned() }
    }
}
