"""Compare the shipped heartbeat head with baselines on the validation records inside DS1 of MIT-BIH Arrhythmia.

    python benchmarks/heartbeats_validation.py MITDB_FOLDER -o benchmarks/results/heartbeats-validation.json

Every row sees the same beats, found by our detector on one lead; missed and false beats count as errors. Training: DS1
without the validation records. Each training epoch of a head and each setting of the boosting is chosen on the
validation records, so all rows are optimistic alike. DS2 is not read.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier

from heartbert.bundle import Bundle, load_bundle
from heartbert.embeddings.encoder import build_encoder
from heartbert.evaluation.heartbeats import NO_BEAT, compare_beats, summarise
from heartbert.evaluation.splits import MITDB_DS1, MITDB_DS1_VALIDATION
from heartbert.files import replacing_file
from heartbert.records import read_record
from heartbert.signals.beats import rr_features
from heartbert.signals.resampling import TARGET_FS
from heartbert.signals.survey import survey_lead
from heartbert.training.config import EncoderConfig, HeartbeatsConfig
from heartbert.training.heartbeats import AnnotatedBeats, embed_annotated, train_head

sys.path.insert(0, str(Path(__file__).parent))
from provenance import provenance

# A beat's waveform for the boosting: 0.28 s before to 0.44 s after the R-peak, every fourth sample at 360 Hz.
WAVEFORM_SAMPLES = np.arange(-101, 158, 4)
Scores = list[dict[str, float]]


@dataclass(frozen=True)
class Split:
    """Beats of the training and of the validation records."""

    training: list[AnnotatedBeats]
    validation: list[AnnotatedBeats]

    def map(self, change: Callable[[AnnotatedBeats], AnnotatedBeats]) -> "Split":
        """Return the split with every recording changed."""
        return Split([change(one) for one in self.training], [change(one) for one in self.validation])


def embed_split(bundle: Bundle, folder: Path, layer: int) -> Split:
    """Detect and embed the beats of DS1."""
    beats = {name: embed_annotated(bundle, folder / f"{name}.hea", layer=layer) for name in MITDB_DS1}
    return Split(
        [one for name, one in beats.items() if name not in MITDB_DS1_VALIDATION],
        [beats[name] for name in MITDB_DS1_VALIDATION],
    )


def waveforms(bundle: Bundle, folder: Path, beats: AnnotatedBeats) -> AnnotatedBeats:
    """Put the filtered and scaled waveform of each beat in the place of its embedding."""
    preprocessing = bundle.preprocessing
    channel = read_record(folder / f"{beats.record}.hea").lead()
    scaling = preprocessing.scaling_rule.fit(survey_lead(preprocessing.stream(channel)).ranges)
    signal = np.concatenate([scaling.apply(block.inner_signal) for block in preprocessing.stream(channel)])
    index = np.clip(beats.r_peaks[:, None] + WAVEFORM_SAMPLES, 0, signal.size - 1)
    return replace(beats, embeddings=signal[index].astype(np.float16))


def without_embedding(beats: AnnotatedBeats) -> AnnotatedBeats:
    """Leave only the RR intervals to the head."""
    return replace(beats, embeddings=np.zeros((beats.r_peaks.size, 1), dtype=np.float16))


def score_heads(split: Split, config: HeartbeatsConfig) -> Scores:
    """Train the head from several seeds."""
    seeds = range(config.seed, config.seed + config.n_seeds)
    return [train_head(split.training, split.validation, config, seed=seed).scores for seed in seeds]


def score_boosting(split: Split, config: HeartbeatsConfig) -> Scores:
    """Gradient boosting on RR intervals, waveform, and its difference from the recording's median beat."""
    features, labels = zip(*[(_features(one), one.labels) for one in split.training], strict=True)
    rows, targets = np.concatenate(features), np.concatenate(labels)
    rows, targets = rows[targets >= 0], targets[targets >= 0]
    scores = []
    for seed in range(config.seed, config.seed + config.n_seeds):
        tried = [_fit_and_score(rows, targets, split, balance, seed) for balance in (0.0, 0.5)]
        scores.append(max(tried, key=lambda one: one["macro_f1"]))
    return scores


