"""Time one lead from its file to classified heartbeats: the shipped bundle, and the published configuration.

    python benchmarks/heartbeats_speed.py MITDB_FOLDER -o benchmarks/results/heartbeats-speed.json

Both read the first lead of one recording on one core, in turns. The published configuration has random weights, of
which time does not depend: RoBERTa of 6 layers of 768 in 32-bit floats, windows of 3 s one after the other (not one a
beat, which would be more), each padded to 512 tokens, and a BiLSTM over the tokens; its network reads the first windows
only, and that time is multiplied. Memory is that of processes of their own that classify generated leads of any length.
"""

import os

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import argparse
import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast, RobertaConfig, RobertaModel

from heartbert.files import replacing_file, shipped_bundle
from heartbert.pipeline import HeartBert
from heartbert.predictions.beat_windows import build_window_network
from heartbert.records import read_record
from heartbert.records.wfdb_library import wfdb

sys.path.insert(0, str(Path(__file__).parent))
from fresh_process import forget_peak, in_fresh_process, peak_mb
from generated import generated_record
from provenance import provenance
from speed import letter_of

RECORD, FS, ROUNDS = "100", 360, 3
WINDOW_SAMPLES, MAX_TOKENS, BATCH, N_TIMED = 1080, 512, 8, 24
HOURS = (1.0, 4.0)


class PublishedWay:
    """The published heartbeat classifier, with random weights."""

    def __init__(self, hb: HeartBert, tokenizer: PreTrainedTokenizerFast) -> None:
        config = RobertaConfig(vocab_size=52_000, hidden_size=768, num_hidden_layers=6, max_position_embeddings=514)
        config._attn_implementation = "eager"
        self._encoder = RobertaModel(config).eval()
        self._head = build_window_network(768, n_units=128, dropout=0.0).eval()
        self._breakpoints = list(hb.bundle.preprocessing.codebook.thresholds)
        self._tokenizer = tokenizer

    @torch.inference_mode()
    def seconds(self, record: Path) -> dict[str, float]:
        """Classify the windows of the first lead; returns processor seconds of each part."""
        started = time.process_time()
        values = wfdb.rdrecord(str(record), channels=[0]).p_signal[:, 0].tolist()
        low, high = min(values), max(values)
        scaled = [(value - low) / (high - low) for value in values]
        text = "".join(np.vectorize(partial(letter_of, breakpoints=self._breakpoints))(scaled))
        windows = [text[start : start + WINDOW_SAMPLES] for start in range(0, len(text), WINDOW_SAMPLES)]
        signal_s = time.process_time() - started
        for start in range(0, N_TIMED, BATCH):
            rows = self._tokenizer(
                windows[start : start + BATCH],
                padding="max_length",
                truncation=True,
                max_length=MAX_TOKENS,
                return_tensors="pt",
            )
            states = self._encoder(rows["input_ids"], rows["attention_mask"]).last_hidden_state
            self._head(states.flatten(0, 1), torch.full((states.shape[0],), MAX_TOKENS))
        network_s = (time.process_time() - started - signal_s) * len(windows) / N_TIMED
        return {"signal": signal_s, "network": network_s}


def our_seconds(hb: HeartBert, record: Path) -> dict[str, float]:
    """Classify the heartbeats of the first lead; returns processor seconds."""
    started = time.process_time()
    hb.classify_heartbeats(read_record(record.with_suffix(".hea")))
    return {"all": time.process_time() - started}


def memory(hours: float) -> dict[str, float]:
    """Classify a generated lead; returns what the process holds at most, and before."""
    torch.set_num_threads(1)
    hb, record = HeartBert.load(), generated_record(hours)
    forget_peak()
    before = peak_mb()
    beats = hb.classify_heartbeats(record)
    return {"hours": hours, "n_beats": int(beats.samples.size), "before_mb": before, "peak_mb": peak_mb()}


def time_both(record: Path) -> dict[str, Any]:
    """Run both ways in turns; returns medians of processor seconds for an hour of one lead."""
    hb = HeartBert.load()
    with shipped_bundle() as folder:
        published = PublishedWay(hb, AutoTokenizer.from_pretrained(folder))
    hours = wfdb.rdheader(str(record)).sig_len / FS / 3600
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "published": []}
    for number in range(ROUNDS + 1):  # the first round warms caches and compiled code
        for name, found in (("ours", our_seconds(hb, record)), ("published", published.seconds(record))):
            if number:
                runs[name].append(found)
    medians = {
        name: {part: float(np.median([run[part] for run in each])) / hours for part in each[0]}
        for name, each in runs.items()
    }
    seconds = {name: sum(parts.values()) for name, parts in medians.items()}
    return {
        "bundle": hb.bundle.name,
        "seconds_per_lead_hour": seconds,
        "ratio": seconds["published"] / seconds["ours"],
        "published_by_part": medians["published"],
        "n_rounds": ROUNDS,
        "n_windows_timed": N_TIMED,
    }


def main() -> None:
    """Parse the command line, time, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    origin = provenance([arguments.folder])
    result = {**origin, "database": "mitdb", "record": RECORD, **time_both(arguments.folder / RECORD)}
    print(result["seconds_per_lead_hour"], result["ratio"], flush=True)
    result["memory"] = [in_fresh_process(memory, hours) for hours in HOURS]
    print(result["memory"])
    with replacing_file(arguments.output) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
