/** Tuning methods, adapters on disk, and the training loop. */
module dev.jotune.peft {
    requires transitive dev.jotune.models;
    requires java.management;
    requires com.fasterxml.jackson.databind;
    requires com.fasterxml.jackson.datatype.jdk8;
    requires hipparchus.core;
    requires hipparchus.optim;
    requires ejml.ddense;
    requires ejml.core;

    exports dev.jotune.peft;
    exports dev.jotune.peft.decoding;
    exports dev.jotune.peft.methods;
    exports dev.jotune.peft.objectives;
    exports dev.jotune.peft.steps;
    exports dev.jotune.peft.train;
    exports dev.jotune.peft.weights;

    // Jackson reads and writes the records of hyper-parameters.
    opens dev.jotune.peft to com.fasterxml.jackson.databind;
    opens dev.jotune.peft.methods to com.fasterxml.jackson.databind;
}