def _features(beats: AnnotatedBeats) -> npt.NDArray[np.float32]:
    wave = beats.embeddings.astype(np.float32)
    return np.hstack([rr_features(beats.r_peaks / TARGET_FS), wave, wave - np.median(wave, axis=0)])


def _fit_and_score(
    rows: npt.NDArray[np.float32], targets: npt.NDArray[np.int64], split: Split, balance: float, seed: int
) -> dict[str, float]:
    counts = np.bincount(targets)
    weights = (counts.max() / np.maximum(counts, 100))[targets] ** balance
    drawn = np.random.default_rng(seed).choice(
        targets.size, targets.size
    )  # the boosting itself hardly depends on a seed
    model = HistGradientBoostingClassifier(max_iter=150, random_state=seed)
    model.fit(rows[drawn], targets[drawn], sample_weight=weights[drawn])
    return _score(split, lambda one: model.predict(_features(one)))


def _score(split: Split, predict: Callable[[AnnotatedBeats], npt.NDArray[np.int64]]) -> dict[str, float]:
    counts = np.zeros((NO_BEAT + 1, NO_BEAT + 1), dtype=np.int64)
    for one in split.validation:
        found = (one.r_peaks / TARGET_FS, predict(one))
        counts += compare_beats((one.reference_s, one.reference_classes), found)
    return summarise(counts)


def spread(scores: Scores) -> dict[str, dict[str, float]]:
    """Return mean, lowest and highest of each score over the seeds."""
    return {
        name: {
            "mean": float(np.mean([one[name] for one in scores])),
            "low": min(one[name] for one in scores),
            "high": max(one[name] for one in scores),
        }
        for name in scores[0]
    }


def main() -> None:
    """Parse the command line, run every row, store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bundle", type=Path, default=Path("src/heartbert/bundles/small"))
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    origin = provenance([arguments.folder])
    bundle = load_bundle(arguments.bundle)
    config = HeartbeatsConfig(**bundle.manifest["config"]["heartbeats"])
    ours = embed_split(bundle, arguments.folder, config.layer)
    encoder = EncoderConfig(**bundle.manifest["config"]["encoder"])
    random_weights = replace(bundle, model=build_encoder(encoder, bundle.tokenizer.n_tokens, seed=7).eval())
    rows: dict[str, Callable[[], Scores]] = {
        "majority class": lambda: [_score(ours, lambda one: np.zeros(one.r_peaks.size, dtype=np.int64))],
        "RR intervals + waveform, gradient boosting": lambda: score_boosting(
            ours.map(lambda one: waveforms(bundle, arguments.folder, one)), config
        ),
        "RR intervals, same head": lambda: score_heads(ours.map(without_embedding), config),
        "RR intervals + waveform, same head": lambda: score_heads(
            ours.map(lambda one: waveforms(bundle, arguments.folder, one)), config
        ),
        "RR intervals + encoder of random weights, same head": lambda: score_heads(
            embed_split(random_weights, arguments.folder, config.layer), config
        ),
        "heartbert (RR intervals + frozen encoder)": lambda: score_heads(ours, config),
    }
    results = {}
    for name, score in rows.items():
        results[name] = spread(score())
        print(name, {key: round(value["mean"], 3) for key, value in results[name].items()}, flush=True)
    result = {
        **origin,
        "bundle": bundle.name,
        "database": "mitdb",
        "n_training_records": len(ours.training),
        "validation_records": list(MITDB_DS1_VALIDATION),
        "n_seeds": config.n_seeds,
        "rows": results,
    }
    with replacing_file(arguments.output) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
