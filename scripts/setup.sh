#!/bin/sh
# Installs what the tests use besides Go, on Debian and its kin; elsewhere it says what to install.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

packages="chromium firefox-esr iproute2 bind9-dnsutils curl dbus avahi-daemon avahi-utils libnss-mdns libsystemd-shared strace"

missing=
for p in $packages; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
if [ -n "$missing" ]; then
	if ! command -v apt-get >/dev/null; then
		echo "Install what Debian calls:$missing systemd-resolved libnss-resolve" >&2
		exit 1
	fi
	"$here/as-root.sh" apt-get update -q
	# No service is to be started: the tests start what they need, on networks of their own.
	"$here/as-root.sh" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -q -y --no-install-recommends $missing
fi

# Installed, systemd-resolved would take over the name resolution of this machine, so it is only
# unpacked, where the tests look for it, with the library that must be of the same version.
unpacked=$here/../internal/e2e/testdata/systemd
if [ ! -e "$unpacked" ]; then
	rm -rf "$unpacked.new"
	mkdir "$unpacked.new"
	cd "$unpacked.new"
	set -- systemd-resolved libnss-resolve libsystemd-shared
	apt-get download -q "$@" || { "$here/as-root.sh" apt-get update -q && apt-get download -q "$@"; }
	for package in *.deb; do
		dpkg-deb -x "$package" .
		rm "$package"
	done
	mv "$unpacked.new" "$unpacked"
fi
