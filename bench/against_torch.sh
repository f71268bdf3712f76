#!/usr/bin/env bash
# One LoRA step and one prefix step of a 135M-parameter Llama, Jotune against PyTorch + PEFT, in turn on this machine.
#
#   bench/against_torch.sh [CASES] [PAIRS]        default: lora_step,prefix_step 3
#
# PYTHON   a Python with torch, transformers and peft (default: python3). To make one:
#            python3 -m venv venv && venv/bin/pip install torch transformers peft && PYTHON=venv/bin/python bench/against_torch.sh
# THREADS  threads of both (default: 2)
# OUT      where the table goes (default: bench/AGAINST_TORCH.md)
#
# The two run in separate processes, A B A B, never at once: two thread pools in one process disturb each other. Each
# process warms up first (compilation here, allocator and thread pools there) and reports the median of its steps; the
# table shows the median over the processes and the ratio of each adjacent pair. Tensors lie outside the JVM's heap, which
# therefore gets 512 MB instead of a quarter of the machine.
set -euo pipefail
cd "$(dirname "$0")/.."
cases=${1:-lora_step,prefix_step}
pairs=${2:-3}
python=${PYTHON:-python3}
threads=${THREADS:-2}
out=${OUT:-bench/AGAINST_TORCH.md}
"$python" -c 'import torch, transformers, peft' 2>/dev/null || {
    echo "against_torch: $python has no torch, transformers and peft. Set PYTHON; the head of this script says how to make one." >&2
    exit 1
}
java=$(./jotune --java)
mvn -q -B -pl tensor,autograd,models,peft,jmh package -DskipTests
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for pair in $(seq "$pairs"); do
    for case in ${cases//,/ }; do
        echo "pair $pair, $case" >&2
        "$java" -Xmx512m -XX:+UseParallelGC -XX:+UseCompactObjectHeaders --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED -Djotune.threads="$threads" \
            -cp "jmh/target/classes:jmh/target/lib/*" dev.jotune.jmh.Steps "$case" 5 2>/dev/null | sed "s/^{/{\"pair\": $pair, /" | tee -a "$log" >&2
        "$python" bench/peer_torch.py --cases "$case" --threads "$threads" --steps 5 2>/dev/null | sed "s/^{/{\"pair\": $pair, /" | tee -a "$log" >&2
    done
done
"$python" bench/ratio.py "$log" "$threads" > "$out"
cat "$out"
