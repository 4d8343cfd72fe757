#!/bin/sh
# Starts PostgreSQL in a container. Makes the cluster in $PGDATA first where there is none: with POSTGRES_PASSWORD, clients
# need that password; without, none. Arguments go to the server.
set -eu

if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  [ "$(stat -c %u "$PGDATA")" = "$(id -u postgres)" ] || chown -R postgres:postgres "$PGDATA"
  chmod 700 "$PGDATA"
  exec su -p -s /bin/sh postgres -c 'exec "$0" "$@"' -- "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # Made aside, and PG_VERSION put in place last: a cluster that was half made when the power went is made anew.
  new=$PGDATA/.new
  if [ ! -d "$new" ] && [ -n "$(ls -A "$PGDATA")" ]; then
    echo "$PGDATA is not empty, and no PostgreSQL cluster" >&2
    exit 1
  fi
  rm -rf "$new"
  if [ -n "${POSTGRES_PASSWORD:-}" ]; then
    method=scram-sha-256
    echo "$POSTGRES_PASSWORD" >/tmp/password
    initdb -D "$new" -A "$method" --pwfile=/tmp/password --locale=C.UTF-8 --encoding=UTF8 --no-sync
    rm /tmp/password
  else
    method=trust
    initdb -D "$new" -A "$method" --locale=C.UTF-8 --encoding=UTF8 --no-sync
  fi
  echo "host all all all $method" >>"$new/pg_hba.conf"
  sync
  for file in "$new"/*; do
    name=${file##*/}
    [ "$name" = PG_VERSION ] && continue
    rm -rf "${PGDATA:?}/$name"
    mv "$file" "$PGDATA/$name"
  done
  mv "$new/PG_VERSION" "$PGDATA/PG_VERSION"
  rmdir "$new"
  sync
fi

exec postgres -c "listen_addresses=${PGLISTEN:-*}" "$@"
