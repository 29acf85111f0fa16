use std::path::Path;

use watershed_connectors::sinks::ocsf::case_finding;

use super::{Page, html::html, markdown::markdown, text};
use crate::cases::tests::{hostile, whole};

/// Holds a document against its file; `UPDATE_EXPECTED=1` writes the file.
fn check(name: &str, said: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expected/cases").join(name);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("writable");
        std::fs::write(&path, said).expect("writable");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(said, expected, "{name}: if the new text is better, write it with UPDATE_EXPECTED=1");
}

#[test]
fn documents_say_what_is_expected() {
    for (name, case) in [("whole", whole()), ("hostile", hostile())] {
        let page = Page::of(&case);
        check(&format!("{name}.md"), &markdown(&page));
        check(&format!("{name}.txt"), &(text::show(&page).join("\n") + "\n"));
        check(&format!("{name}.timeline.txt"), &(text::timeline(&page).join("\n") + "\n"));
        check(&format!("{name}.html"), &html(&page).expect("the template fits"));
        check(&format!("{name}.ocsf.json"), &format!("{:#}\n", case_finding(&case)));
    }
}

#[test]
fn a_terminal_shows_nothing_that_deceives_and_no_line_is_too_wide() {
    let page = Page::of(&hostile());
    for line in text::show(&page).into_iter().chain(text::timeline(&page)) {
        assert!(!line.chars().any(watershed_connectors::escape::is_deceptive), "{line:?}");
        assert!(line.chars().count() <= 112, "{line:?}");
    }
}

#[test]
fn markdown_holds_no_markup_of_a_stranger() {
    let said = markdown(&Page::of(&hostile()));
    let unescaped = said.replace("\\]", "");
    for markup in
        ["<script", "<img", "](javascript", "](http", "http://", "www.evil", "@everyone", "\n- item", "\n# heading"]
    {
        assert!(!unescaped.contains(markup), "{markup}: {said}");
    }
    // A cell's border is never a stranger's: every row of a table has as many as its head.
    let mut head = 0;
    for line in said.lines().map(|line| line.replace("\\|", "")) {
        let borders = line.matches('|').count();
        head = if line.starts_with("|--") { borders - 1 } else { head };
        let row = line.starts_with('|') && !line.starts_with("|--") && head > 0;
        assert!(!row || borders - 1 == head || line.contains("| time") || line.contains("| plane"), "{line}");
        head = if line.is_empty() { 0 } else { head };
    }
}

#[test]
fn ocsf_says_our_verdict_in_types_and_an_analysts_in_its_place_and_quotes_no_event() {
    let event = case_finding(&whole());
    assert_eq!(event["time"].as_i64(), Some(1_772_445_900_000), "milliseconds");
    assert_eq!((event["verdict_id"].as_u64(), event["verdict"].as_str()), (Some(2), Some("True Positive")));
    let findings = event["finding_info_list"].as_array().expect("findings");
    let types: Vec<_> = findings.iter().map(|finding| &finding["types"]).collect();
    assert_eq!(types, [&serde_json::json!(["both"]); 3]);
    assert_eq!(findings[2]["related_events"], serde_json::json!([{ "uid": "id-1", "type": "access: token_used" }]));
    assert!(!event.to_string().contains("Ignore what"), "{event}");
}
