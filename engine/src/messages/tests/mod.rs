pub(crate) mod golden;
pub(crate) mod sinks;

use std::fs;
use std::path::Path;

use super::*;

fn template(source: &str) -> Template {
    Template::parse("test.jinja", source).expect("a template")
}

fn wrong(source: &str) -> String {
    let checked = Template::parse("test.jinja", source).and_then(|template| template.check());
    checked.expect_err("a template that can't be used").to_string()
}

#[test]
fn built_in_templates_write_every_example() {
    for (name, _) in BUILT_IN {
        Template::load(Path::new(name)).expect("built in").check().unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn what_a_template_does_wrong_is_said_with_its_line_and_the_example_that_shows_it() {
    let cases = [
        ("{{ title }}\n{{ principle }}", "test.jinja:2: `principle` is not there"),
        ("{{ title }}\n{{ handled.by }}", "test.jinja:2: "),
        ("{{ title }}\n{% for x in %}", "test.jinja:2: syntax error"),
        ("{{ title }}{{ evidence[0].summary }}", "test.jinja:1: "),
        ("{{ title }}\n{{ sessions[40] }}", "test.jinja:2: "),
        ("{{ title|upper|unknown }}", "unknown filter"),
        ("{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}", "test.jinja"),
        ("{% for a in range(9000) %}{{ title }}{% endfor %}", "writes more than 65536 bytes"),
        ("{# nothing #}", "writes nothing"),
        ("{% include '/etc/passwd' %}", "test.jinja:1: "),
    ];
    for (source, expected) in cases {
        let said = wrong(source);
        assert!(said.contains(expected) && said.starts_with("test.jinja"), "{source:?}: {said}");
    }
    // Only the example without evidence shows it.
    assert!(wrong("{{ title }}{{ evidence[0].summary }}").contains("example `withdrawn-whole`"));
}

#[test]
fn every_field_of_the_notification_can_be_asked_for() {
    let schema = schemars::schema_for!(watershed_schemas::Notification);
    let fields = schema.get("properties").and_then(serde_json::Value::as_object).expect("an object");
    assert!(fields.len() > 30);
    for example in examples() {
        let context = context::context(&example.notification);
        for field in fields.keys() {
            assert!(context.get(field).is_some(), "`{field}` can't be read in `{}`", example.name);
        }
    }
    let by_notice = template("{{ title }}\n{% if notice %}{{ notice.kind }} of {{ notice.subject }}{% endif %}");
    by_notice.check().unwrap_or_else(|error| panic!("{error}"));
    assert!(wrong("{{ title }}{% if notice %}{{ nix }}{% endif %}").contains("example `notice`"));
    assert!(wrong("{{ title }}{% if severity == 'low' %}{{ nix }}{% endif %}").contains("example `notice`"));
}

#[test]
fn a_value_can_neither_be_a_line_nor_a_template() {
    let hostile = examples().into_iter().find(|example| example.name == "hostile").expect("an example").notification;
    let (title, text) = template("{{ title }}\n{{ principal }}").render(&hostile).expect("written");
    assert_eq!((title.lines().count(), text.lines().count()), (1, 1));
    assert!(text.contains("{{ 7*7 }}") && text.contains(r"\u{202e}") && text.contains(r"\r\nERROR"), "{text}");
}

#[test]
fn what_is_not_in_the_notification_can_not_be_read() {
    let example = &examples()[0].notification;
    let (_, text) = template("t\n{{ words|list|join(' ') }}").render(example).expect("written");
    assert_eq!(text.split(' ').count(), 7, "{text}");
}

#[test]
fn a_file_that_is_not_there_and_one_that_is_too_long_are_named() {
    let absent = Template::load(Path::new("no/such.jinja")).expect_err("absent").to_string();
    assert!(absent.contains("no/such.jinja: can't be read") && absent.contains("plain, markdown"), "{absent}");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("long.jinja");
    fs::write(&path, "x".repeat(70_000)).expect("written");
    let long = Template::load(&path).expect_err("too long").to_string();
    assert!(long.contains("has 70000 bytes"), "{long}");
}

#[test]
fn a_sink_with_a_template_says_what_it_wrote_and_without_one_its_own_words() {
    use std::sync::Arc;

    use watershed_connectors::sinks::Sink as _;
    use watershed_schemas::Notification;

    let example = examples().remove(0).notification;
    let secret = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    let message = Notification { principal: Some(format!("bot {secret}")), ..example };
    let ours = Arc::new(template("OURS {{ severity }}\nsays {{ principal }}\nand {{ first_move }}"));
    let rare = Arc::new(template("OURS\n{{ sessions[7] }}"));
    for (kind, sink) in sinks::sinks() {
        let written = Outgoing::new(Arc::clone(&sink), Some(Arc::clone(&ours))).preview(&message).to_string();
        if ["slack", "slack-bot", "pagerduty", "webhook", "cloudevents", "splunk", "stdout", "file"].contains(&kind) {
            assert!(written.contains("says bot [masked:github-token]"), "{kind}: {written}");
            assert!(written.contains("OURS high"), "{kind}: {written}");
        }
        assert!(!written.contains(secret), "{kind}: {written}");
        let before = template_failures();
        let fallen_back = Outgoing::new(Arc::clone(&sink), Some(Arc::clone(&rare))).preview(&message);
        assert_eq!(fallen_back, sink.preview(&message), "{kind}");
        assert!(template_failures() > before, "{kind}");
    }
}

/// Without this a Slack bot would post another message in place of editing the one that stands.
#[test]
fn what_goes_before_a_sink_remembers_for_it() {
    let remembering: Vec<&str> =
        sinks::sinks().iter().filter(|(_, sink)| sink.remembers()).map(|(kind, _)| *kind).collect();
    assert_eq!(remembering, ["slack-bot"]);
}
