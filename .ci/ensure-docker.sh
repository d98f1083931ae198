#!/usr/bin/env bash
# Prepares a Debian or Ubuntu machine for clusters in containers: afterwards `docker` and
# `docker compose` (v2) work, or this script reports why not. It does not change an existing
# installation: it never stops, updates or reconfigures an engine that responds.
set -euo pipefail

# The folder of logs and downloads. Only this user may write above it, so that no other user can put
# a link or a program there.
if ((EUID == 0)); then
    state=${LAB_DOCKER_STATE:-/var/lib/lab-docker}
else
    state=${LAB_DOCKER_STATE:-${XDG_STATE_HOME:-$HOME/.local/state}/lab-docker}
fi
data=${LAB_DOCKER_DATA:-/var/lib/docker}
plugins=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins

say() { echo "ensure-docker: $*" >&2; }
fail() { say "$*"; exit 1; }

# Refuses a folder that another user could have created or can change: each part of the path must
# be a folder, not a link, owned by this user or root, and writable for its owner only. A
# world-writable folder with the sticky bit is accepted above it (`parent`: or as the folder itself),
# because only the owner of an entry can replace it.
check_folder() {
    local path=$1 last=$1 part owner mode
    if [[ ${2:-} == parent ]]; then last=; fi
    [[ $path == /* && $path != *//* && $path != */./* && $path != */../* && $path != */.. ]] ||
        fail "$path is not an absolute path without '..'; set another path"
    for ((part = 1; part; )); do
        if [[ -L $path ]]; then fail "$path is a symbolic link; remove it, then try again"; fi
        [[ -d $path ]] || fail "$path is not a folder; remove it, then try again"
        read -r owner mode < <(stat --format '%u %a' -- "$path")
        ((owner == EUID || owner == 0)) ||
            fail "$path belongs to user $owner; remove it, or set another folder"
        if ((8#$mode & 8#022)); then
            [[ $path != "$last" ]] && ((8#$mode & 8#1000)) ||
                fail "other users can write to $path; run: chmod go-w $path"
        fi
        [[ $path != / ]] || part=0
        path=${path%/*}
        path=${path:-/}
    done
}

# Creates a folder if it is missing, and checks it before anything is written into it.
prepare_folder() {
    local above=${1%/*}
    if [[ ! -e $1 && ! -L $1 ]]; then
        [[ ! $above || -d $above ]] || (umask 077 && mkdir --parents -- "$above")
        check_folder "${above:-/}" parent
        mkdir --mode=0700 -- "$1" || fail "cannot create $1"
    fi
    check_folder "$1"
}

# Rejects a log file that is a link or another special file, because logs are appended to.
check_file() {
    if [[ -L $1 || (-e $1 && ! -f $1) ]]; then fail "$1 is not a regular file; remove it"; fi
}
have() { command -v "$1" >/dev/null; }
answers() { docker info >/dev/null 2>&1; }
# Reads the whole output, because apt fails if the reader of its pipe exits early.
offered() { [[ $(apt-cache policy "$1" 2>/dev/null) == *"Candidate: "[0-9]* ]]; }

apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get --quiet --quiet -o Dpkg::Use-Pty=0 "$@" \
        >>"$state/apt.log" 2>&1 || fail "apt-get $1 failed: $(tail -n 3 "$state/apt.log")"
}

install() {
    have apt-get || fail "apt-get is not available; install by hand: $*"
    ((EUID == 0)) || fail "root is needed; run: sudo apt-get install $*"
    apt_get update
    local package packages=()
    for package in "$@"; do
        if offered "$package"; then packages+=("$package"); fi
    done
    apt_get install --yes --no-install-recommends "${packages[@]}"
}

install_missing() {
    local missing=()
    # From Debian 13 on, the client is a separate package.
    have docker || missing+=(docker.io docker-cli)
    answers || have dockerd || missing+=(docker.io iptables)
    # Builds base images if no registry responds.
    if ((EUID == 0)) && have apt-get && ! have mmdebstrap; then missing+=(mmdebstrap); fi
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

# Debian 12 has no Compose v2, but the programs of Debian 13 run on it. They are downloaded from
# Debian's archive, with checked signatures, by apt with a separate configuration, so that the
# system's apt is not changed.
borrow_plugins() {
    local scratch=$state/apt mirror key=/usr/share/keyrings/debian-archive-keyring.gpg
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
        grep '/debian/*$' | sort --unique | head --lines=1) || true
    [[ $mirror ]] || fail "apt has no Debian archive; install Docker Compose v2 by hand"
    rm -rf "$scratch"
    mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial" "$scratch/packages" "$plugins"
    check_folder "$plugins"
    echo "deb [signed-by=$key] $mirror trixie main" >"$scratch/sources"
    local options=(-o "Dir::Etc::sourcelist=$scratch/sources" -o Dir::Etc::sourceparts=-
        -o "Dir::State::lists=$scratch/lists" -o "Dir::Cache=$scratch/cache")
    if ((EUID == 0)); then options+=(-o APT::Sandbox::User=root); fi
    apt_get update "${options[@]}"
    cd "$scratch/packages"
    apt_get download "${options[@]}" docker-compose docker-buildx
    local package
    for package in *.deb; do dpkg-deb --extract "$package" "$scratch/extracted"; done
    cp "$scratch"/extracted/usr/libexec/docker/cli-plugins/docker-* "$plugins/"
    cd /
    rm -rf "$scratch"
}

prepare_folder "$state"
for file in lock apt.log dockerd.log; do check_file "$state/$file"; done
exec 9>"$state/lock"
flock 9 # two callers must not start two engines
install_missing
answers || start_engine
install_plugins
say "engine $(docker version --format '{{.Server.Version}}')," \
    "Compose $(docker compose version --short), $(docker info --format '{{.Driver}}, cgroup v{{.CgroupVersion}}')"
