"""Stages 2 to 4 of 7 in one object: all between a raw lead and its text that must travel with the weights."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heartbert.errors import BundleError, ConfigError
from heartbert.levels import Codebook
from heartbert.records.record import Channel
from heartbert.signals.filtering import BandPass
from heartbert.signals.resampling import TARGET_FS, resample
from heartbert.signals.scaling import PIECE_S, ScalingRule, piece_ranges
from heartbert.signals.streaming import Block, stream_blocks
from heartbert.signals.windows import cut_windows
from heartbert.text import to_text

PREPROCESSOR_FILE = "preprocessor_config.json"
# Samples of a block at 360 Hz, about 5 minutes: memory depends on it, results do not.
BLOCK_S = 300.0


@dataclass(frozen=True)
class Preprocessing:
    """From a lead in mV at any rate to levels at 360 Hz.

    Attributes
    ----------
    band : BandPass
    scaling_rule : ScalingRule
    codebook : Codebook
    window_samples : int
        Samples at 360 Hz of a window, at most 4000.
    """

    band: BandPass
    scaling_rule: ScalingRule
    codebook: Codebook
    window_samples: int

    @property
    def block_samples(self) -> int:
        """Samples at 360 Hz of a block: about five minutes, a whole number of windows."""
        return max(1, round(BLOCK_S * TARGET_FS / self.window_samples)) * self.window_samples

    def stream(self, channel: Channel, *, first: int = 0) -> Iterator[Block]:
        """Yield the lead at 360 Hz, filtered, in blocks of whole windows, from block `first` on."""
        return stream_blocks(channel, self.band, block_samples=self.block_samples, first=first)

    def texts(self, signal: npt.NDArray[np.float32], fs: float) -> list[str]:
        """Turn one lead into the texts of its windows, the last one shorter than the others.

        Parameters
        ----------
        signal : ndarray of float32, shape (n_samples,)
            Finite samples of one lead, in any unit unless the scaling is ``fixed`` (mV).
        fs : float
            Sampling frequency in Hz.

        Returns
        -------
        texts : list of str
            One a window, one letter a sample at 360 Hz.
        """
        filtered = self.band.apply(resample(signal, fs))
        ranges = piece_ranges(filtered, np.ones(filtered.size, dtype=np.bool_), round(PIECE_S * TARGET_FS))
        levels = self.codebook.quantize(self.scaling_rule.fit(ranges).apply(filtered))
        windows, covered = cut_windows(levels, self.window_samples)
        return [to_text(window[inside]) for window, inside in zip(windows, covered, strict=True)]

    def save(self, folder: Path) -> None:
        """Write ``preprocessor_config.json`` into a folder."""
        content = {
            "feature_extractor_type": "HeartbertFeatureExtractor",
            "target_fs": TARGET_FS,
            **asdict(self),
        }
        (folder / PREPROCESSOR_FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load_preprocessing(folder: Path) -> Preprocessing:
    """Read ``preprocessor_config.json`` from a folder.

    Raises
    ------
    BundleError
        If the file is missing or does not hold a preprocessing.
    """
    try:
        content = json.loads((folder / PREPROCESSOR_FILE).read_text(encoding="utf-8"))
        return preprocessing_from_dict(content)
    except (OSError, ValueError, KeyError, TypeError, ConfigError) as error:
        raise BundleError(
            f"'{PREPROCESSOR_FILE}' in '{folder.name}' cannot be used: {error}. Get the folder again."
        ) from error


def preprocessing_from_dict(content: dict[str, Any]) -> Preprocessing:
    """Build a preprocessing from the content of its JSON file."""
    codebook = content["codebook"]
    return Preprocessing(
        band=BandPass(**content["band"]),
        scaling_rule=ScalingRule(**content["scaling_rule"]),
        codebook=Codebook(tuple(codebook["thresholds"]), tuple(codebook["values"])),
        window_samples=int(content["window_samples"]),
    )
