#!/bin/sh
# Fetches the jars of the test broker with Maven, once, into a directory outside the clone, and prints that
# directory. Run by `make test` beforehand and by the test harness where the directory is missing.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/kafka/pom.xml")
home=${WATERSHED_KAFKA_HOME:-${HOME:?HOME is not set: set WATERSHED_KAFKA_HOME}/.cache/watershed/kafka-$version}

if [ ! -d "$home" ]; then
    for tool in java mvn; do
        command -v "$tool" >/dev/null || {
            echo "no $tool on the PATH: install a JDK 17 or newer and Maven, or set WATERSHED_TEST_KAFKA=host:port" >&2
            exit 1
        }
    done
    mkdir -p "$(dirname -- "$home")"
    # Filled beside its place and renamed, so that an interrupted download never looks complete.
    part=$(mktemp -d "$home.part.XXXXXX")
    trap 'rm -rf "$part"' EXIT
    mvn -q -B -f "$here/kafka/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$part/libs" >&2
    # Whoever comes second keeps what the first one fetched.
    [ -d "$home" ] || mv "$part" "$home"
fi
echo "$home"
