#!/usr/bin/env bash
# Makes the demo's clips from testdata/demo/lines.tsv: each line is spoken by a
# synthesiser, brought to 16 kHz mono with 0.3 s of silence around it and a level
# of its own, and kept as Ogg Vorbis beside clips.jsonl, which says what each is.
# On Debian: apt-get install -y flite espeak-ng sox vorbis-tools
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for program in flite espeak-ng sox oggenc; do
  command -v "$program" >/dev/null || {
    echo "there is no $program here; on Debian: apt-get install -y flite espeak-ng sox vorbis-tools" >&2
    exit 1
  }
done

out=testdata/demo
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
rm -f "$out"/*.ogg "$out"/clips.jsonl

speak() { # voice text file
  case $1 in
    slt | rms | awb | kal16) flite -voice "$1" -t "$2" -o "$3" ;;
    *) espeak-ng -v "$1" -s 155 -w "$3" "$2" ;;
  esac
}

engine() {
  case $1 in slt | rms | awb | kal16) echo "flite" ;; *) echo "espeak-ng" ;; esac
}

n=0
while IFS=$'\t' read -r id participant voice expected text; do
  [ "$id" != id ] || continue
  n=$((n + 1))
  speak "$voice" "$text" "$scratch/said.wav"
  gain=$((-(n % 4) - 3)) # 3 to 6 dB under full scale
  sox -R "$scratch/said.wav" -r 16000 -c 1 -b 16 "$scratch/clip.wav" norm "$gain" pad 0.3 0.3
  oggenc -Q -q 2 --serial "$n" "$scratch/clip.wav" -o "$out/$id.ogg"
  printf '{"audio":"%s.ogg","participant":%d,"voice":"%s %s","expected":"%s","text":"%s"}\n' \
    "$id" "$participant" "$(engine "$voice")" "$voice" "$expected" "$text" >>"$out/clips.jsonl"
done <"$out/lines.tsv"

echo "$n clips, $(du -ck "$out"/*.ogg | tail -1 | cut -f1) kB, in $out"
