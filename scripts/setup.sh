#!/bin/sh
# Installs what the tests use besides Go, on Debian and its kin; elsewhere it says what to install.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
e2e=$here/../internal/e2e/testdata

# These would change how this machine looks up names, so they are only unpacked, where the tests look for
# them, with the library that must be of the same version.
unpack="systemd-resolved libnss-resolve libsystemd-shared libnss-mdns"

command -v apt-get >/dev/null || echo "Also unpack into $e2e/debian what Debian calls: $unpack" >&2
"$here/install.sh" chromium firefox-esr iproute2 bind9-dnsutils curl dbus avahi-daemon avahi-utils libsystemd-shared \
	strace unbound bind9 bind9-utils nftables

unpacked=$e2e/debian
if [ ! -e "$unpacked" ]; then
	rm -rf "$unpacked.new"
	mkdir "$unpacked.new"
	cd "$unpacked.new"
	apt-get download -q $unpack || { "$here/as-root.sh" apt-get update -q && apt-get download -q $unpack; }
	for package in *.deb; do
		dpkg-deb -x "$package" .
		rm "$package"
	done
	mv "$unpacked.new" "$unpacked"
fi

# The tests build it, where nobody expects them to use the network.
cd "$e2e/coredns"
${GO:-go} mod download
