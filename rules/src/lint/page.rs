//! The page `docs/lint.md`: every code with what it means, and an example of what it refuses and of what to write instead.

use std::fmt::Write;

use super::{Code, Level};

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
    page
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
