/** The {@code jotune} command. */
module dev.jotune.cli {
    requires dev.jotune.peft;
    requires info.picocli;
    requires me.tongfei.progressbar;
    requires org.knowm.xchart;
    requires java.desktop;
    requires com.fasterxml.jackson.databind;

    opens dev.jotune.cli to info.picocli;
}
