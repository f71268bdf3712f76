/** The backend for OpenCL devices: found by name at run time, never compiled against. */
module dev.jotune.opencl {
    requires dev.jotune.tensor;
    requires jocl;

    provides dev.jotune.tensor.BackendProvider with dev.jotune.opencl.OpenClProvider;
}
