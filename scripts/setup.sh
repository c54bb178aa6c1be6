#!/bin/sh
# Installs what the tests use besides Go, on Debian and its kin; elsewhere it says what to install.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
e2e=$here/../internal/e2e/testdata

# These would change how this machine looks up names, so they are only unpacked, where the tests look for
# them, with the library that must be of the same version. The last one wants Debian's Node.js and no other.
unpack="systemd-resolved libnss-resolve libsystemd-shared libnss-mdns simple-whip-server"

command -v apt-get >/dev/null || echo "Also unpack into $e2e/debian what Debian calls: $unpack" >&2
"$here/install.sh" chromium firefox-esr iproute2 bind9-dnsutils curl dbus avahi-daemon avahi-utils libsystemd-shared \
	strace unbound bind9 bind9-utils nftables janus
command -v npm >/dev/null || "$here/install.sh" nodejs npm

# Tests lay policies over it, in namespaces of their own.
[ -d /etc/firefox ] || "$here/as-root.sh" mkdir /etc/firefox

unpacked=$e2e/debian
if [ "$(cat "$unpacked/unpacked" 2>/dev/null)" != "$unpack" ]; then
	rm -rf "$unpacked" "$unpacked.new"
	mkdir "$unpacked.new"
	cd "$unpacked.new"
	apt-get download -q $unpack || { "$here/as-root.sh" apt-get update -q && apt-get download -q $unpack; }
	for package in *.deb; do
		dpkg-deb -x "$package" .
		rm "$package"
	done
	echo "$unpack" >unpacked
	mv "$unpacked.new" "$unpacked"
fi

# What the WHIP server stands on, and applications for calls with their servers; none of it has anything to build.
for folder in whip apps; do
	cd "$e2e/$folder"
	npm ci --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error
done

# The compiler that checks the extension.
cd "$here/../extension"
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

# The tests build it, where nobody expects them to use the network.
cd "$e2e/coredns"
${GO:-go} mod download
