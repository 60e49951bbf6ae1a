"""Makes the same frames as peer/src/main.rs."""

import numpy as np


def frame(n, size):
    return ((n * 131 + np.arange(size, dtype=np.uint64) * 7) % 251).astype(np.uint8)
