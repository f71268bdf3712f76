#!/usr/bin/env bash
# What methods are for, where it takes an experiment to show: docs/CLAIMS.md, and what docs/METHODS.md says of these methods.
#
#   bench/claims/run.sh [CLAIM...]                default: all; a claim is its number in the catalogue, such as S084
#
# MODELS   a folder with all-minilm-l6-v2, as published (default: ../shared/models)
# DATA     a folder with sst2 (train.tsv, dev.tsv: a sentence, a tab, 0 or 1 a line), gsm8k (train.jsonl), e2e_nlg (devset.csv) and
#          tinyshakespeare (input.txt), as published (default: ../shared/data)
# THREADS  threads (default: 2); times are measured with one
# LAUNCHES processes in which times are measured, one after the other (default: 3)
# RESULTS  every number (default: bench/claims/results.jsonl). What is not run now is kept
# PAGE     (default: docs/CLAIMS.md, and METHODS.md is made anew)
# CELLS    what METHODS.md takes (default: where it is built in)
#
# By estimate all of it takes three quarters of an hour on two quiet cores, most of it S172, S015 and S017.
set -euo pipefail
cd "$(dirname "$0")/../.."
results=${RESULTS:-bench/claims/results.jsonl}
models=${MODELS:-../shared/models}
data=${DATA:-../shared/data}
java=$(./jotune --java)
classes=${CLASSES:-jmh/target/classes:jmh/target/lib/*}
[[ -n ${CLASSES:-} ]] || mvn -q -B -pl jmh -am package -DskipTests
run() {
    "$java" -Xmx1g -XX:+UseSerialGC -XX:+UseCompactObjectHeaders --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED \
        -Djotune.threads="$threads" -cp "$classes" dev.jotune.jmh.claims.Run "$@"
}
threads=1
known=$(run 2>/dev/null)
claims=("$@")
[[ $# -gt 0 ]] || mapfile -t claims < <(cut -d' ' -f1 <<<"$known")
for claim in "${claims[@]}"; do
    launches=1 threads=${THREADS:-2}
    if grep -q "^$claim timed" <<<"$known"; then
        launches=${LAUNCHES:-3} threads=1
    fi
    for i in $(seq "$launches"); do
        echo "$claim, launch $i" >&2
        run "$results" "$models" "$data" "$i" "$claim"
    done
done
run "$results" "${PAGE:-docs/CLAIMS.md}" "${CELLS:-cli/src/main/resources/dev/jotune/cli/claims.jsonl}"
if [[ -z ${PAGE:-} ]]; then
    # METHODS.md reads the cells from there, once they are built in.
    ./jotune methods --markdown >docs/METHODS.md.new
    mv docs/METHODS.md.new docs/METHODS.md
fi
