#!/usr/bin/env bash
# Compiles kernels ahead, for machines that have a driver and no NVRTC: texts that a program kept under -Djotune.cuda.record=TEXTS become PTX,
# which any driver since CUDA 11 compiles further (since 12, what is for compute capability 9.0 alone).
#
#   kernels-cuda/ahead.sh TEXTS FOLDER          needs CUDA's nvcc, in CUDA_HOME or on the path
#
# FOLDER on the class path is all that Jotune needs to find them: java -cp FOLDER:... Files that are there already are left as they are; a
# file is named by a digest of its text.
set -euo pipefail
[[ $# -eq 2 ]] || { echo "usage: ahead.sh TEXTS FOLDER" >&2; exit 2; }
texts=$1
to=$2/dev/jotune/cuda/ptx
[[ -d $texts ]] || { echo "ahead.sh: there is no folder $texts. Run a program with -Djotune.cuda.record=$texts first." >&2; exit 1; }
nvcc=${CUDA_HOME:+$CUDA_HOME/bin/nvcc}
[[ -n $nvcc && -x $nvcc ]] || nvcc=$(command -v nvcc || compgen -G '/usr/local/cuda*/bin/nvcc' | head -n 1 || true)
[[ -n $nvcc ]] || { echo "ahead.sh: there is no nvcc. Install CUDA's toolkit, or name its folder with CUDA_HOME." >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$to" "$work/made"

compile() { # CHIP VERSION TEXTS...
    local chip=$1 version=$2
    "$nvcc" -ptx "-arch=compute_${chip#sm_}" --std=c++17 --threads 0 -diag-suppress 177,550 -odir "$work/made" "${@:3}"
    # Without comments, in the oldest version that has its instructions; what the assembler takes in that version is right.
    for text in "${@:3}"; do
        local name=${text##*/}
        grep -vE '^(//.*)?$' "$work/made/${name%.cu}.ptx" | sed "s/^\.version .*/.version $version/" > "$work/${name%.cu}.ptx"
    done
    printf '%s\0' "${@:3}" | sed -z 's|.*/||; s|\.cu$||' |
        xargs -0 -P "$(nproc)" -I{} "${nvcc%nvcc}ptxas" "-arch=$chip" -o /dev/null "$work/{}.ptx"
    for text in "${@:3}"; do
        local name=${text##*/}
        mv "$work/${name%.cu}.ptx" "$to/"
    done
}

for chip in sm_80 sm_90a; do
    new=()
    for text in "$texts/$chip"/*.cu; do
        name=${text##*/}
        [[ ! -e $text || -e $to/${name%.cu}.ptx ]] || new+=("$text")
    done
    [[ ${#new[@]} -eq 0 ]] || compile "$chip" "$([[ $chip == sm_80 ]] && echo 7.0 || echo 8.0)" "${new[@]}"
done
echo "ahead.sh: $(find "$to" -name '*.ptx' | wc -l) kernels in $2"
