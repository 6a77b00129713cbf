#!/usr/bin/env bash
# Runs every fuzz test for a while: scripts/fuzz.sh 10s [package…]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
go=${GO:-go}
time=${1:-10s}
shift || true
packages=("$@")
[ ${#packages[@]} -gt 0 ] || packages=(./...)

"$go" list -f '{{.Dir}}' "${packages[@]}" | while read -r dir; do
  grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go 2>/dev/null | sed 's/^func //' | sort -u | while read -r name; do
    printf '%s %s\n' "${dir#"$PWD"/}" "$name"
    "$go" test "$dir" -run '^$' -fuzz "^$name\$" -fuzztime "$time" -parallel 2 </dev/null
  done
done
