//! Logs on standard error, one line an event, whatever text an attacker put into its fields.

use std::fmt::{self, Write as _};
use std::io::IsTerminal;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use watershed_connectors::escape;

use crate::config::Log;

/// Sends logs to standard error from now on. `RUST_LOG` wins over the configured level. Only the first call counts.
pub fn init(log: &Log) {
    let json = log.json.unwrap_or_else(|| !std::io::stderr().is_terminal());
    let level = std::env::var("RUST_LOG").unwrap_or_else(|_| log.level.clone());
    let filter = EnvFilter::builder().parse_lossy(level);
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    // A subscriber that is there already belongs to whoever embeds the engine.
    let _ = builder.event_format(Lines { json }).try_init();
}

/// One line an event, JSON or plain. Every text is escaped: line breaks, control characters, what is invisible or turns
/// the direction of reading.
struct Lines {
    json: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let spans: Vec<&str> =
            context.event_scope().into_iter().flat_map(|scope| scope.from_root()).map(|span| span.name()).collect();
        let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let line = if self.json { json(time, event, &spans, fields) } else { plain(&time, event, &spans, &fields) };
        writeln!(writer, "{line}")
    }
}

fn json(time: String, event: &Event<'_>, spans: &[&str], fields: Fields) -> String {
    let mut line = Map::new();
    line.insert("time".to_owned(), time.into());
    line.insert("level".to_owned(), event.metadata().level().as_str().to_ascii_lowercase().into());
    line.insert("target".to_owned(), event.metadata().target().into());
    if !spans.is_empty() {
        line.insert("spans".to_owned(), spans.join(":").into());
    }
    line.insert("message".to_owned(), fields.message.into());
    for (name, value) in fields.others {
        // What an event calls one of the names above must not hide it.
        let name = if line.contains_key(&name) { format!("field_{name}") } else { name };
        line.insert(name, value);
    }
    escape::json_line(&line)
        .unwrap_or_else(|error| format!("{{\"level\":\"error\",\"message\":\"unloggable: {error}\"}}"))
}

fn plain(time: &str, event: &Event<'_>, spans: &[&str], fields: &Fields) -> String {
    let mut line = format!("{time} {:>5} ", event.metadata().level().as_str());
    if !spans.is_empty() {
        // Writing to a String can't fail.
        let _ = write!(line, "{}: ", spans.join(":"));
    }
    line.push_str(&escape::for_log(&fields.message));
    for (name, value) in &fields.others {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let _ = write!(line, " {name}={}", escape::for_log(&text));
    }
    line
}

/// The fields of one event, each text bounded and escaped where it is shown.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(String, Value)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => self.others.push((name.to_owned(), value)),
        }
    }
}

/// A prompt may be megabytes long; nobody reads that in a log.
fn bounded(text: String) -> Value {
    match text.char_indices().nth(escape::MAX_LOG_BYTES) {
        None => Value::String(text),
        Some((cut, _)) => Value::String(format!("{}…", &text[..cut])),
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, bounded(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, bounded(value.to_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(json: bool, log: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber =
            tracing_subscriber::fmt().with_writer(move || writer.clone()).event_format(Lines { json }).finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = buffer.0.lock().expect("nobody panicked").clone();
        String::from_utf8(bytes).expect("lines are text")
    }

    const HOSTILE: &str = "x\n2026-01-01T00:00:00Z ERROR forged\r\u{1b}[2J\u{202e}\u{9b}\u{2028}";

    #[test]
    fn hostile_fields_stay_on_one_visible_line() {
        for json in [true, false] {
            let text = logged(json, || {
                let _span = tracing::info_span!("step").entered();
                tracing::warn!(tool = HOSTILE, debug = ?HOSTILE, display = %HOSTILE, count = 3_u64, "{HOSTILE}");
            });
            let line = text.strip_suffix('\n').expect("a line ends");
            assert!(!line.chars().any(escape::is_deceptive), "{line:?}");
        }
    }

    #[test]
    fn a_json_line_reads_back_with_its_fields() {
        let text = logged(true, || {
            let _span = tracing::info_span!("step").entered();
            tracing::info!(tool = HOSTILE, count = 3_u64, level = "mine", "found");
        });
        let line: Value = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(line["message"], "found");
        assert_eq!(line["level"], "info");
        assert_eq!(line["field_level"], "mine");
        assert_eq!(line["spans"], "step");
        assert_eq!(line["tool"], HOSTILE);
        assert_eq!(line["count"], 3);
    }

    #[test]
    fn a_long_field_is_cut() {
        let long = "ä".repeat(1 << 20);
        for json in [true, false] {
            assert!(logged(json, || tracing::info!(prompt = long, "long")).len() < 8 * escape::MAX_LOG_BYTES);
        }
    }
}
