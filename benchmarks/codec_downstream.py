"""What scaling and quantiser cost a heartbeat classifier: its waveforms come out of the codec.

    python benchmarks/codec_downstream.py MITDB_FOLDER -o benchmarks/results/codec-downstream.json

Each codebook of 100 levels is fitted on the training records of DS1; every record is quantised and decoded, and the
heartbeat head sees RR intervals and the decoded waveform of each beat, scaled by its lead's
amplitude. Scores are those on the validation records inside DS1, beats by our detector; DS2 is not read.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heartbert.evaluation.splits import MITDB_DS1, MITDB_DS1_VALIDATION
from heartbert.files import replacing_file
from heartbert.levels import Codebook, Histogram, Method, fit_codebook
from heartbert.predictions.heartbeats import WAVEFORM_SAMPLES
from heartbert.preprocessing import Preprocessing
from heartbert.records import read_record
from heartbert.signals.filtering import BandPass
from heartbert.signals.scaling import AmplitudeRanges, ScalingRule
from heartbert.signals.survey import survey_lead
from heartbert.training.config import HeartbeatsConfig, read_config
from heartbert.training.heartbeats import AnnotatedBeats, label_beats, train_head

sys.path.insert(0, str(Path(__file__).parent))
from provenance import provenance

N_LEVELS = 100
ROBUST = ScalingRule("robust", 1.5)


@dataclass(frozen=True)
class Codec:
    """A scaling and a quantiser; `quantiser` is None where the waveform is only clipped to the scaling's range."""

    scaling: ScalingRule
    quantiser: Method | None


CODECS = {
    "no codec": Codec(ROBUST, None),
    "robust range, lloyd-max": Codec(ROBUST, "lloyd-max"),
    "record range, lloyd-max": Codec(ScalingRule("record-range", 1.0), "lloyd-max"),
    "fixed range of 5 mV, lloyd-max": Codec(ScalingRule("fixed", 5.0), "lloyd-max"),
    "robust range, uniform": Codec(ROBUST, "uniform"),
    "record range, quantile (published)": Codec(ScalingRule("record-range", 1.0), "quantile"),
}


@dataclass(frozen=True)
class Lead:
    """The filtered lead of a record, how large it is, and its beats."""

    signal: npt.NDArray[np.float32]
    ranges: AmplitudeRanges
    beats: AnnotatedBeats

    def decoded(self, rule: ScalingRule, codebook: Codebook | None) -> AnnotatedBeats:
        """Return the beats with their waveforms as the codec gives them back, in units of the lead's usual range."""
        scaling = rule.fit(self.ranges)
        scaled = scaling.apply(self.signal)
        if codebook is not None:
            scaled = codebook.dequantize(codebook.quantize(scaled))
        restored = scaling.undo(scaled) / np.float32(self.ranges.median_amplitude)
        index = np.clip(self.beats.r_peaks[:, None] + WAVEFORM_SAMPLES, 0, restored.size - 1)
        return replace(self.beats, embeddings=restored[index].astype(np.float16))


def read_lead(preprocessing: Preprocessing, path: Path) -> Lead:
    """Read and filter a record's lead and find its beats."""
    blocks = list(preprocessing.stream(read_record(path).lead()))
    signal = np.concatenate([block.inner_signal for block in blocks])
    return Lead(signal, survey_lead(blocks).ranges, label_beats(preprocessing, path)[0])


def score(codec: Codec, leads: dict[str, Lead], config: HeartbeatsConfig) -> dict[str, Any]:
    """Fit the codebook on the training records, decode all, train the head from several seeds."""
    training = [lead for name, lead in leads.items() if name not in MITDB_DS1_VALIDATION]
    codebook = None
    if codec.quantiser is not None:
        histogram = Histogram()
        for lead in training:
            histogram.add(codec.scaling.fit(lead.ranges).apply(lead.signal))
        codebook = fit_codebook(histogram.counts, N_LEVELS, method=codec.quantiser)
    decoded = [lead.decoded(codec.scaling, codebook) for lead in training]
    validation = [leads[name].decoded(codec.scaling, codebook) for name in MITDB_DS1_VALIDATION]
    seeds = range(config.seed, config.seed + config.n_seeds)
    return spread([train_head(decoded, validation, config, seed=seed).scores for seed in seeds])


def spread(scores: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return mean, lowest and highest of each score over the seeds."""
    values = {name: [one[name] for one in scores] for name in scores[0]}
    return {
        name: {"mean": float(np.mean(found)), "low": min(found), "high": max(found)} for name, found in values.items()
    }


def main() -> None:
    """Parse the command line, run every codec, store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--config", default="small")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    origin = provenance([arguments.folder])
    config = read_config(arguments.config)
    band = BandPass(config.signal.low_hz, config.signal.high_hz)
    # Any codebook will do here: only the filter of the preprocessing is used.
    preprocessing = Preprocessing(band, ROBUST, Codebook((0.5,), (0.25, 0.75)), config.tokenizer.window_samples)
    leads = {name: read_lead(preprocessing, arguments.folder / f"{name}.hea") for name in MITDB_DS1}
    rows = {}
    for name, codec in CODECS.items():
        rows[name] = score(codec, leads, config.heartbeats)
        print(name, {key: round(value["mean"], 3) for key, value in rows[name].items()}, flush=True)
    result = {
        **origin,
        "database": "mitdb",
        "n_levels": N_LEVELS,
        "band_hz": [band.low_hz, band.high_hz],
        "n_training_records": len(leads) - len(MITDB_DS1_VALIDATION),
        "validation_records": list(MITDB_DS1_VALIDATION),
        "n_seeds": config.heartbeats.n_seeds,
        "rows": rows,
    }
    with replacing_file(arguments.output) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
