/** The backend for CUDA devices: found by name at run time, never compiled against. */
module dev.jotune.cuda {
    requires dev.jotune.tensor;
    requires com.fasterxml.jackson.databind;
    requires jcuda;

    provides dev.jotune.tensor.BackendProvider with dev.jotune.cuda.CudaProvider;
}
