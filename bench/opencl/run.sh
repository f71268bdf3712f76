#!/usr/bin/env bash
# The kernels of an OpenCL device beside their twins on the CPU and beside CLBlast; writes bench/opencl/RESULTS.md.
#
#   bench/opencl/run.sh [quick|full]      default: full, three JVMs a line; quick: all in one JVM, few repetitions
#
# DEVICE   which (default: opencl:0); ./jotune devices lists them
# OUT      where the page goes (default: bench/opencl/RESULTS.md)
# PYTHON   writes the page (default: python3)
# WORK     folder of JMH's numbers (default: a new one)
# CLASSES  class path of the benchmarks, if they are built already (default: mvn builds jmh)
#
# CLBlast is Debian's libclblast1 (apt-get install libclblast1); without it its rows are missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
mode=${1:-full}
device=${DEVICE:-opencl:0}
out=${OUT:-bench/opencl/RESULTS.md}
case $mode in
    quick) short=(-wi 1 -w 200ms -i 6 -r 200ms -f 0) weights=F32,Q4_0 ;;
    full) short=(-wi 3 -w 500ms -i 5 -r 500ms -f 3) weights=F32,BF16,Q8_0,Q4_0,NF4 ;;
    *) echo "run.sh: there is no mode '$mode'. Say quick or full." >&2; exit 2 ;;
esac
java=$(./jotune --java)
LD_PRELOAD=$(dirname "$(dirname "$java")")/lib/libjsig.so # docs/OPENCL.md, "Beside the JVM's signals"
export LD_PRELOAD
if [[ -z ${CLASSES:-} ]]; then
    mvn -q -B -pl jmh -am package -DskipTests
    CLASSES='jmh/target/classes:jmh/target/lib/*'
fi
work=${WORK:-$(mktemp -d)}
mkdir -p "$work"
before=$(cut -d' ' -f1 /proc/loadavg || echo unknown)
jmh() { # NAME ARGS...
    local name=$1
    shift
    "$java" --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED -cp "$CLASSES" org.openjdk.jmh.Main "$@" "${short[@]}" \
        -rf json -rff "$work/$name.json" 2>&1 | grep --line-buffered -E '^(Benchmark|Device|# Parameters|# Benchmark:)|Exception' >&2 || true
}
jmh kernels 'DeviceBenchmark.kernel' -p backend="cpu,$device"
jmh products 'DeviceProductBenchmark' -p device="$device" -p rows=1,512 -p weights=$weights
jmh peers 'DevicePeerBenchmark' -p device="$device"
"$java" --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED -cp "$CLASSES:cli/target/classes:cli/target/lib/*" \
    dev.jotune.cli.Main devices > "$work/devices" 2>&1 || true
"${PYTHON:-python3}" bench/opencl/report.py "$work" "$device" "$mode" "$before" > "$out"
echo "wrote $out" >&2
