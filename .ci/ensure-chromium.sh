#!/usr/bin/env bash
# Installs Chromium on a Debian or Ubuntu machine, for the tests of the report page, or reports why
# it cannot. The tests drive it with Playwright, which downloads no browser.
set -euo pipefail

say() { echo "ensure-chromium: $*" >&2; }
fail() { say "$*"; exit 1; }
first() { command -v chromium || command -v chromium-browser || command -v google-chrome; }

if ! first >/dev/null; then
    ((EUID == 0)) || fail "root is needed; run: sudo apt-get install --no-install-recommends chromium"
    apt-get --quiet --quiet update
    DEBIAN_FRONTEND=noninteractive apt-get --quiet --quiet install --yes \
        --no-install-recommends chromium
fi
browser=$(first) || fail "chromium is not on the path after its installation"
say "$("$browser" --version 2>/dev/null)"
