#!/bin/sh
# Checks that two cargo commands share every third-party crate: what the first has built the second doesn't build
# again under another hash. Usage: same-build.sh "cargo build …" "cargo test --no-run …"
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

artifacts() {
    # shellcheck disable=SC2086 # the command is meant to be split
    $1 --message-format=json >"$work/messages" 2>"$work/log" || {
        cat "$work/log" >&2
        exit 1
    }
    grep '"reason":"compiler-artifact"' "$work/messages" |
        grep '"package_id":"registry+' |
        grep -o '[^"/]*\.\(rlib\|rmeta\|so\|dylib\)"' |
        sort -u
}

artifacts "$1" >"$work/first"
artifacts "$2" >"$work/second"
[ -s "$work/first" ] || { echo "\`$1\` built nothing" >&2; exit 1; }
comm -23 "$work/first" "$work/second" >"$work/twice"
if [ -s "$work/twice" ]; then
    echo "built for \`$1\` and again, differently, for \`$2\`:" >&2
    cat "$work/twice" >&2
    exit 1
fi
echo "$(wc -l <"$work/first" | tr -d ' ') third-party artifacts, all shared"
