#!/usr/bin/env bash
# The long measurements. Each ends with status 0 only if its bars hold; all are
# run, and this fails if one did. Speech with references is looked for in
# $SPEECH (a manifest); without it the demo's own clips are taken.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
go=${GO:-go}

speech=${SPEECH:-../shared/data/speech/manifest.jsonl}
[ -e "$speech" ] || speech=testdata/demo/clips.jsonl

failed=()
measure() {
  printf '\n== %s\n' "$*"
  "$@" || failed+=("$*")
}

measure bin/aloud eval asr --manifest "$speech" --model base
measure bin/aloud eval asr --manifest "$speech" --model tiny
if bin/aloud eval intent --help >/dev/null 2>&1; then
  measure bin/aloud eval intent
fi
measure bin/aloud bench e2e
measure "$go" test -run '^$' -bench . -benchmem -p 1 ./...

if [ ${#failed[@]} -gt 0 ]; then
  printf '\nnot all bars held:\n'
  printf '  %s\n' "${failed[@]}"
  exit 1
fi
printf '\nall bars held\n'
