# Functions for scripts that prepare a Debian or Ubuntu machine. The script that reads this file has
# set `name`, its name in messages, and `state`, its private folder for logs and downloads.
# shellcheck shell=bash

say() { echo "$name: $*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null; }

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

# Prepares the private folder, and waits for another caller: both must not do the work at once.
prepare_state() {
    local file
    prepare_folder "$state"
    for file in lock apt.log "$@"; do check_file "$state/$file"; done
    exec 9>"$state/lock"
    flock 9
}

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

# Prepares an apt with a separate configuration in the empty folder `scratch`, which reads another
# release of Debian from the archive of this machine and checks its signatures. The system's apt is
# not changed. Its options are in the array `borrowed`; the kind is `deb` or `deb-src`.
borrow() {
    local release=$1 kind=$2 mirror key=/usr/share/keyrings/debian-archive-keyring.gpg
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
        grep '/debian/*$' | sort --unique | head --lines=1) || true
    [[ $mirror ]] || fail "apt has no Debian archive; $3"
    rm -rf "$scratch"
    mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial"
    : >"$scratch/status"
    echo "$kind [signed-by=$key] $mirror $release main" >"$scratch/sources"
    borrowed=(-o "Dir::Etc::sourcelist=$scratch/sources" -o Dir::Etc::sourceparts=-
        -o "Dir::State::lists=$scratch/lists" -o "Dir::Cache=$scratch/cache")
    # A mirror may be older than the days for which the index of an unreleased Debian is valid.
    borrowed+=(-o Acquire::Check-Valid-Until=false -o Acquire::Retries=3)
    if ((EUID == 0)); then borrowed+=(-o APT::Sandbox::User=root); fi
    apt_get update "${borrowed[@]}"
}
