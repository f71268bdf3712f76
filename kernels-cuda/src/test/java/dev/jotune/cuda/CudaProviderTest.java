package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.BackendProvider;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import jcuda.driver.CUdevice;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What is there is offered, what is not is explained; nothing is ever thrown. Devices are made up. */
class CudaProviderTest {
    private static final String CHOICE = "jotune.cuda";
    private static final DeviceInfo HOPPER = device("NVIDIA H100 80GB HBM3", 90);
    private static final DeviceInfo AMPERE = device("NVIDIA A100", 80);

    private static DeviceInfo device(String name, int capability) {
        return new DeviceInfo(new CUdevice(), name, capability, 132, 80L << 30, 227 << 10, 12_040);
    }

    @AfterEach
    void forget() {
        System.clearProperty(CHOICE);
    }

    private static List<String> names(CudaProvider p) {
        return p.backends().stream().map(Backend::name).toList();
    }

    @Test
    void itIsFound() {
        assertThat(ServiceLoader.load(BackendProvider.class)).anyMatch(CudaProvider.class::isInstance);
    }

    @Test
    void makingOneLooksForNothing() {
        List<String> looked = new ArrayList<>();
        CudaProvider p = new CudaProvider(() -> {
            looked.add("once");
            return List.of(HOPPER);
        });
        assertThat(p.kind()).isEqualTo("cuda");
        assertThat(looked).isEmpty();
        p.backends();
        p.note();
        p.priority();
        assertThat(looked).hasSize(1);
    }

    @Test
    void devicesComeBeforeThoseOfOpenClAndNothingBehindTheCpu() {
        CudaProvider both = new CudaProvider(() -> List.of(HOPPER, AMPERE));
        assertThat(both.priority()).isGreaterThan(10);
        assertThat(new CudaProvider(List::of).priority()).isNegative();
        assertThat(names(both)).containsExactly("cuda:0", "cuda:1");
        assertThat(both.backends().getFirst().description())
                .isEqualTo("NVIDIA H100 80GB HBM3 (GPU, compute capability 9.0, 132 units, 80.0 GiB, driver for CUDA 12.4)");
        assertThat(both.note()).isEmpty();
    }

    @Test
    void aDriverThatLacksFunctionsIsNotUsed() {
        CudaProvider old = new CudaProvider(() -> {
            DeviceInfo.requireVersion(11_080);
            return List.of(AMPERE);
        });
        assertThat(old.backends()).isEmpty();
        assertThat(old.note()).contains("CUDA 11.8", "12.0", "525");
        assertThat(DeviceInfo.requireVersion(12_000)).isEqualTo(12_000);
    }

    @Test
    void devicesAreChosenByNumberAndName() {
        for (String[] c : new String[][] {{"1", "cuda:1"}, {"h100", "cuda:0"}, {"A100", "cuda:1"}}) {
            System.setProperty(CHOICE, c[0]);
            assertThat(names(new CudaProvider(() -> List.of(HOPPER, AMPERE)))).as(c[0]).containsExactly(c[1]);
        }
        System.setProperty(CHOICE, "none such");
        CudaProvider none = new CudaProvider(() -> List.of(HOPPER));
        assertThat(none.backends()).isEmpty();
        assertThat(none.note()).contains("none such", "H100");
        System.setProperty(CHOICE, "off");
        CudaProvider off = new CudaProvider(() -> {
            throw new AssertionError("nobody may look");
        });
        assertThat(off.backends()).isEmpty();
        assertThat(off.note()).contains("switched off");
    }

    @Test
    void whatIsMissingIsSaid() {
        CudaProvider noDriver = new CudaProvider(() -> {
            Driver.open("libcuda-of-nobody.so.1");
            return List.of(HOPPER);
        });
        assertThat(noDriver.backends()).isEmpty();
        assertThat(noDriver.note()).contains("libcuda.so.1", "libcuda-of-nobody.so.1").doesNotContain("\n");
        assertThat(new CudaProvider(List::of).note()).contains("no device", "CUDA_VISIBLE_DEVICES");
        CudaProvider broken = new CudaProvider(() -> {
            throw Cu.failure(803, "cuInit");
        });
        assertThat(broken.backends()).isEmpty();
        assertThat(broken.note()).contains("cuInit", "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH");
    }

    /** A machine with a driver alone still has its CPU as the default, and says what would make it compute on the device. */
    @Test
    void withoutCompilerADeviceIsNoDefault() {
        CudaProvider p = new CudaProvider(() -> List.of(HOPPER), driver -> Optional.of("no NVRTC for " + driver));
        assertThat(p.priority()).isNegative();
        assertThat(names(p)).containsExactly("cuda:0");
        assertThat(p.note()).contains("no NVRTC for 12040").contains("nvidia-cuda-nvrtc").contains("-D" + NvrtcSearch.PLACE);
    }

    @Test
    void aStatusSaysWhatToDo() {
        Cu.check(0, "nothing");
        assertThatThrownBy(() -> Cu.check(700, "Reading")).isInstanceOf(CudaException.class)
                .hasMessageContaining("Reading failed with CUDA_ERROR_ILLEGAL_ADDRESS (700)").hasMessageContaining("-Djotune.cuda.wait=true");
        assertThatThrownBy(() -> Cu.check(222, "Loading")).hasMessageContaining("update the driver").hasMessageContaining(NvrtcSearch.PLACE);
        assertThatThrownBy(() -> Cu.check(2, "cuMemAlloc")).hasMessageContaining("smaller batch");
    }
}
