#!/bin/bash
# broker-users.sh DEVICES TARGET: write mosquitto's password file TARGET, the backend's user and those of DEVICES.
# The backend's user and password are in the environment. Until the last line TARGET stays as it was.
set -euo pipefail
umask 077
devices=$1
target=$2

# In memory, for it is hashed in place: an argument would be seen by every user of the machine.
own=$(mktemp -p /dev/shm)
draft=$(mktemp "$target.XXXXXX")
trap 'rm -f "$own" "$draft"' EXIT
printf '%s:%s\n' "$THERMOGRAPH_BROKER_USER" "$THERMOGRAPH_BROKER_PASSWORD" >"$own"
mosquitto_passwd -U "$own"
cat "$own" >"$draft"
if [ -f "$devices" ]; then
    # The devices' file is not root's: it must not bring another password for the backend.
    awk -F: -v backend="$THERMOGRAPH_BROKER_USER" '$1 != backend' "$devices" >>"$draft"
fi
if getent passwd mosquitto >/dev/null && [ "$(id -u)" = 0 ]; then
    chown mosquitto:mosquitto "$draft"
fi
mv "$draft" "$target"
