"""The rows of the page: what is measured, what it must reach at least, and what it aims at."""
import collections

Target = collections.namedtuple("Target", "work threads kind args target aim smaller", defaults=(False,))


def many(m):
    return m >= 512


def few(m):
    return m == 8


def target(work, threads, kind, args, least, aim, smaller=False):
    return [Target(work, t, kind, args, least, aim, smaller) for t in threads]


TARGETS = [
    *target("GEMM F32, M >= 512, frozen weights, Vector API, over MKL plain", (1, 2), "gemm", (many, "jotune_f32", "mkl_nt", False), 1.0, 1.08),
    *target("GEMM F32, M = 8, Vector API, over MKL plain", (1,), "gemm", (few, "jotune_f32", "mkl_nt", False), 2.0, 2.6),
    *target("GEMM F32, M = 8, machine code, over MKL plain", (1,), "gemm", (few, "jotune_f32", "mkl_nt", True), 2.0, 2.6),
    *target("GEMM M = 8, BF16 weights, Vector API, over MKL plain F32", (1,), "gemm", (few, "jotune_bf16_weights", "mkl_nt", False), 2.7, 4),
    *target("GEMM M = 8, BF16 weights, machine code, over MKL plain F32", (1,), "gemm", (few, "jotune_bf16_weights", "mkl_nt", True), 2.7, 4),
    *target("GEMM M = 8, BF16 weights and dot products, machine code, over MKL plain F32", (1,), "gemm", (few, "jotune_bf16", "mkl_nt", True), 2.7, 4),
    *target("GEMM BF16, M >= 512, over libtorch BF16", (1,), "gemm", (many, "jotune_bf16", "torch_bfloat16", True), 0.9, 1.2),
    *target("GEMM to F32 accuracy, M >= 512, machine code, over MKL F32", (1, 2), "gemm", (many, "jotune_f32", "mkl_nt", True), 2, 4),
    *target("attention with prefix, forward, T = 512, over libtorch", (1, 2), "attention", ("forward",), 1.6, 2.3),
    *target("attention with prefix, backward, T = 512, over libtorch", (1, 2), "attention", ("backward",), 1.3, 2.0),
    *target("LayerNorm, in L2, over libtorch", (1,), "rows", ("layer_norm",), 2.4, 4),
    *target("softmax, in L2, over libtorch", (1,), "rows", ("softmax",), 1.9, 3),
    *target("GELU (tanh), in L2, over libtorch", (1,), "rows", ("gelu_tanh",), 5, 8),
    *target("LoRA step, 135M, F32, over PyTorch+PEFT F32", (2, 1), "steps", ("lora_step", "F32"), 2, 5),
    *target("prefix step, 135M, F32, over PyTorch+PEFT F32", (2, 1), "steps", ("prefix_step", "F32"), 2, 5),
    *target("LoRA step, 135M, BF16, over PyTorch+PEFT BF16", (2, 1), "steps", ("lora_step", "BF16"), 1.5, 4),
    *target("prefix step, 135M, BF16, over PyTorch+PEFT BF16", (2, 1), "steps", ("prefix_step", "BF16"), 1.5, 4),
    *target("prefill, 135M, BF16, over PyTorch BF16", (2, 1), "steps", ("prefill", "BF16"), 1.0, 1.5),
    *target("decode, 135M, BF16 weights, over PyTorch BF16", (2, 1), "decode", ("torch",), 2.5, 5),
    *target("decode, 135M, BF16 weights, over Jlama", (2, 1), "decode", ("jlama",), 1.2, 2),
    *target("decode, 135M, BF16 weights, over llama3.java", (2, 1), "decode", ("llama3",), 1.2, 2),
    *target("peak memory of the LoRA step, of PyTorch's", (2,), "memory", (), 0.6, 0.3, True),
    *target("second thread: GEMM F32, M = 512", (2,), "second", ("gemm",), 1.85, 1.97),
    *target("second thread: LoRA step F32", (2,), "second", ("step",), 1.85, 1.97),
]
