#!/bin/bash
# as-host.sh ARGUMENTS: Python with the user, settings and passwords of the backend: sudo bash as-host.sh -m tools verify
set -euo pipefail
exec systemd-run --quiet --pipe --wait --collect --property=User=thermograph --property=WorkingDirectory=/opt/thermograph \
    --property=EnvironmentFile=/etc/thermograph/backend.env --property=EnvironmentFile=/run/thermograph/credentials.env \
    /opt/thermograph/.venv/bin/python "$@"
