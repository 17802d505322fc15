#!/usr/bin/env bash
# Train a recipe, translate its test sets with `nmt translate`, and score what comes out with the sacrebleu command:
# a check of the printed numbers by another program, from the files alone. Fails where BLEU is not that of scores.json.
#
#   recipes/run.sh NAME [options of nmt train]        the run goes to $RUN_DIR, or to runs/NAME
set -euo pipefail
if [ $# -lt 1 ]; then sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 2; fi
name=$1; shift
run=${RUN_DIR:-runs/$name}

begin=$SECONDS
nmt train "$name" --run-dir "$run" "$@"
echo "trained and scored in $((SECONDS - begin)) s"

for src in "$run"/hypotheses/*.src.*; do
    set_name=$(basename "${src%.src.*}")
    src_lang=${src##*.}
    ref=$(echo "$run/hypotheses/$set_name".ref.*)
    tgt_lang=${ref##*.}
    nmt translate "$run" "$src" -o "$run/$set_name.$tgt_lang"
    echo "$set_name, by the sacrebleu command:"
    sacrebleu "$ref" -i "$run/$set_name.$tgt_lang" -l "$src_lang-$tgt_lang" -m bleu chrf -f text -w 2
    found=$(sacrebleu "$ref" -i "$run/$set_name.$tgt_lang" -l "$src_lang-$tgt_lang" -b -w 2)
    python3 - "$run/scores.json" "$set_name" "$found" <<'CHECK'
import json, sys
path, name, found = sys.argv[1:]
[stored] = [row["score"] for row in json.load(open(path)) if (row["test_set"], row["metric"]) == (name, "BLEU")]
if f"{stored:.2f}" != found:
    sys.exit(f"{name}: scores.json says BLEU {stored:.2f}, the sacrebleu command {found}")
print(f"the same as in scores.json: BLEU {found}")
CHECK
done
