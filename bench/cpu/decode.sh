#!/usr/bin/env bash
# Greedy decoding of one text by Jotune, PyTorch, Jlama and llama3.java, on files with the same numbers, in turn.
#
#   bench/cpu/decode.sh [ROUNDS] [NEW]              default: 3 rounds of 64 new tokens
#
# One JSON line a run: {"case", "engine", "weights", "threads", "new", "step_s", "best_s", "tokens_per_s", "round"}; step_s is the
# median over the steps of a run. Processes follow each other (A B C A B C), never at once; the first run of each is not counted.
#
# PYTHON     a Python with torch, transformers and tokenizers (default: python3)
# LLAMA3     path of Llama3.java (github.com/mukel/llama3.java, one file); left out if not given
# JLAMA      folder of jars: com.github.tjake:jlama-core and jlama-native (classifier linux-x86_64) with what they need:
#              mvn dependency:copy-dependencies from a pom that names the two; left out if not given
# WORK       folder for the model's files, made once, about 700 MB (default: a temporary one)
# CLASSES    class path of Jotune (default: built here)
# THREADS    threads of all (default: 2)
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-3}
new=${2:-64}
runs=${RUNS:-3}
python=${PYTHON:-python3}
threads=${THREADS:-2}
work=${WORK:-$(mktemp -d)}
here=bench/cpu/decode
java=$(./jotune --java)
javac=$(dirname "$java")/javac
vector="--add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED"
if [ -z "${CLASSES:-}" ]; then
    mvn -q -B -pl tensor,autograd,models,peft,jmh package -DskipTests
    CLASSES="jmh/target/classes:jmh/target/lib/*"
fi
[ -f "$work/model-q4_0.gguf" ] || "$python" $here/model.py "$work" >&2
if [ -n "${LLAMA3:-}" ] && [ ! -d "$work/llama3" ]; then
    "$javac" -proc:none -nowarn --add-modules jdk.incubator.vector -d "$work/llama3" "$LLAMA3" $here/Llama3Peer.java >&2
fi
if [ -n "${JLAMA:-}" ] && [ ! -d "$work/jlama" ]; then
    "$javac" -proc:none -nowarn -d "$work/jlama" -cp "$JLAMA/*" $here/JlamaPeer.java >&2
fi

errors=$(mktemp)
failures=$(mktemp)
# What fails is named, and the others go on; then the script fails too.
attempt() { # COMMAND ARGS...
    "$@" 2>"$errors" || { echo "decode.sh: this failed and is missing: $*" | tee -a "$failures" >&2; { grep -v WARNING "$errors" | head -n 5 >&2; } || true; }
}
jotune() { # FILE WEIGHTS
    attempt "$java" -Xmx512m -XX:+UseParallelGC $vector -Djotune.threads="$threads" -cp "$CLASSES" dev.jotune.jmh.Decode "$1" "$threads" "$new" "$runs" "$2"
}
jlama() { # WORKING [NARROWED]
    attempt "$java" -Xmx4g $vector --enable-preview -cp "$work/jlama:$JLAMA/*" JlamaPeer "$work/hf" "$threads" "$new" "$runs" "$@"
}
llama3() { # FILE
    attempt "$java" -Xmx2g $vector -XX:ActiveProcessorCount="$threads" -cp "$work/llama3" com.llama4j.Llama3Peer "$1" "$threads" "$new" "$runs"
}

for round in $(seq "$rounds"); do
    {
        jotune "$work/hf" BF16
        attempt "$python" $here/torch_peer.py "$work/hf" "$threads" "$new" "$runs"
        if [ -n "${JLAMA:-}" ]; then jlama F32; jlama BF16; fi
        if [ -n "${LLAMA3:-}" ]; then llama3 "$work/model-bf16.gguf"; fi
        for form in q8_0 q4_0; do
            jotune "$work/model-$form.gguf" "${form^^}"
            if [ -n "${LLAMA3:-}" ]; then llama3 "$work/model-$form.gguf"; fi
        done
        if [ -n "${JLAMA:-}" ]; then jlama F32 Q4; fi
    } | grep --line-buffered '^{"case' | sed -u "s/}\$/, \"round\": $round}/"
done
[ ! -s "$failures" ]
