#!/bin/sh
# Puts a headless browser where the tests of an incident's page find it: Debian's chromium, through apt. Nothing to do where there is
# one already, or where CHROME names one. Where it may not be installed, this says what to do and ends well: the test itself fails.
set -eu
if [ -n "${CHROME:-}" ] || [ "${WATERSHED_SKIP_BROWSER:-}" = 1 ]; then exit 0; fi
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" > /dev/null; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    apt-get install -y --no-install-recommends chromium > /dev/null && exit 0
    apt-get update > /dev/null && apt-get install -y --no-install-recommends chromium > /dev/null && exit 0
fi
echo "there is no browser and it can't be installed here: install chromium, name one in CHROME, or set WATERSHED_SKIP_BROWSER=1" >&2
