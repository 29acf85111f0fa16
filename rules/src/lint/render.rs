//! Findings as a person wants to read them: with the line of the rule, marked.

use std::path::Path;

use annotate_snippets::{AnnotationKind, Level as Mark, Renderer, Snippet};

use super::{Level, LintFinding};

/// The findings about one file, each with the place in the file and the way out. `colour` adds terminal colours.
pub fn render(path: &Path, text: &str, findings: &[LintFinding], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let path = path.display().to_string();
    let rendered: Vec<String> = findings
        .iter()
        .map(|finding| {
            let mark = match finding.level {
                Level::Error => Mark::ERROR,
                Level::Warning => Mark::WARNING,
            };
            let span = finding.span.start.min(text.len())..finding.span.end.min(text.len());
            let snippet = Snippet::source(text).path(path.as_str()).annotation(AnnotationKind::Primary.span(span));
            let mut group = mark.primary_title(finding.message.as_str()).id(finding.code.as_str()).element(snippet);
            if !finding.help.is_empty() {
                group = group.element(Mark::HELP.message(finding.help.as_str()));
            }
            renderer.render(&[group])
        })
        .collect();
    rendered.join("\n")
}
