//! The command line as it is typed.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use clap::CommandFactory;

use super::*;

mod secrets;

fn parse(line: &str) -> Result<Verb, clap::Error> {
    Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.verb)
}

fn replay(line: &str) -> ReplayArgs {
    match parse(line) {
        Ok(Verb::Replay(args)) => args,
        other => panic!("{line}: {other:?}"),
    }
}

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

/// Runs a verb; gives how it ended and what it wrote.
pub(super) fn say(args: &[&str]) -> (Result<Exit, Error>, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let buffer = Buffer::default();
    let mut output = Output::to(Box::new(buffer.clone()));
    let cli = Cli::try_parse_from(["watershed"].iter().chain(args)).unwrap_or_else(|error| panic!("{error}"));
    let result = dispatch(cli.verb, &mut output);
    let bytes = buffer.0.lock().expect("nobody panicked").clone();
    (result, String::from_utf8(bytes).expect("output is text"))
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_verb_of_the_interface_is_there() {
    for line in [
        "watershed demo --exit --json --seed 7 --record out",
        "watershed replay recording",
        "watershed replay --runtime a.jsonl b.jsonl --identity watershed:c.jsonl.gz --format auto",
        "watershed replay recording --rules r --reference ref --config c.toml --signals s --incidents i --final --batch-size 7 --speed 10x --json --deliver",
        "watershed replay recording --verify --allow-degraded",
        "watershed run --config watershed.toml",
        "watershed record --config watershed.toml --out recording --for 10m",
        "watershed check --config watershed.toml",
        "watershed receivers list --config watershed.toml",
        "watershed receivers test iam-pager --config watershed.toml",
        "watershed rules lint",
        "watershed rules lint rules/catalog",
        "watershed rules lint --json --reference ref rules/catalog",
        "watershed rules test rules/catalog --junit junit.xml",
        "watershed rules explain burst",
        "watershed rules explain rules/burst.sql --on recording --plan --json",
        "watershed rules explain burst --rules r --runtime a.jsonl --identity okta:b.jsonl --config c.toml --events r1,i2",
        "watershed rules explain burst --on recording --entity ana@example.com",
        "watershed rules bench --on recording",
        "watershed rules bench rules/catalog --reference ref --runtime a.jsonl --json",
        "watershed rules export out",
        "watershed formats list",
        "watershed version",
        "watershed completions zsh",
    ] {
        assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err().map(|error| error.to_string()));
    }
}

#[test]
fn wrong_usage_is_refused() {
    for line in [
        "watershed",
        "watershed nothing",
        "watershed replay",
        "watershed replay recording --runtime a.jsonl",
        "watershed replay recording --speed 3x",
        "watershed replay recording --batch-size 0",
        "watershed replay recording --deliver",
        "watershed replay recording --allow-degraded",
        "watershed record --config watershed.toml",
        "watershed record --out recording --for soon",
        "watershed demo --seed many",
        "watershed completions dos",
        "watershed rules explain",
        "watershed rules explain burst --on recording --runtime a.jsonl",
        "watershed rules explain burst --on recording --events a --entity b",
    ] {
        let error = parse(line).err().unwrap_or_else(|| panic!("{line}: was taken"));
        assert_eq!(error.exit_code(), 2, "{line}");
    }
    assert_eq!(parse("watershed replay --help").expect_err("help").exit_code(), 0);
    assert_eq!(parse("watershed --version").expect_err("version").exit_code(), 0);
}

#[test]
fn replay_reads_its_flags() {
    let args = replay(
        "watershed replay --runtime a.jsonl watershed:b.jsonl --identity c.jsonl --final --batch-size 7 --speed 1x",
    );
    let named = |format: Option<&str>, path: &str| InputFile { format: format.map(str::to_owned), path: path.into() };
    assert_eq!(args.runtime, [named(None, "a.jsonl"), named(Some("watershed"), "b.jsonl")]);
    assert_eq!(args.identity, [named(None, "c.jsonl")]);
    assert!(args.final_states && !args.deliver && !args.json);
    assert_eq!((args.batch_size, args.speed.factor()), (7, Some(1.0)));
    assert_eq!(replay("watershed replay recording").speed.factor(), None);
}

#[test]
fn replay_refuses_what_is_not_there() {
    for (line, said) in [
        ("watershed replay no-such-recording", "`no-such-recording` does not exist"),
        ("watershed replay --runtime no-such.jsonl", "`no-such.jsonl` is not a file"),
        ("watershed replay --runtime Cargo.toml --format oktaa", "`oktaa` is no format"),
        ("watershed replay --runtime oktaa:Cargo.toml", "`oktaa` is no format"),
        ("watershed replay src --rules no-such-rules", "--rules: `no-such-rules` does not exist"),
        ("watershed replay src --signals - --incidents -", "go to the same place"),
    ] {
        let error = replay(line).validate().expect_err(line);
        assert_eq!(error.code(), 2, "{line}");
        assert!(error.to_string().contains(said), "{line}: {error}");
    }
}

