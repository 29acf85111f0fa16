//! A template: its first line is the title of a message, the rest its text.

use std::io::{self, Write};
use std::path::Path;

use minijinja::{Environment, UndefinedBehavior};
use watershed_connectors::escape;
use watershed_schemas::Notification;

use super::context::context;
use super::escapes;
use super::examples::examples;

/// Longest file of a template.
const SOURCE_BYTES: usize = 64 * 1024;
/// Longest that a template may write.
const OUTPUT_BYTES: usize = 64 * 1024;
/// Instructions that one message may cost; the longest example costs a hundredth of it.
const FUEL: u64 = 500_000;
/// How deep calls may go.
const DEPTH: usize = 32;

/// The templates that come with the program, by name.
pub const BUILT_IN: [(&str, &str); 2] = [
    ("plain", include_str!("../../templates/plain.jinja")),
    ("markdown", include_str!("../../templates/markdown.jinja")),
];

/// Why a template can't write a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(.name, *.line))]
pub struct TemplateError {
    /// The file, or the name of a built-in one.
    pub name: String,
    /// The line in it, where it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

fn place(name: &str, line: Option<usize>) -> String {
    line.map_or_else(|| format!("{name}: "), |line| format!("{name}:{line}: "))
}

/// A template that is ready to write.
#[derive(Debug)]
pub struct Template {
    name: String,
    environment: Environment<'static>,
}

impl Template {
    /// A built-in template by its name, else the file at this path.
    ///
    /// # Errors
    /// Where the file can't be read or is no template.
    pub fn load(name: &Path) -> Result<Template, TemplateError> {
        let shown = name.display().to_string();
        if let Some((_, source)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == shown) {
            return Template::parse(&shown, source);
        }
        let fail = |message: String| TemplateError { name: shown.clone(), line: None, message };
        let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        let metadata = std::fs::metadata(name).map_err(|error| {
            fail(format!("can't be read: {error}; name a file, or one of the built-in templates {}", names.join(", ")))
        })?;
        if metadata.len() > SOURCE_BYTES as u64 {
            return Err(fail(format!("has {} bytes; a template has at most {SOURCE_BYTES}", metadata.len())));
        }
        let source = std::fs::read_to_string(name).map_err(|error| fail(format!("can't be read: {error}")))?;
        Template::parse(&shown, &source)
    }

    /// A template of this text; `name` is for messages.
    ///
    /// # Errors
    /// Where it is no template.
    pub fn parse(name: &str, source: &str) -> Result<Template, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(DEPTH);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        // Errors then say which part of the source they are about.
        environment.set_debug(true);
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.add_filter("slack", |text: String| escapes::slack(&text));
        environment.add_filter("markdown", |text: String| escapes::markdown(&text));
        let template = Template { name: name.to_owned(), environment };
        let mut template = template;
        let added = template.environment.add_template_owned("message", source.to_owned());
        added.map_err(|error| template.error(&error))?;
        Ok(template)
    }

    /// Lets the template write title and text of a message.
    ///
    /// # Errors
    /// Where it asks for what is not there, works too long, or writes too much or nothing.
    pub fn render(&self, notification: &Notification) -> Result<(String, String), TemplateError> {
        let template = self.environment.get_template("message").map_err(|error| self.error(&error))?;
        let mut written = Bounded(Vec::new());
        let rendered = template.render_captured_to(context(notification), &mut written);
        if written.0.len() > OUTPUT_BYTES {
            return Err(
                self.failed(format!("writes more than {OUTPUT_BYTES} bytes; bound its loops, as in `evidence[:10]`"))
            );
        }
        rendered.map_err(|error| self.error(&error))?;
        let text = String::from_utf8_lossy(&written.0);
        let mut lines = text.trim().lines().map(|line| escape::one_line(line.trim_end(), OUTPUT_BYTES));
        let title = lines.next().unwrap_or_default();
        if title.trim().is_empty() {
            return Err(self.failed("writes nothing; its first line is the title of the message".to_owned()));
        }
        let text = lines.collect::<Vec<_>>().join("\n");
        Ok((title, text.trim_matches('\n').to_owned()))
    }

    /// Lets it write every sort of message there is.
    ///
    /// # Errors
    /// The first that it can't, with the name of the example.
    pub fn check(&self) -> Result<(), TemplateError> {
        for example in examples() {
            self.render(&example.notification).map_err(|error| TemplateError {
                message: format!("{} (writing the example `{}`)", error.message, example.name),
                ..error
            })?;
        }
        Ok(())
    }

    fn failed(&self, message: String) -> TemplateError {
        TemplateError { name: self.name.clone(), line: None, message }
    }

    fn error(&self, error: &minijinja::Error) -> TemplateError {
        let kind = error.kind().to_string();
        let message = match error.kind() {
            minijinja::ErrorKind::OutOfFuel => "works too long; bound its loops, as in `evidence[:10]`".to_owned(),
            minijinja::ErrorKind::UndefinedError => {
                let what = error.range().and_then(|range| error.template_source()?.get(range)).unwrap_or("a value");
                format!("`{}` is not there; docs/redaction.md lists what a template can read", escape::for_log(what))
            }
            _ => match error.detail() {
                Some(detail) => format!("{kind}: {}", escape::for_log(detail)),
                None => kind,
            },
        };
        TemplateError { name: self.name.clone(), line: error.line(), message }
    }
}

/// Takes a little more than may be written, so that too much can be told from just enough.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() > OUTPUT_BYTES {
            return Err(io::Error::other("the message is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
