#!/usr/bin/env bash
# Installs and starts cron on a Debian or Ubuntu machine, for django-crontab's jobs, or reports why
# it cannot. It does not change an existing cron.
set -euo pipefail

say() { echo "ensure-cron: $*" >&2; }
fail() { say "$*"; exit 1; }
# The pid file of a killed daemon remains, therefore the process is checked as well.
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
runs || fail "cron did not start within 2 s"
say "cron $(dpkg-query --show --showformat '${Version}' cron 2>/dev/null || echo of unknown version)"
