#!/usr/bin/env bash
# Formatting, vet, staticcheck, known vulnerabilities, and the TypeScript where
# there is any. (The rules about the house's imports are a test: internal/house.)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
go=${GO:-go}

step() { printf '%-13s' "$1"; }

# In a copy of the tree without git, all files count.
go_files() {
  git ls-files --cached --others --exclude-standard '*.go' 2>/dev/null ||
    find . -name '*.go' -not -path '*/node_modules/*' -not -path './bin/*'
}

step gofumpt
unformatted=$(go_files | while read -r f; do [ ! -e "$f" ] || echo "$f"; done | xargs -r "$go" tool gofumpt -l)
if [ -n "$unformatted" ]; then
  echo "not formatted; run: make fmt"
  echo "$unformatted"
  exit 1
fi
echo ok

step vet
"$go" vet ./...
CGO_ENABLED=0 "$go" vet ./cmd/aloud
echo ok

step staticcheck
"$go" tool staticcheck ./...
echo ok

step modules
"$go" mod verify >/dev/null
echo "ok, as go.sum has them"

if compgen -G 'web/tsconfig*.json' >/dev/null; then
  step typescript
  (cd web && npx --no-install tsc --noEmit)
  echo ok
fi

# The database of vulnerabilities is not to be had everywhere. Where it is, a
# call that can reach one fails the check.
step govulncheck
if out=$(timeout 120 "$go" tool govulncheck ./... 2>&1); then
  echo ok
elif grep -qiE 'dial tcp|no such host|forbidden|timeout|connection refused|fetching vulnerabilities|unexpected status|HTTP GET' <<<"$out" || [ -z "$out" ]; then
  echo "left out: its database can't be reached from here"
else
  echo "found:"
  echo "$out"
  exit 1
fi
