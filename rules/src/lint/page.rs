//! The page `docs/lint.md`: every code with what it means, and an example of what it refuses and of what to write instead.

use std::fmt::Write;

use super::{Code, Level};
use crate::sandbox;

const INTRODUCTION: &str = "\
# What lint finds

<!-- Made from the examples beside the codes by `UPDATE_EXPECTED=1 cargo test --workspace --test rules lint_page`. -->

`watershed rules lint [PATH]` compiles every rule and says what is wrong with it, where, and what to write instead; it exits
with 1 when a rule is refused. `--json` prints one object a line for each finding: `code`, `level` (`error` refuses the rule,
`warning` doesn't), `file`, `line` and `column` from 1, `message`, `help`. Codes are stable.

Each *bad* example below is refused (or warned about) with exactly its code, each *good* one compiles without a finding: a
test compiles them all. Where only SQL is shown, the front matter around it is that of any rule, with the key that the first
line names.
";

const FUNCTIONS: &str = "
## Functions

DataFusion's functions of these names, and ours:

- `json_text(json, path)`: a value inside JSON text, as text; names separated by dots, `[n]` for elements of lists, or a JSON
  Pointer. NULL where there is nothing.
- `cidr_contains(network, ip)`: whether the address lies in the network. `ip_prefix(ip, bits)`: the network of that many bits
  that it lies in.
- `hop(time, size, slide)`: the starts of all sliding buckets that hold the time, as a list; `unnest(hop(…)) AS bucket` in a
  subquery gives a row for each, to be grouped by.
";

/// The page.
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n| code | level | meaning |\n|---|---|---|\n");
    for code in Code::ALL {
        // A text has room for everything that is written to it.
        let _ = writeln!(page, "| [{code}](#{}) | {} | {} |", anchor(*code), level(*code), code.meaning());
    }
    for code in Code::ALL {
        let example = code.example();
        let _ = write!(
            page,
            "\n## {code}\n\n{} ({})\n\n{}\n\nBad:\n\n{}\nGood:\n\n{}",
            code.meaning(),
            level(*code),
            example.why,
            example.bad.shown(),
            example.good.shown()
        );
    }
    functions(&mut page);
    page
}

/// The functions that rules may call.
fn functions(page: &mut String) {
    page.push_str(FUNCTIONS);
    for (what, names) in [
        ("Scalar functions", sandbox::SCALAR),
        ("Aggregates", sandbox::AGGREGATE),
        ("Window functions beside them", sandbox::WINDOW),
    ] {
        let mut names = names.to_vec();
        names.sort_unstable();
        let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
        let _ = write!(page, "\n{what}: {}.\n", names.join(", "));
    }
}

fn anchor(code: Code) -> String {
    code.as_str().to_lowercase()
}

fn level(code: Code) -> &'static str {
    match code.level() {
        Level::Error => "error",
        Level::Warning => "warning",
    }
}
