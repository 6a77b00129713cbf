#!/usr/bin/env bash
# Says what is missing to build Aloud, all of it at once.
set -euo pipefail

missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need "${GO:-go}" "Go 1.26 or later"
need "${NODE:-node}" "Node 20 or later"
need "${NPM:-npm}" "npm, which comes with Node"
need "${CC:-cc}" "a C compiler (cc), or set CC"

if [ ${#missing[@]} -gt 0 ]; then
  echo "Aloud needs, and did not find:" >&2
  printf '  %s\n' "${missing[@]}" >&2
  if command -v apt-get >/dev/null 2>&1; then
    echo "On Debian, for all but Go: apt-get install -y nodejs npm gcc libc6-dev make" >&2
  fi
  exit 1
fi
