#!/usr/bin/env bash
# The programs that some tests drive: a sound server with a virtual microphone,
# and synthesisers. As root on Debian they are installed; otherwise the line to
# run is printed, and the tests that need them say that they were left out.
set -euo pipefail

# program=package
wanted=(pulseaudio=pulseaudio paplay=pulseaudio-utils sox=sox)

packages=()
for pair in "${wanted[@]}"; do
  command -v "${pair%%=*}" >/dev/null 2>&1 || packages+=("${pair#*=}")
done
[ ${#packages[@]} -gt 0 ] || exit 0

line="apt-get install -y --no-install-recommends ${packages[*]}"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing ${packages[*]} for the tests"
  if DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive $line -qq >/dev/null; then
    exit 0
  fi
  echo "that failed; the tests that need them will say that they were left out" >&2
  exit 0
fi
echo "Some tests want ${packages[*]}. On Debian, as root: $line"
