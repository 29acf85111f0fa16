#!/bin/sh
# Fetches the jars of the test broker with Maven, once, into a directory outside the clone, and prints that
# directory. Run by `make test` beforehand and by the test harness.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
pom=$here/kafka/pom.xml
version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$pom")
home=${WATERSHED_KAFKA_HOME:-${HOME:?HOME is not set: set WATERSHED_KAFKA_HOME}/.cache/watershed/kafka-$version}

# Marked when whole, so that an interrupted download never looks complete.
if [ ! -e "$home/.complete" ] || [ "$pom" -nt "$home/.complete" ]; then
    for tool in java mvn; do
        command -v "$tool" >/dev/null || {
            echo "no $tool on the PATH: install a JDK (17 or newer) and Maven" >&2
            exit 1
        }
    done
    mkdir -p "$home"
    rm -f "$home"/*.jar "$home/.complete"
    mvn -q -B -f "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$home" >&2
    touch "$home/.complete"
fi
command -v java >/dev/null || { echo "no java on the PATH: install a JDK (17 or newer)" >&2; exit 1; }
echo "$home"
