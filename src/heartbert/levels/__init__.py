"""Stage 3 of 7: signal -> levels. The scalar quantiser: count amplitudes, fit a codebook, quantize, dequantize.

::

    signal in [0, 1] -> Histogram -> fit_codebook -> Codebook -> levels
      histogram.py: amplitudes counted in fixed memory, in any order and any number of parts
      fitting.py:   every method by name; optimal.py: the best cells, found exactly
      codebook.py:  where cells end, what they decode to, and both directions of use
      distortion.py: what a codebook loses, and how many bits its levels carry
      kernels.py:   the two hot loops, compiled
"""

from heartbert.levels.codebook import Codebook, dequantize, quantize
from heartbert.levels.distortion import Distortion, cell_counts, distortion, entropy_bits
from heartbert.levels.fitting import METHODS, Method, fit_codebook, fit_lloyd_max
from heartbert.levels.histogram import N_BINS, Histogram

__all__ = [
    "METHODS",
    "N_BINS",
    "Codebook",
    "Distortion",
    "Histogram",
    "Method",
    "cell_counts",
    "dequantize",
    "distortion",
    "entropy_bits",
    "fit_codebook",
    "fit_lloyd_max",
    "quantize",
]
