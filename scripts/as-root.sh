#!/bin/sh
# Runs a command as root, with the caller's PATH, proxies and settings of Go. Root's own build cache is used,
# as the caller's would get files that the caller may not remove.
set -eu
if [ "$(id -u)" = 0 ]; then
	exec "$@"
fi
for name in $(env | sed -nE 's/^(GO[A-Z0-9_]*|[A-Za-z]+_(proxy|PROXY))=.*/\1/p'); do
	eval "value=\${$name-}"
	[ "$name" = GOCACHE ] || set -- "$name=$value" "$@"
done
if command -v go >/dev/null; then # its defaults are below HOME
	set -- GOENV="$(go env GOENV)" GOMODCACHE="$(go env GOMODCACHE)" "$@"
fi
exec sudo -H env PATH="$PATH" "$@"
