#!/usr/bin/env bash
# Runs the demo and draws docs/demo.svg: what a terminal of 80 columns showed,
# colours and all, but for the explaining paragraphs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

shown=$(mktemp)
trap 'rm -f "$shown"' EXIT
# script(1) gives the demo a terminal, so that it writes colours.
COLUMNS=80 TERM=xterm-256color script -qec "bin/aloud demo" "$shown" >/dev/null
"${NODE:-node}" scripts/picture.mjs "$shown" >docs/demo.svg
echo "docs/demo.svg: $(wc -c <docs/demo.svg) bytes"
