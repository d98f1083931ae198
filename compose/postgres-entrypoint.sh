#!/bin/sh
# The part of the official image's entry point that the lab needs, for the replacement image.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    password=$(mktemp)
    printf '%s' "${POSTGRES_PASSWORD:?}" > "$password"
    initdb --pgdata="$PGDATA" --username="${POSTGRES_USER:?}" --pwfile="$password" \
        --auth=scram-sha-256 --encoding=UTF8 > /dev/null
    rm "$password"
    echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
    echo "CREATE DATABASE \"${POSTGRES_DB:?}\";" | postgres --single -j postgres > /dev/null
fi
exec "$@"