#[test]
fn a_replay_counts_what_authorised_its_tool_calls() {
    let books = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/books").join(name).display().to_string();
    let (runtime, identity) = (books("runtime.jsonl"), books("identity.jsonl"));
    let (result, said) =
        say(&["replay", "--runtime", &runtime, "--identity", &identity, "--attribution", "--verify", "--json"]);
    assert_eq!(result.expect("it ran"), Exit::Fine, "{said}");
    let said: serde_json::Value = serde_json::from_str(&said).expect("one object");
    let attribution = &said["attribution"];
    let calls = fs_lines(&runtime).iter().filter(|line| line.contains("\"tool_call\"")).count();
    assert_eq!(attribution["tool_calls"], calls, "{attribution}");
    let levels = ["full", "partial", "none"].map(|level| attribution["levels"][level].as_u64().unwrap_or_default());
    assert_eq!(levels.iter().sum::<u64>(), calls as u64);
    assert_eq!(levels, [5, 0, 1], "only the last names neither a credential nor a known account");
    let verified = said["verify"].as_array().expect("every rule");
    assert!(!verified.is_empty() && verified.iter().all(|rule| rule["rule"] != "attribution-of-tool-calls"), "{said}");
}

fn fs_lines(path: &str) -> Vec<String> {
    std::fs::read_to_string(path).expect("it is there").lines().map(str::to_owned).collect()
}

#[test]
fn check_prints_every_problem_and_ends_with_findings() {
    let fixture =
        |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(name).display().to_string();
    let (result, said) = say(&["check", "--config", &fixture("values.toml")]);
    assert_eq!(result.expect("it ran"), Exit::Findings);
    assert!(said.lines().count() > 10 && said.lines().all(|line| line.contains("values.toml")), "{said}");
    let (result, said) = say(&["check", "--config", &fixture("minimal.toml")]);
    assert_eq!(result.expect("it ran"), Exit::Fine, "{said}");
    assert!(said.contains("fine: ") && said.contains("ai-security and iam"), "{said}");
    let (result, said) = say(&["check", "--config", "no-such.toml"]);
    assert_eq!(result.expect("it ran"), Exit::Findings, "{said}");
}

#[test]
fn a_bad_configuration_is_bad_usage_for_other_verbs() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let out = directory.path().join("recording").display().to_string();
    let (result, _) = say(&["record", "--config", "no-such.toml", "--out", &out]);
    let error = result.expect_err("there is no configuration");
    assert_eq!(error.code(), 2);
    assert!(error.to_string().contains("no-such.toml"), "{error}");
}

#[test]
fn files_are_recorded_as_they_are() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(path("runtime.jsonl"), "{\"a\":1}\nnot json\n").expect("it can be written");
    std::fs::write(path("identity.jsonl"), "{\"b\":2}\n").expect("it can be written");
    let config = format!(
        "[input.file]\nruntime = [{{ path = '{}' }}]\nidentity = [{{ path = '{}' }}]\n\
         [[receivers]]\nname = 'all'\nteam = 'soc'\nplanes = ['model', 'access']\ntype = 'stdout'\n",
        path("runtime.jsonl"),
        path("identity.jsonl")
    );
    std::fs::write(path("watershed.toml"), config).expect("it can be written");
    let record = ["record", "--config", &path("watershed.toml"), "--out", &path("recording"), "--for", "400ms"];
    let (result, said) = say(&record);
    assert_eq!(result.expect("it ran"), Exit::Fine);
    assert!(said.starts_with("3 records of 2 partitions in "), "{said}");
    let (result, _) = say(&record);
    let error = result.expect_err("there is a recording already");
    assert!(error.code() == 2 && error.to_string().contains("holds a recording already"), "{error}");
}

#[test]
fn the_catalog_lints_and_exports() {
    let (result, said) = say(&["rules", "lint"]);
    assert_eq!(result.expect("it ran"), Exit::Fine, "{said}");
    assert!(said.contains("29 rules are fine, 0 refused"), "{said}");
    for part in ["  reads ", "  key ", "  remembers ", "  speaks "] {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let dir = directory.path().display().to_string();
    let (result, said) = say(&["rules", "export", &dir]);
    assert_eq!(result.expect("it ran"), Exit::Fine);
    assert_eq!(said.lines().count(), 60, "{said}");
    let (result, said) = say(&["rules", "lint", &dir]);
    assert_eq!(result.expect("it ran"), Exit::Fine, "{said}");
}

#[test]
fn a_refused_rule_is_shown_with_its_place() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("broken.sql");
    std::fs::write(&path, "SELECT 1").expect("it can be written");
    let (result, said) = say(&["rules", "lint", &path.display().to_string()]);
    assert_eq!(result.expect("it ran"), Exit::Findings);
    assert!(said.contains("broken.sql:1:1") && said.contains("0 rules are fine, 1 refused"), "{said}");
    let (result, _) = say(&["rules", "lint", "no-such-rules"]);
    assert_eq!(result.expect_err("there is nothing").code(), 2);
}

