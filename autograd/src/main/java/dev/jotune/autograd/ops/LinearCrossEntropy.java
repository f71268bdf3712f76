package dev.jotune.autograd.ops;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.Tensor;
public final class LinearCrossEntropy { public static Var apply(Var h, Var w, Tensor l) { return CrossEntropy.apply(Linear.apply(h,w), l); } }
