"""How many threads the arithmetic of a process uses."""

# Whatever library a model computes with reads its own one, once, when it is imported.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
