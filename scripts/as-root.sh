#!/bin/sh
# Runs a command as root, with the caller's PATH and Go settings.
set -eu
if [ "$(id -u)" = 0 ]; then
	exec "$@"
fi
exec sudo env PATH="$PATH" HOME="$HOME" "$@"
