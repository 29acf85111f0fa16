//! A case for a terminal: what matters first, then two lanes.

use super::page::{MomentPage, Page};

/// Columns of a terminal that text takes; the lanes take two more.
const WIDTH: usize = 110;
/// Columns of the time in the middle of the lanes.
const CLOCK: usize = 12;

/// Everything of a case, the timeline as two lanes.
pub fn show(page: &Page) -> Vec<String> {
    let mut out = Vec::new();
    out.push(format!("{}  [{}, {}]  {}", page.verdict.to_uppercase(), page.severity, page.status, page.id));
    out.push(page.origin.clone());
    for warning in &page.warnings {
        out.extend(wrapped("! ", warning));
    }
    out.push(String::new());
    for (label, value) in &page.about {
        out.extend(labelled(label, value));
    }
    heading(&mut out, "planes");
    for plane in &page.planes {
        let verdict = if plane.is_in { "in the verdict" } else { "not in the verdict" };
        out.push(format!("  {} ({}): score {}, {verdict}; {}", plane.title, plane.team, plane.score, plane.coverage));
        if let Some(moved) = &plane.first_moved {
            out.push(format!("      moved first at {moved}"));
        }
        plane.because.iter().for_each(|line| out.extend(wrapped("      ", line)));
    }
    if let Some(reckoning) = &page.reckoning {
        out.extend(wrapped("  ", reckoning));
    }
    if !page.moves.is_empty() {
        heading(&mut out, "first moves");
        for step in &page.moves {
            out.extend(wrapped(&format!("  {:>2}. [{}] ", step.order, step.team), &step.text));
            if let Some(how) = &step.how {
                out.extend(wrapped("      how: ", how));
            }
        }
    }
    if !page.reach.is_empty() {
        heading(&mut out, "blast radius");
        page.reach_of.iter().for_each(|of| out.push(format!("  of {of}")));
        for (label, value) in &page.reach {
            out.extend(labelled(label, value));
        }
    }
    lanes(&mut out, page);
    for (title, lines) in [
        ("people", &page.handled),
        ("messages queued (watershed receivers list says what was taken)", &page.told),
        ("not called", &page.held_back),
    ] {
        if !lines.is_empty() {
            heading(&mut out, title);
            for (at, what) in lines {
                out.extend(wrapped("  ", &format!("{at}  {what}")));
            }
        }
    }
    heading(&mut out, "revisions");
    for (at, revision) in page.revisions.iter().enumerate() {
        if at == 1 && page.revisions_omitted > 0 {
            out.push(format!("  … {} revisions are not kept", page.revisions_omitted));
        }
        out.extend(wrapped("  ", &format!("{}. {}", revision.number, revision.reason)));
        revision.changes.iter().for_each(|change| out.extend(wrapped("      ", change)));
    }
    out
}

/// Every moment in full, one under the other.
pub fn timeline(page: &Page) -> Vec<String> {
    let mut out = vec![format!("{}  [{}, {}]  {}", page.verdict, page.severity, page.status, page.id)];
    for moment in &page.moments {
        out.push(String::new());
        let weight = if moment.is_evidence { "evidence" } else { "context" };
        out.push(format!("{} {}  {} plane, {weight}", moment.day, moment.clock, moment.plane));
        out.extend(wrapped("  ", &moment.what));
        for rule in &moment.decided {
            out.push(format!("  DECIDED: {rule} brought a plane into the verdict here"));
        }
        for (label, value) in &moment.facts {
            out.extend(labelled(label, value));
        }
        for (label, value) in &moment.texts {
            out.extend(labelled(label, &format!("\"{value}\"")));
        }
        if !moment.rules.is_empty() {
            out.extend(labelled("rules", &moment.rules.join(", ")));
        }
        out.extend(labelled("event", &moment.event_id));
        moment.source.iter().for_each(|source| out.extend(labelled("record", source)));
    }
    omitted(&mut out, page);
    out
}

fn lanes(out: &mut Vec<String>, page: &Page) {
    heading(out, "timeline");
    let lane = (WIDTH - CLOCK - 6) / 2;
    out.push(format!("  {:<lane$} | {:^CLOCK$} | {}", "model plane", "UTC", "access plane"));
    out.push(format!("  {}", "-".repeat(WIDTH - 2)));
    let mut day = "";
    for moment in &page.moments {
        if moment.day != day {
            day = &moment.day;
            out.push(format!("  {:<lane$} | {day:^CLOCK$} |", ""));
        }
        let lines = in_lane(moment, lane);
        for (at, line) in lines.iter().enumerate() {
            let clock = if at == 0 { moment.clock.chars().take(CLOCK).collect() } else { String::new() };
            let padding = " ".repeat(lane.saturating_sub(line.chars().count()));
            let row = match moment.plane {
                "model" => format!("  {line}{padding} | {clock:^CLOCK$} |"),
                _ => format!("  {} | {clock:^CLOCK$} | {line}", " ".repeat(lane)),
            };
            out.push(row.trim_end().to_owned());
        }
    }
    if page.moments.is_empty() {
        out.push("  nothing was kept of what happened".to_owned());
    }
    omitted(out, page);
}

/// A moment in one lane: what it decided, what happened, who, and on what rules.
fn in_lane(moment: &MomentPage, width: usize) -> Vec<String> {
    let mark = match (moment.decided.is_empty(), moment.is_evidence) {
        (false, _) => ">> ",
        (true, true) => " * ",
        (true, false) => " . ",
    };
    let mut lines = cut(mark, "   ", &moment.what, width);
    let who = ["who", "acting", "agent", "credential"];
    let facts: Vec<String> = moment
        .facts
        .iter()
        .filter(|(label, _)| who.contains(label))
        .map(|(label, value)| format!("{label} {value}"))
        .collect();
    if moment.is_evidence && !facts.is_empty() {
        lines.extend(cut("   ", "   ", &facts.join(", "), width));
    }
    for (label, text) in moment.texts.iter().filter(|(label, _)| !label.ends_with("fingerprint")) {
        let text: String = text.chars().take(2 * width).collect();
        lines.extend(cut("   ", "   ", &format!("{label}: \"{text}\""), width));
    }
    for rule in &moment.decided {
        lines.extend(cut("   ", "   ", &format!("decided: {rule}"), width));
    }
    lines
}

fn omitted(out: &mut Vec<String>, page: &Page) {
    if page.moments_omitted > 0 {
        out.push(format!("  {} moments are not shown", page.moments_omitted));
    }
}

fn heading(out: &mut Vec<String>, title: &str) {
    out.push(String::new());
    out.push(title.to_uppercase());
}

fn labelled(label: &str, value: &str) -> Vec<String> {
    cut(&format!("  {label:<24} "), &" ".repeat(27), value, WIDTH)
}

fn wrapped(indent: &str, text: &str) -> Vec<String> {
    cut(indent, &" ".repeat(indent.chars().count()), text, WIDTH)
}

/// A text in lines of at most so many characters, cut between words where there are any.
fn cut(first: &str, rest: &str, text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut empty = true;
    let room = width.saturating_sub(rest.chars().count()).max(8);
    let words = text.split(' ').flat_map(|word| {
        let chars: Vec<char> = word.chars().collect();
        let pieces: Vec<String> = chars.chunks(room).map(|piece| piece.iter().collect()).collect();
        if pieces.is_empty() { vec![String::new()] } else { pieces }
    });
    for word in words {
        if !empty && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut line, rest.to_owned()));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(&word);
        empty = false;
    }
    lines.push(line.trim_end().to_owned());
    lines
}
