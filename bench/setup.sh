#!/bin/sh
# Installs the servers and tools that the benchmark uses besides Go, on Debian and its kin; elsewhere it says
# what to install. No service is started, neither now nor at the next boot.
set -eu

packages="knot nsd unbound dnsperf gcc libc6-dev"

missing=
for p in $packages; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "Install what Debian calls:$missing" >&2
	exit 1
fi
"$(dirname "$0")"/../scripts/as-root.sh sh -eu -s $missing <<'ROOT'
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
	knot | nsd | unbound) ! [ -d /run/systemd/system ] || systemctl -q disable "$p" ;;
	esac
done
ROOT
