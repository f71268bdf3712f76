/** The backend for OpenCL devices: found by name at run time, never compiled against. */
module dev.jotune.opencl {
    requires dev.jotune.tensor;
    requires com.fasterxml.jackson.databind;
    requires jocl;

    provides dev.jotune.tensor.BackendProvider with dev.jotune.opencl.OpenClProvider;
}
