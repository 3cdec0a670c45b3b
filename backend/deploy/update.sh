#!/bin/bash
# update.sh URL SHA256: put another release onto this host, and start it. What is read at its address must have that sum.
set -euo pipefail
[ $# = 2 ] || { echo "Usage: sudo bash $0 URL SHA256" >&2; exit 64; }
new=/opt/thermograph.new
file=$(mktemp)
trap 'rm -rf "$file" "$new"' EXIT

# By a file, as a presigned address is a secret and arguments are seen by every user.
printf 'url = "%s"\n' "$1" | curl --fail --silent --show-error --location --retry 5 --config - --output "$file"
echo "$2  $file" | sha256sum --check --quiet
rm -rf "$new"
mkdir "$new"
tar -xzf "$file" -C "$new" --strip-components=1
rm -rf /opt/thermograph.before
mv /opt/thermograph /opt/thermograph.before
mv "$new" /opt/thermograph
bash /opt/thermograph/backend/deploy/install.sh
echo "Done. The release before is in /opt/thermograph.before."
