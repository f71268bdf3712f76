/** The {@code jotune} command. */
module dev.jotune.cli {
    requires dev.jotune.peft;
    requires info.picocli;
    requires me.tongfei.progressbar;
    requires org.knowm.xchart;
    requires java.desktop;
    requires com.fasterxml.jackson.databind;

    // picocli fills in commands, Jackson reads and writes the results of comparisons.
    opens dev.jotune.cli to info.picocli, com.fasterxml.jackson.databind;
}
