"""What a person reads: beats, embeddings and the summary as tables for other programs."""

import csv
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from heartbert.analysis import Analysis
from heartbert.files import replacing_file
from heartbert.predictions.labels import AamiClass
from heartbert.results.heart_rate import rr_intervals_s
from heartbert.results.summary import DISCLAIMER, summarise


def write_beats_csv(analysis: Analysis, path: Path) -> None:
    """Write one row for each beat: sample, time_s, aami_class, p_N to p_Q, rr_s, abstained.

    ``rr_s`` is the time from the previous beat; empty for the first beat and after an unscorable stretch.
    ``abstained`` is 1 for a beat that is Q because no class is probable enough, else 0.
    """
    beats = analysis.beats
    columns = zip(
        beats.samples,
        beats.times_s,
        beats.classes,
        beats.probabilities,
        rr_intervals_s(analysis),
        beats.abstained,
        strict=True,
    )
    with replacing_file(path) as temporary, temporary.open("w", encoding="ascii", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["sample", "time_s", "aami_class", *(f"p_{name.name}" for name in AamiClass), "rr_s", "abstained"]
        )
        for sample, time_s, aami_class, probabilities, rr_s, abstained in columns:
            shares = (f"{probability:.4f}" for probability in probabilities)
            rr_text = f"{rr_s:.4f}" if np.isfinite(rr_s) else ""
            writer.writerow([sample, f"{time_s:.4f}", AamiClass(aami_class).name, *shares, rr_text, int(abstained)])


def write_embeddings(analysis: Analysis, path: Path) -> None:
    """Write one row for each window as Parquet: start_s, stop_s, n_tokens, embedding.

    Embeddings are float32, and NaN where a window has no tokens. The schema's metadata name the bundle,
    record, lead and unit that the vectors belong to.
    """
    windows = analysis.windows
    n_windows, hidden_size = windows.vectors.shape
    values = pa.array(np.ascontiguousarray(windows.vectors, dtype=np.float32).ravel())
    vectors = pa.FixedSizeListArray.from_arrays(values, hidden_size) if n_windows else None
    vector_type = pa.list_(pa.float32(), hidden_size)
    columns = {
        "start_s": pa.array(windows.start_s, pa.float64()),
        "stop_s": pa.array(windows.stop_s, pa.float64()),
        "n_tokens": pa.array(windows.n_tokens, pa.int64()),
        "embedding": pa.array([], vector_type) if vectors is None else vectors.cast(vector_type),
    }
    origin = {
        "bundle": analysis.bundle_name,
        "record": analysis.record.name,
        "lead": analysis.channel.name,
        "unit": analysis.channel.unit,
    }
    with replacing_file(path) as temporary:
        pq.write_table(pa.table(columns).replace_schema_metadata(origin), temporary)


def write_summary_json(analysis: Analysis, path: Path) -> None:
    """Write the fields of `Summary` as JSON; what could not be computed is null."""
    content = {"disclaimer": DISCLAIMER, **asdict(summarise(analysis))}
    with replacing_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
