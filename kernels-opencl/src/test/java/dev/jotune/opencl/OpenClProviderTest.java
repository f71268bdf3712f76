package dev.jotune.opencl;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.Backend;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What is there is offered, what is not is explained; nothing is ever thrown. Devices are made up. */
class OpenClProviderTest {
    private static final DeviceInfo CARD = device("Fast Card", DeviceInfo.Kind.GPU);
    private static final DeviceInfo PROCESSOR = device("pthread-cpu", DeviceInfo.Kind.CPU);

    private static DeviceInfo device(String name, DeviceInfo.Kind kind) {
        return new DeviceInfo(null, null, "A platform", name, "OpenCL 1.2 something (x)", "7.1", kind, 2, 1L << 30, 1L << 28, true);
    }

    @AfterEach
    void forget() {
        System.clearProperty(OpenClProvider.CHOICE);
    }

    private static List<String> names(OpenClProvider p) {
        return p.backends().stream().map(Backend::name).toList();
    }

    @Test
    void makingOneLooksForNothing() {
        List<String> looked = new ArrayList<>();
        OpenClProvider p = new OpenClProvider(() -> {
            looked.add("once");
            return List.of(PROCESSOR);
        });
        assertThat(p.kind()).isEqualTo("opencl");
        assertThat(looked).isEmpty();
        p.backends();
        p.note();
        p.priority();
        assertThat(looked).hasSize(1);
    }

    @Test
    void aGpuComesBeforeTheCpuAndACpuDriverBehindEverything() {
        assertThat(new OpenClProvider(() -> List.of(CARD, PROCESSOR)).priority()).isPositive();
        assertThat(new OpenClProvider(() -> List.of(PROCESSOR)).priority()).isLessThan(-1);
        OpenClProvider both = new OpenClProvider(() -> List.of(CARD, PROCESSOR));
        assertThat(names(both)).containsExactly("opencl:0", "opencl:1");
        assertThat(both.backends().getFirst().description())
                .isEqualTo("Fast Card (GPU, 2 units, 1.0 GiB, A platform, OpenCL 1.2 something, driver 7.1)");
        assertThat(both.note()).isEmpty();
    }

    @Test
    void devicesAreChosenByNumberAndName() {
        for (String[] c : new String[][] {{"1", "opencl:1"}, {"fast", "opencl:0"}, {"PTHREAD", "opencl:1"}}) {
            System.setProperty(OpenClProvider.CHOICE, c[0]);
            assertThat(names(new OpenClProvider(() -> List.of(CARD, PROCESSOR)))).as(c[0]).containsExactly(c[1]);
        }
        System.setProperty(OpenClProvider.CHOICE, "none such");
        OpenClProvider none = new OpenClProvider(() -> List.of(CARD));
        assertThat(none.backends()).isEmpty();
        assertThat(none.note()).contains("none such", "Fast Card");
        System.setProperty(OpenClProvider.CHOICE, "off");
        OpenClProvider off = new OpenClProvider(() -> {
            throw new AssertionError("nobody may look");
        });
        assertThat(off.backends()).isEmpty();
        assertThat(off.note()).contains("switched off");
    }

    @Test
    void whatIsMissingIsSaid() {
        OpenClProvider noLibrary = new OpenClProvider(() -> {
            throw new UnsatisfiedLinkError("libOpenCL.so.1: cannot open shared object file\nmore");
        });
        assertThat(noLibrary.backends()).isEmpty();
        assertThat(noLibrary.note()).contains("libOpenCL.so.1: cannot open").doesNotContain("more");
        assertThat(noLibrary.priority()).isNegative();
        assertThat(new OpenClProvider(List::of).note()).contains("no driver", "/etc/OpenCL/vendors");
        OpenClProvider broken = new OpenClProvider(() -> {
            throw new OpenClException("clGetPlatformIDs failed with CL_OUT_OF_HOST_MEMORY. Try.");
        });
        assertThat(broken.backends()).isEmpty();
        assertThat(broken.note()).contains("CL_OUT_OF_HOST_MEMORY");
    }
}
