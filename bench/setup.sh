#!/bin/sh
# Installs the servers and tools that the benchmark uses besides Go.
set -eu
exec "$(dirname "$0")/../scripts/install.sh" knot nsd unbound dnsperf gcc libc6-dev
