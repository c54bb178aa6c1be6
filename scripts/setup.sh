#!/bin/sh
# Installs what the tests use besides Go, on Debian and its kin; elsewhere it says what to install.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

packages="chromium firefox-esr iproute2 bind9-dnsutils curl dbus avahi-daemon avahi-utils libnss-mdns libsystemd-shared strace unbound bind9 bind9-utils"

missing=
for p in $packages; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
if [ -n "$missing" ]; then
	if ! command -v apt-get >/dev/null; then
		echo "Install what Debian calls:$missing systemd-resolved libnss-resolve" >&2
		exit 1
	fi
	# No service is to be started, neither now nor at the next boot: the tests start what they need, on
	# networks of their own.
	"$here/as-root.sh" sh -eu -s $missing <<'ROOT'
# Where there is systemd only this file keeps a package from starting its service.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
fi
apt-get update -q
DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -q -y --no-install-recommends "$@" </dev/null
for p in "$@"; do
	case $p in
	unbound) ! [ -d /run/systemd/system ] || systemctl -q disable unbound ;;
	bind9) ! [ -d /run/systemd/system ] || systemctl -q disable named ;;
	esac
done
ROOT
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
