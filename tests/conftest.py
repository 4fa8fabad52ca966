"""Settings shared by all tests."""

from __future__ import annotations

import os

# One thread per worker: two pytest workers with a pool each would fight over two cores. Set before numpy,
# torch and numba are imported; an explicit setting wins.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# Most models work for a shorter time than their compilation takes.
os.environ.setdefault("SVPG_QUICK_MODELS", "1")

# Figures are drawn to files.
os.environ.setdefault("MPLBACKEND", "agg")
