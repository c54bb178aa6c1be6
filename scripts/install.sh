#!/bin/sh
# Installs those of the packages that are missing, on Debian and its kin; elsewhere it says what to install.
# No service that comes with them is started, neither now nor at the next boot.
set -eu

missing=
for p in "$@"; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
# The second line of the file below, which a setup that was killed may have left.
mine='# Until the setup of candgw has ended.'
[ -n "$missing" ] || grep -qsxF "$mine" /usr/sbin/policy-rc.d || exit 0

if ! command -v apt-get >/dev/null; then
	echo "Install what Debian calls:$missing" >&2
	exit 1
fi
"$(dirname "$0")/as-root.sh" sh -eu -s "$mine" $missing <<'ROOT'
mine=$1
shift
# Where there is systemd only this file keeps a package from starting its service.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ] || grep -qxF "$mine" "$policy"; then
	trap 'rm -f "$policy"' EXIT
	trap 'exit 1' HUP INT TERM # for those dash does not run the one of EXIT
	printf '#!/bin/sh\n%s\nexit 101\n' "$mine" >"$policy"
	chmod +x "$policy"
fi

# Also where systemd does not run now; none is enabled where it is not installed.
systemd=$(command -v systemctl || true)
enabled() {
	[ -z "$systemd" ] || systemctl list-unit-files --state=enabled --no-legend --no-pager | cut -d ' ' -f 1
}
before=$(enabled)

apt-get update -q
DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -q -y --no-install-recommends "$@" </dev/null

for unit in $(enabled); do
	printf '%s\n' "$before" | grep -qxF -e "$unit" || systemctl -q disable "$unit"
done
ROOT
