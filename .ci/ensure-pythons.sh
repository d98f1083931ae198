#!/usr/bin/env bash
# Provides further versions of Python on a Debian machine: afterwards `python3.13t` and `python3.14`
# are on the path, or this script reports why not. Arguments select versions; `3.13` is the twin of
# `3.13t`, built with the same options and with the GIL. A version that is on the path is not changed.
#
# No package has a free-threaded Python, so 3.13t is built from the source of Debian 13 (3 minutes of
# CPU time, once). Python 3.14 is the package of the next Debian with all its libraries, in a folder
# of its own. Its source is not in the archive, therefore there is no 3.14t.
set -euo pipefail
name=ensure-pythons

if ((EUID == 0)); then
    state=${LAB_PYTHONS_STATE:-/var/lib/lab-pythons} programs=/usr/local/bin
else
    state=${LAB_PYTHONS_STATE:-${XDG_STATE_HOME:-$HOME/.local/state}/lab-pythons}
    programs=$HOME/.local/bin
fi
programs=${LAB_PYTHONS_BIN:-$programs}

. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

about='import platform, sys, sysconfig
gil = "free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else "GIL"
print(platform.python_version(), gil, *platform.libc_ver(), *platform.python_build())'

# With the pristine source: Debian's patches change the folders of packages.
options=(--disable-test-modules --without-ensurepip --without-static-libpython)
headers=(build-essential xz-utils libbz2-dev libffi-dev liblzma-dev libsqlite3-dev libssl-dev zlib1g-dev)

# Builds CPython 3.13 in a folder; further arguments are options of its configure script.
build() {
    local folder=$1 scratch=$state/scratch log=$state/build.log
    shift
    dpkg --status "${headers[@]}" >/dev/null 2>&1 || install "${headers[@]}"
    borrow trixie deb-src "build Python by hand"
    mkdir "$scratch/source"
    cd "$scratch/source"
    apt_get source "${borrowed[@]}" --download-only --tar-only python3.13
    tar --extract --strip-components=1 --file python3.13_*.orig.tar.xz
    say "building $(basename "$folder"), which takes 3 minutes of CPU time"
    # Not with Debian's optimisation by profiles, which would take half an hour.
    {
        ./configure --quiet --prefix="$folder" "$@" "${options[@]}" OPT="-DNDEBUG -fwrapv -O3" &&
            make --silent --jobs="$(nproc)" && make --silent altinstall
    } >"$log" 2>&1 || fail "the build failed: $(tail -n 3 "$log")"
    cd /
    rm -rf "$scratch"
}

# Unpacks Python 3.14 with all its libraries, also the C library. Its program then starts with the
# loader of that folder, and searches its libraries there first.
unpack() {
    local folder=$1 scratch=$state/scratch package libraries
    have patchelf || install patchelf
    borrow forky deb "install Python 3.14 by hand"
    # With no package installed, so that all that it needs is downloaded.
    apt_get install "${borrowed[@]}" -o "Dir::State::status=$scratch/status" -o Debug::NoLocking=1 \
        --yes --no-install-recommends --download-only python3.14
    for package in "$scratch"/cache/archives/*.deb; do dpkg-deb --extract "$package" "$folder"; done
    libraries=("$folder"/usr/lib/*-linux-gnu*)
    patchelf --set-interpreter "$(echo "${libraries[0]}"/ld-linux-*.so.*)" \
        --force-rpath --set-rpath "${libraries[0]}" "$folder/usr/bin/python3.14"
    rm -rf "$scratch"
}

# Provides one version, unless it is on the path.
ensure() {
    local version=$1 folder=$state/$1 python
    if ! python=$(command -v "python$version") || ! "$python" -c '' 2>/dev/null; then
        python=$folder/bin/python$version
        rm -rf "$folder"
        case $version in
            3.13) build "$folder" ;;
            3.13t) build "$folder" --disable-gil ;;
            3.14) unpack "$folder"; python=$folder/usr/bin/python3.14 ;;
            *) fail "Python $version is unknown; use 3.13, 3.13t or 3.14" ;;
        esac
        "$python" -c '' || fail "$python does not start"
        mkdir --parents "$programs"
        # Last, so that an interrupted build is not used. Not a link: a virtual environment of it
        # would search the library beside the link.
        printf '#!/bin/sh\nexec "%s" "$@"\n' "$python" >"$programs/python$version.new"
        chmod 0755 "$programs/python$version.new"
        mv --force "$programs/python$version.new" "$programs/python$version"
        python=$programs/python$version
    fi
    say "$python is $("$python" -c "$about")"
}

(($#)) || set -- 3.13t 3.14
prepare_state build.log
# All users run the programs, and tests run them as another user.
((EUID)) || chmod go+x "$state"
for version; do ensure "$version"; done
