#!/bin/sh
# Installs what the tests use besides Go, on Debian and its kin; elsewhere it says what to install.
set -eu

packages="chromium iproute2 bind9-dnsutils curl dbus avahi-daemon avahi-utils strace"

missing=
for p in $packages; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "Install what Debian calls:$missing" >&2
	exit 1
fi
here=$(dirname "$0")
"$here/as-root.sh" apt-get update -q
# No service is to be started: the tests start what they need, on networks of their own.
"$here/as-root.sh" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -q -y --no-install-recommends $missing
