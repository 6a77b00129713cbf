#!/usr/bin/env bash
# Prints a table of the modules that the binary links and their licences, as
# their own licence files say, or with --text the files themselves; fails where
# it can't tell.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
go=${GO:-go}

kind() {
  local text
  text=$(cat "$@" | tr -s '[:space:]' ' ')
  case "$text" in
    *"Apache License"*"Version 2.0"*) echo Apache-2.0 ;;
    *"Mozilla Public License"*) echo MPL-2.0 ;;
    *"GNU LESSER GENERAL PUBLIC"*) echo LGPL ;;
    *"GNU GENERAL PUBLIC"*) echo GPL ;;
    *"Neither the name"* | *"names of its contributors"* | *"name of the copyright"*) echo BSD-3-Clause ;;
    *"Redistribution and use"*) echo BSD-2-Clause ;;
    *"Permission is hereby granted, free of charge"*) echo MIT ;;
    *"Permission to use, copy, modify, and"*) echo ISC ;;
    *[Uu]"nlicense"*) echo Unlicense ;;
    *) echo unknown ;;
  esac
}

unknown=0
while IFS=$'\t' read -r path version dir; do
  files=()
  while IFS= read -r f; do files+=("$f"); done < <(find "$dir" -maxdepth 1 -iregex '.*/\(licen[cs]e\|copying\|unlicense\)[^/]*' -type f | sort)
  if [ ${#files[@]} -eq 0 ]; then licence=unknown; else licence=$(kind "${files[@]}"); fi
  [ "$licence" != unknown ] || unknown=1
  if [ "${1:-}" = --text ]; then
    printf '%s %s (%s)\n\n' "$path" "$version" "$licence"
    [ ${#files[@]} -eq 0 ] || cat "${files[@]}"
    printf '\n%s\n\n' "--------------------------------------------------------------------------------"
  else
    printf '%-14s %s %s\n' "$licence" "$path" "$version"
  fi
done < <("$go" list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}}{{"\t"}}{{.Version}}{{"\t"}}{{.Dir}}{{end}}{{end}}' ./cmd/aloud | sort -u)

if [ $unknown = 1 ]; then
  echo "a licence above is unknown: read the module's files before shipping it" >&2
  exit 1
fi
