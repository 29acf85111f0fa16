//! A case as Markdown, for a ticket or a post-mortem.

use std::fmt::Write as _;

use super::page::Page;

/// The case as one document.
pub fn markdown(page: &Page) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    let _ = writeln!(out, "# {} — {}\n", page.verdict, plain(&page.id));
    let _ = writeln!(out, "**{}**, {}; {}.\n", page.severity, page.status, page.origin);
    for warning in &page.warnings {
        let _ = writeln!(out, "> {}\n", plain(warning));
    }
    table(&mut out, &["", ""], page.about.iter().map(|(label, value)| vec![label.clone(), value.clone()]));
    out.push_str("## Planes\n\n");
    table(
        &mut out,
        &["plane", "team", "verdict", "score", "coverage", "moved first", "because"],
        page.planes.iter().map(|plane| {
            let verdict = if plane.is_in { "in" } else { "not in" };
            let moved = plane.first_moved.clone().unwrap_or_default();
            let because = plane.because.join("; ");
            vec![
                plane.title.to_owned(),
                plane.team.to_owned(),
                verdict.to_owned(),
                plane.score.clone(),
                plane.coverage.clone(),
                moved,
                because,
            ]
        }),
    );
    if let Some(reckoning) = &page.reckoning {
        let _ = writeln!(out, "{}\n", plain(reckoning));
    }
    if !page.moves.is_empty() {
        out.push_str("## First moves\n\n");
        for step in &page.moves {
            let how = step.how.as_ref().map(|how| format!(" ({})", plain(how))).unwrap_or_default();
            let _ = writeln!(out, "{}. **{}**: {}{how}", step.order, step.team, plain(&step.text));
        }
        out.push('\n');
    }
    if !page.reach.is_empty() {
        out.push_str("## Blast radius\n\n");
        if let Some(of) = &page.reach_of {
            let _ = writeln!(out, "Of {}.\n", plain(of));
        }
        table(&mut out, &["", ""], page.reach.iter().map(|(label, value)| vec![label.clone(), value.clone()]));
    }
    out.push_str("## Timeline\n\n");
    table(
        &mut out,
        &["time (UTC)", "plane", "what", "details", "rules", "record"],
        page.moments.iter().map(|moment| {
            let facts = moment.facts.iter().map(|(label, value)| format!("{label}: {value}"));
            let texts = moment.texts.iter().map(|(label, value)| format!("{label}: “{value}”"));
            let details: Vec<String> = facts.chain(texts).collect();
            let rules = match (moment.decided.is_empty(), moment.is_evidence) {
                (false, _) => format!("DECIDED: {}", moment.decided.join(", ")),
                (true, true) => moment.rules.join(", "),
                (true, false) => "context".to_owned(),
            };
            let source = moment.source.clone().unwrap_or_default();
            vec![
                format!("{} {}", moment.day, moment.clock),
                moment.plane.to_owned(),
                moment.what.clone(),
                details.join("; "),
                rules,
                format!("{} {source}", moment.event_id),
            ]
        }),
    );
    if page.moments_omitted > 0 {
        let _ = writeln!(out, "{} moments are not shown.\n", page.moments_omitted);
    }
    for (title, lines) in [
        ("People", &page.handled),
        ("Messages queued (`watershed receivers list` says what was taken)", &page.told),
        ("Not called", &page.held_back),
    ] {
        if !lines.is_empty() {
            let _ = writeln!(out, "## {title}\n");
            for (at, what) in lines {
                let _ = writeln!(out, "- {at} {}", plain(what));
            }
            out.push('\n');
        }
    }
    out.push_str("## Revisions\n\n");
    for (at, revision) in page.revisions.iter().enumerate() {
        if at == 1 && page.revisions_omitted > 0 {
            let _ = writeln!(out, "- {} revisions are not kept", page.revisions_omitted);
        }
        let changes =
            if revision.changes.is_empty() { String::new() } else { format!(" ({})", revision.changes.join("; ")) };
        let _ = writeln!(out, "- **{}** {}{}", revision.number, plain(&revision.reason), plain(&changes));
    }
    out
}

fn table(out: &mut String, columns: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let _ = writeln!(out, "| {} |", columns.join(" | "));
    let _ = writeln!(out, "|{}", "---|".repeat(columns.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| plain(cell)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push('\n');
}

/// Text that Markdown and HTML inside of it take for text: no link, no image, no mention, no cell border.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '[' | ']' | '!' | '|' | '~' | '#' | '$' => {
                out.push('\\');
                out.push(c);
            }
            // Within a word it emphasises nothing.
            '_' if !before.is_alphanumeric() => out.push_str("\\_"),
            // Nobody is called.
            '@' => out.push_str("&#64;"),
            c => out.push(c),
        }
        before = c;
    }
    // No address becomes a link.
    out.replace("://", "&#58;//")
        .replace("mailto:", "mailto&#58;")
        .replace("xmpp:", "xmpp&#58;")
        .replace("www.", "www&#46;")
}
