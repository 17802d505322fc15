#!/usr/bin/env bash
# A translator for software text from nothing but Debian's archive: fetch, clean, split, train, score.
#
#   recipes/software.sh de-en [FOLDER] [options of nmt train]     also en-de, en-fr; text goes to FOLDER, or to software/
#
# What is there already is not fetched again, and a training that was stopped goes on. Text that was fetched anew is split
# where the old one was: what was held out stays held out.
set -euo pipefail
if [ $# -lt 1 ]; then sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2; fi
here=$(dirname "$0")
pair=$1; shift
folder=software
if [ $# -gt 0 ] && [[ $1 != -* ]]; then folder=$1; shift; fi
src=${pair%-*}; tgt=${pair#*-}
lang=$src; [ "$lang" != en ] || lang=$tgt  # the one that is not English
sources=(descriptions libreoffice_help gettext)
[ "$lang" != de ] || sources+=(ding)

declare -A tool=([descriptions]=debian_descriptions [libreoffice_help]=libreoffice_help [gettext]=gettext [ding]=ding)
mkdir -p "$folder/$lang/clean"
cleaned=()
for source in "${sources[@]}"; do
    raw=$folder/$lang/$source.jsonl clean=$folder/$lang/clean/$source.jsonl
    options=()
    [ "$source" != gettext ] || options=(--packages-from "$here/../tools/fetching/packages.txt")
    [ -e "$raw" ] || python "$here/../tools/fetch_${tool[$source]}.py" "$lang" "$raw" "${options[@]}"
    if [ ! -e "$clean" ] || [ "$raw" -nt "$clean" ]; then
        nmt data clean "$raw" -o "$clean" --src-lang "$lang" --tgt-lang en --samples 0
    fi
    cleaned+=("$clean")
done

parts=$folder/$pair
places=(--valid 3000 --test 4000)
[ ! -e "$parts/split.json" ] || places=(--like "$parts/split.json")
for clean in "${cleaned[@]}"; do
    [ "$clean" -nt "$parts/split.json" ] || continue
    nmt data split "${cleaned[@]}" -o "$parts" --src-lang "$src" --tgt-lang "$tgt" "${places[@]}"
    touch "$parts/split.json"
    break
done
for source in "${sources[@]}"; do cat "$parts/$source.test.jsonl"; done > "$parts/all.test.jsonl"
"$here/run.sh" "software-$pair" --set data.folder="$(realpath "$parts")" "$@"
