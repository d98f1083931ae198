#!/usr/bin/env bash
# Makes a Debian or Ubuntu machine run cron, for django-crontab's jobs; or says why it cannot. What
# is there already is left alone.
set -euo pipefail

say() { echo "ensure-cron: $*" >&2; }
fail() { say "$*"; exit 1; }
# The file outlives a daemon that was killed.
runs() {
    local pid name state
    read -r pid </run/crond.pid && read -r _ name state _ <"/proc/$pid/stat" &&
        [[ $name == *cron* && $state != Z ]]
} 2>/dev/null

if ! command -v crontab >/dev/null; then
    ((EUID == 0)) || fail "root is needed; run: sudo apt-get install --no-install-recommends cron"
    apt-get --quiet --quiet update
    # The recommended packages are a mail server, which the lab does not use.
    DEBIAN_FRONTEND=noninteractive apt-get --quiet --quiet install --yes --no-install-recommends cron
fi
if ! runs; then
    ((EUID == 0)) || fail "cron does not run; run: sudo service cron start"
    service cron start >&2
fi
for ((try = 0; try < 20; try++)); do
    if runs; then break; fi
    sleep 0.1
done
runs || fail "cron was started and does not run"
say "cron $(dpkg-query --show --showformat '${Version}' cron 2>/dev/null || echo of unknown version)"
