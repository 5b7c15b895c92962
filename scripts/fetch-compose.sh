#!/usr/bin/env bash
# Unpacks Docker Compose of Debian 13 to target/compose for the comparisons of `make bench-up`
# and `make bench-redeploy`.
# Debian 12's own package is the retired 1.29; the newer one is a single binary that runs there too.
set -euo pipefail
cd "$(dirname "$0")/.."

target=target/compose/docker-compose
[ -x "$target" ] && exit 0

mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
architecture=$(dpkg --print-architecture)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

echo "==> fetching Docker Compose from $mirror: the benchmark compares with it" >&2
curl -fsSL "$mirror/dists/trixie/main/binary-$architecture/Packages.xz" | xz -dc >"$scratch/packages"
field() { awk -v RS= '/^Package: docker-compose\n/' "$scratch/packages" | sed -n "s/^$1: //p"; }
file=$(field Filename)
[ -n "$file" ] || { echo "Error: no docker-compose for $architecture at $mirror" >&2; exit 1; }
curl -fsSL -o "$scratch/compose.deb" "$mirror/$file"
echo "$(field SHA256)  $scratch/compose.deb" | sha256sum --check --quiet
dpkg-deb -x "$scratch/compose.deb" "$scratch/unpacked"
mkdir -p "$(dirname "$target")"
install -m 755 "$scratch/unpacked/usr/libexec/docker/cli-plugins/docker-compose" "$target"
"$target" version >&2
