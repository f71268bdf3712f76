/** Reverse-mode differentiation, the operations of models, and optimisers. */
module dev.jotune.autograd {
    requires transitive dev.jotune.tensor;
    requires ejml.ddense;
    requires ejml.core;

    exports dev.jotune.autograd;
    exports dev.jotune.autograd.ops;
    exports dev.jotune.autograd.optim;
}