#[test]
fn findings_are_json_objects_one_a_line() {
    let (result, said) = say(&["rules", "lint", "--json"]);
    assert!(matches!(result, Ok(Exit::Fine)) && said.is_empty(), "the catalog has no findings: {said}");
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("a.sql"), "SELECT 1").expect("it can be written");
    std::fs::write(directory.path().join("b.sql"), b"/*---\nid: \xff").expect("it can be written");
    let (result, said) = say(&["rules", "lint", "--json", &directory.path().display().to_string()]);
    assert_eq!(result.expect("it ran"), Exit::Findings);
    let found: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let codes: Vec<&str> = found.iter().filter_map(|finding| finding["code"].as_str()).collect();
    assert_eq!(codes, ["W002", "W007"], "{said}");
    for finding in &found {
        assert!(finding["file"].as_str().is_some_and(|file| file.ends_with(".sql")), "{finding}");
        assert!(finding["line"].is_u64() && finding["column"].is_u64() && finding["level"] == "error", "{finding}");
        assert!(finding["message"].is_string() && finding["help"] != "", "{finding}");
    }
    assert_eq!((&found[1]["line"], &found[1]["column"]), (&2.into(), &5.into()));
}

#[test]
fn two_rules_of_one_id_are_a_finding() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let rule = watershed_rules::catalog::CATALOG[0];
    for folder in ["a", "b"] {
        let name = Path::new(rule.path).file_name().expect("it has a name");
        std::fs::create_dir(directory.path().join(folder)).expect("it can be made");
        std::fs::write(directory.path().join(folder).join(name), rule.sql).expect("it can be written");
    }
    let (result, said) = say(&["rules", "lint", &directory.path().display().to_string()]);
    assert_eq!(result.expect("it ran"), Exit::Findings);
    assert!(said.contains("rename one"), "{said}");
}

#[test]
fn formats_version_and_completions_answer() {
    let (result, said) = say(&["formats", "list"]);
    assert_eq!(result.expect("it ran"), Exit::Fine);
    assert!(said.contains("watershed") && said.contains("guardrail") && said.contains("runtime"), "{said}");
    // Whoever only looks sees what a token says; who signed it is said beside.
    let tokens = "../connectors/tests/fixtures/set/access/signed.in.jsonl";
    let (result, said) = say(&["formats", "try", tokens]);
    assert_eq!(result.expect("it ran"), Exit::Fine);
    assert!(said.contains("session_revoked") && said.contains(r#""signature":"unverified""#), "{said}");
    assert!(say(&["version"]).1.starts_with(concat!("watershed ", env!("CARGO_PKG_VERSION"))));
    for shell in ["bash", "zsh", "fish"] {
        assert!(say(&["completions", shell]).1.contains("replay"), "{shell}");
    }
}

#[test]
fn explain_says_what_is_missing() {
    let fixture =
        |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain").join(name).display().to_string();
    let (rules, runtime) = (fixture("rules"), fixture("runtime.jsonl"));
    let wrong = |args: &[&str], expected: &str| {
        let (result, _) = say(&[&["rules", "explain"], args].concat());
        let error = result.expect_err(expected);
        assert!(error.code() == 2 && error.to_string().contains(expected), "{args:?}: {error}");
    };
    wrong(&["no-such\u{1b}[31m"], r"there is no rule `no-such\u{1b}[31m`; there is access-finding-then-model-finding");
    wrong(&["no-such.sql"], "`no-such.sql` can't be read");
    wrong(&["burst", "--rules", "no-such"], "`no-such` does not exist");
    wrong(&["burst", "--rules", &rules, "--events", "g1"], "need something to look in");
    wrong(&["burst", "--rules", &rules, "--on", "no-such"], "`no-such` is no directory");
    wrong(&["burst", "--rules", &rules, "--on", &rules], "is not a recording");
    wrong(&["burst", "--rules", &rules, "--runtime", "no-such.jsonl"], "`no-such.jsonl` is not a file");
    let sample = ["--rules", &rules, "--runtime", &runtime];
    wrong(
        &[&["sequence"], &sample[..], &["--events", "g1,nobody,\u{202e}"]].concat(),
        r"has the id `nobody` or `\u{202e}`",
    );
    wrong(&[&["sequence"], &sample[..], &["--entity", "nobody"]].concat(), "has the principal or session `nobody`");
    let (result, _) = say(&["rules", "bench", &rules]);
    assert_eq!(result.expect_err("nothing to measure on").code(), 2);
    let (result, said) = say(&[&["rules", "explain", "sequence"], &sample[..], &["--events", "g1", "--json"]].concat());
    assert_eq!(result.expect("it ran"), Exit::Fine);
    let said: serde_json::Value = serde_json::from_str(&said).expect("one JSON object");
    assert_eq!(said["reasons"][0]["reason"], "never_came");
    let (result, said) = say(&["rules", "bench", &rules, "--runtime", &runtime, "--json"]);
    assert_eq!(result.expect("it ran"), Exit::Fine);
    let said: serde_json::Value = serde_json::from_str(&said).expect("one JSON object");
    assert_eq!(said["rules"].as_array().map(Vec::len), Some(11));
}
