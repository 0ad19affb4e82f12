"""Stages 2 to 4 of 7 as a Hugging Face feature extractor: a raw lead -> the texts that the tokenizer takes."""

from typing import Any

import numpy as np
import numpy.typing as npt
from transformers import BatchFeature, FeatureExtractionMixin

from heartbert.errors import SignalValueError
from heartbert.preprocessing import Preprocessing, preprocessing_from_dict


class HeartbertFeatureExtractor(FeatureExtractionMixin):  # type: ignore[misc]
    """Turns a lead at any sampling frequency into the texts of its windows, by the settings in a bundle.

    ``HeartbertFeatureExtractor.from_pretrained(folder)`` reads the ``preprocessor_config.json`` of a bundle.

    Parameters
    ----------
    **settings
        The content of ``preprocessor_config.json``, as `transformers` passes it.

    Examples
    --------
    >>> from transformers import AutoModel, AutoTokenizer
    >>> extractor = HeartbertFeatureExtractor.from_pretrained(folder)  # doctest: +SKIP
    >>> texts = extractor(lead_mv, sampling_rate=250.0)["text"]  # doctest: +SKIP
    >>> tokens = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")  # doctest: +SKIP
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # Checked here so that a damaged file is refused when it is read, not when it is used.
        self._preprocessing()

    def _preprocessing(self) -> Preprocessing:
        names = ("band", "scaling_rule", "codebook", "window_samples")
        return preprocessing_from_dict({name: getattr(self, name) for name in names})

    def __call__(self, signal: npt.NDArray[np.float32], *, sampling_rate: float) -> BatchFeature:
        """Return the texts of one lead.

        Parameters
        ----------
        signal : ndarray of float32, shape (n_samples,)
            One lead in mV, finite.
        sampling_rate : float
            In Hz.

        Returns
        -------
        features : BatchFeature
            ``text``: list of str, one a window of at most 4000 samples at 360 Hz.

        Raises
        ------
        SignalValueError
            If the signal is not one-dimensional, is empty, or holds NaN.
        """
        lead = np.asarray(signal, dtype=np.float32)
        if lead.ndim != 1 or lead.size == 0 or not np.isfinite(lead).all():
            raise SignalValueError(
                f"the signal has shape {lead.shape} and {int((~np.isfinite(lead)).sum())} samples that are not finite; "
                "one lead of finite samples, shape (n_samples,), is needed. Interpolate or cut it first."
            )
        return BatchFeature({"text": self._preprocessing().texts(lead, sampling_rate)})
