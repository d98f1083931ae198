#!/usr/bin/env bash
# Prepares a Debian or Ubuntu machine for clusters in containers: afterwards `docker` and
# `docker compose` (v2) work, or this script reports why not. It does not change an existing
# installation: it never stops, updates or reconfigures an engine that responds.
set -euo pipefail
name=ensure-docker

# The folder of logs and downloads. Only this user may write above it, so that no other user can put
# a link or a program there.
if ((EUID == 0)); then
    state=${LAB_DOCKER_STATE:-/var/lib/lab-docker}
else
    state=${LAB_DOCKER_STATE:-${XDG_STATE_HOME:-$HOME/.local/state}/lab-docker}
fi
data=${LAB_DOCKER_DATA:-/var/lib/docker}
plugins=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins

. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

answers() { docker info >/dev/null 2>&1; }

install_missing() {
    local missing=()
    # From Debian 13 on, the client is a separate package.
    have docker || missing+=(docker.io docker-cli)
    answers || have dockerd || missing+=(docker.io iptables)
    if ((EUID == 0)) && have apt-get; then
        have mmdebstrap || missing+=(mmdebstrap) # builds base images if no registry responds
        have ip || missing+=(iproute2)           # tests make the hosts of a swarm with it
    fi
    if ((${#missing[@]})); then install "${missing[@]}"; fi
}

start_engine() {
    [[ $(docker info 2>&1 || true) != *"permission denied"* ]] ||
        fail "you may not use the engine; run: sudo usermod -aG docker $(id -un), and log in again"
    [[ -z ${DOCKER_HOST:-} ]] || fail "the engine at DOCKER_HOST does not respond"
    ((EUID == 0)) || fail "the engine is not running; run: sudo systemctl start docker"
    if [[ -d /run/systemd/system ]]; then
        systemctl start docker
    else
        start_daemon
    fi
    local try
    for ((try = 0; try < 120; try++)); do
        if answers; then return; fi
        sleep 0.25
    done
    fail "the engine did not start within 30 s: $(tail -n 3 "$state/dockerd.log" 2>/dev/null)"
}

start_daemon() {
    rm -f /var/run/docker.pid # a stale file, because no engine responds
    [[ -d $data && ! -L $data ]] || prepare_folder "$data"
    check_folder "$data"
    local storage=overlay2
    # The kernel refuses an overlay on an overlay. The check is on the data folder, maybe a mount.
    [[ $(stat --file-system --format %T "$data") != overlayfs ]] || storage=vfs
    # The daemon must not inherit the descriptor of the lock: the next caller would wait for ever.
    setsid dockerd --data-root "$data" --storage-driver "$storage" --userland-proxy=false \
        --log-level warn --log-opt max-size=20m --shutdown-timeout 5 \
        </dev/null >>"$state/dockerd.log" 2>&1 9>&- &
}

install_plugins() {
    if docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1; then
        return
    fi
    if offered docker-compose-v2; then # Ubuntu
        install docker-compose-v2 docker-buildx
    elif offered docker-buildx; then # Debian from 13 on
        install docker-compose docker-buildx
    else
        borrow_plugins
    fi
    docker compose version >/dev/null 2>&1 || fail "docker compose is installed but does not run"
}

# Debian 12 has no Compose v2, but the programs of Debian 13 run on it.
borrow_plugins() {
    local scratch=$state/apt package
    borrow trixie deb "install Docker Compose v2 by hand"
    mkdir -p "$scratch/packages" "$plugins"
    check_folder "$plugins"
    cd "$scratch/packages"
    apt_get download "${borrowed[@]}" docker-compose docker-buildx
    for package in *.deb; do dpkg-deb --extract "$package" "$scratch/extracted"; done
    cp "$scratch"/extracted/usr/libexec/docker/cli-plugins/docker-* "$plugins/"
    cd /
    rm -rf "$scratch"
}

prepare_state dockerd.log
install_missing
answers || start_engine
install_plugins
say "engine $(docker version --format '{{.Server.Version}}')," \
    "Compose $(docker compose version --short), $(docker info --format '{{.Driver}}, cgroup v{{.CgroupVersion}}')"
