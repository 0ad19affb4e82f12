"""Time the path from a recording's file to token ids: as published, with the usual libraries, and here.

    python benchmarks/speed.py MITDB_FOLDER -o benchmarks/results/speed.json

All three do the same work on the same signal, unfiltered and scaled by each lead's own range, with one codebook, one
alphabet and one tokenizer, on one core, in turns; the ids are compared. The published way is its steps written again:
physical values as lists, a search through the breakpoints for every sample in Python, one window at a time to the
tokenizer. The usual way is what a careful user writes with wfdb, numpy and tokenizers.
"""

import os

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import argparse
import json
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as BpeTokenizer
from tokenizers import models, trainers
from transformers import PreTrainedTokenizerFast

from heartbert.files import replacing_file
from heartbert.levels import Histogram, fit_lloyd_max
from heartbert.preprocessing import Preprocessing, load_preprocessing
from heartbert.records import Channel, read_record
from heartbert.records.wfdb_library import wfdb
from heartbert.signals.filtering import BandPass
from heartbert.signals.scaling import ScalingRule
from heartbert.text import ALPHABET, to_text
from heartbert.tokens import SPECIAL_TOKENS, TOKENIZER_FILE, Tokenizer, load_tokenizer, train_on_levels
from heartbert.tokens.leads import tokenize_lead

sys.path.insert(0, str(Path(__file__).parent))
from fresh_process import peak_mb
from provenance import provenance

N_LEVELS, WINDOW_SAMPLES = 100, 4000
PUBLISHED_ROUNDS, ROUNDS = 3, 15
ENCODED_SAMPLES, TRAINED_SAMPLES, COMPARED_SAMPLES = 2_000_000, 60_000_000, 10_000_000
RECORD, VOCABULARIES = "100", (1_000, 4_096, 16_000, 52_000)
Ids = npt.NDArray[np.int64]


@dataclass
class Stopwatch:
    """Processor time of each stage of one run."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside to a stage."""
        started = time.process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - started


@dataclass(frozen=True)
class Codec:
    """One codec in the three forms that the three ways take."""

    preprocessing: Preprocessing
    tokenizer: Tokenizer
    fast: PreTrainedTokenizerFast

    @property
    def thresholds(self) -> list[float]:
        """Decision thresholds of the codebook."""
        return list(self.preprocessing.codebook.thresholds)


def published_way(record: Path, codec: Codec, watch: Stopwatch) -> list[Ids]:
    """Do the steps of the published notebooks; returns the ids of each lead."""
    with watch.stage("read"):
        signals = wfdb.rdrecord(str(record)).p_signal
    found = []
    for lead in signals.T:
        with watch.stage("scale and quantize"):
            values = lead.tolist()
            low, high = min(values), max(values)
            scaled = [(value - low) / (high - low) for value in values]
            letters = np.vectorize(partial(letter_of, breakpoints=codec.thresholds))(scaled)
        with watch.stage("text"):
            text = "".join(letters)
            windows = [text[start : start + WINDOW_SAMPLES] for start in range(0, len(text), WINDOW_SAMPLES)]
        with watch.stage("tokens"):
            rows = [codec.fast(window, add_special_tokens=False)["input_ids"] for window in windows]
            found.append(np.array([token_id for row in rows for token_id in row]))
    return found


def letter_of(value: float, breakpoints: list[float]) -> str:
    """Search the cell of one sample from the lowest on."""
    return ALPHABET[next((k for k, edge in enumerate(breakpoints) if value < edge), len(breakpoints))]


def library_way(record: Path, codec: Codec, watch: Stopwatch) -> list[Ids]:
    """Use wfdb, numpy and tokenizers as they are meant to be used; returns the ids of each lead."""
    with watch.stage("read"):
        stored = wfdb.rdrecord(str(record), physical=False, return_res=16).d_signal
    letters = np.array([ord(letter) for letter in ALPHABET[:N_LEVELS]], dtype="<u4")
    thresholds = np.array(codec.thresholds, dtype=np.float32)
    found = []
    for lead in stored.T:
        with watch.stage("scale and quantize"):
            low, high = np.float32(lead.min()), np.float32(lead.max())
            levels = np.searchsorted(thresholds, (lead - low) / (high - low), side="right")
        with watch.stage("text"):
            text = letters[levels].tobytes().decode("utf-32-le")
            windows = [text[start : start + WINDOW_SAMPLES] for start in range(0, len(text), WINDOW_SAMPLES)]
        with watch.stage("tokens"):
            encodings = codec.tokenizer.bpe.encode_batch_fast(windows, add_special_tokens=False)
            found.append(np.concatenate([np.array(encoding.ids) for encoding in encodings]))
    return found


def our_way(record: Path, codec: Codec, watch: Stopwatch) -> list[Ids]:
    """Use heartbert: quality marks, clipping counts and offsets included; returns the ids of each lead."""
    with watch.stage("open"):
        channels = read_record(record.with_suffix(".hea")).channels
    with watch.stage("read to tokens"):
        return [tokenize_lead(channel, codec.preprocessing, codec.tokenizer).token_ids for channel in channels]


WAYS: dict[str, Callable[[Path, Codec, Stopwatch], list[Ids]]] = {
    "published": published_way,
    "library": library_way,
    "ours": our_way,
}


def time_ways(record: Path, codec: Codec, *, n_rounds: int) -> dict[str, Any]:
    """Run the three ways in turns; returns medians of processor seconds, stages, ratios, and whether ids agree."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    found: dict[str, list[Ids]] = {}
    for number in range(n_rounds + 1):  # the first round warms caches and compiled code
        for name, way in WAYS.items():
            if name == "published" and number > PUBLISHED_ROUNDS:
                continue
            watch = Stopwatch()
            found[name] = way(record, codec, watch)
            if number:
                runs[name].append(watch.seconds)
    seconds = {name: float(np.median([sum(run.values()) for run in each])) for name, each in runs.items()}
    stages = {
        name: {stage: float(np.median([run[stage] for run in each])) for stage in each[0]}
        for name, each in runs.items()
    }
    return {
        **{f"{name}_s": value for name, value in seconds.items()},
        "ratio_to_published": seconds["published"] / seconds["ours"],
        "ratio_to_library": seconds["library"] / seconds["ours"],
        "stages": stages,
        "ids_equal": {name: same_ids(found[name], found["ours"]) for name in ("published", "library")},
        "n_samples": int(sum(channel.n_samples for channel in read_record(record.with_suffix(".hea")).channels)),
        "n_rounds": {name: len(each) for name, each in runs.items()},
    }


def same_ids(first: list[Ids], second: list[Ids]) -> list[bool]:
    """Say of each lead whether two ways give the same ids."""
    return [bool(np.array_equal(a, b)) for a, b in zip(first, second, strict=True)]


def fit_codec(levels_of: "LevelSource", n_tokens: int, folder: Path) -> Codec:
    """Train a tokenizer and save it in the form that `transformers` loads."""
    tokenizer = train_on_levels(levels_of.levels, levels_of.window_lengths, n_levels=N_LEVELS, n_tokens=n_tokens)
    tokenizer.save(folder)
    fast = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / TOKENIZER_FILE), bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    return Codec(levels_of.preprocessing, tokenizer, fast)


@dataclass(frozen=True)
class LevelSource:
    """Levels of a database, and the preprocessing that made them.

    Attributes
    ----------
    preprocessing : Preprocessing
    levels : ndarray of uint8, shape (n_samples,)
    window_lengths : ndarray of int64, shape (n_windows,)
    texts : list of str
        The same windows as text.
    """

    preprocessing: Preprocessing
    levels: npt.NDArray[np.uint8]
    window_lengths: npt.NDArray[np.int64]

    def first(self, n_samples: int) -> "LevelSource":
        """Return the windows that begin in the first `n_samples`."""
        n_windows = int(np.searchsorted(np.cumsum(self.window_lengths), n_samples)) + 1
        lengths = self.window_lengths[:n_windows]
        return LevelSource(self.preprocessing, self.levels[: int(lengths.sum())], lengths)

    @property
    def texts(self) -> list[str]:
        """The windows as text."""
        text = to_text(self.levels)
        stops = np.cumsum(self.window_lengths)
        return [text[stop - length : stop] for stop, length in zip(stops, self.window_lengths, strict=True)]


def read_levels(folder: Path) -> LevelSource:
    """Scale every lead of a database by its own range, unfiltered, fit the codebook, quantize."""
    signals = [
        scaled_signal(channel) for path in sorted(folder.glob("*.hea")) for channel in read_record(path).channels
    ]
    histogram = Histogram()
    for signal in signals:
        histogram.add(signal)
    codebook = fit_lloyd_max(histogram.counts, N_LEVELS)
    windows = [
        codebook.quantize(signal[start : start + WINDOW_SAMPLES])
        for signal in signals
        for start in range(0, signal.size, WINDOW_SAMPLES)
    ]
    preprocessing = Preprocessing(BandPass(0, 0), ScalingRule("record-range", 1.0), codebook, WINDOW_SAMPLES)
    return LevelSource(preprocessing, np.concatenate(windows), np.array([window.size for window in windows]))


def scaled_signal(channel: Channel) -> npt.NDArray[np.float32]:
    """Scale a lead to [0, 1] by its own range."""
    signal = channel.read()
    low, high = np.nanmin(signal), np.nanmax(signal)
    return np.nan_to_num((signal - low) / (high - low), nan=0.0).astype(np.float32)


def median_seconds(functions: dict[str, Callable[[], object]], n_rounds: int) -> dict[str, float]:
    """Run functions in turns, the first round untimed; returns the median processor seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(n_rounds + 1):
        for name, function in functions.items():
            started = time.process_time()
            function()
            if number:
                seconds[name].append(time.process_time() - started)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def time_encoding(source: LevelSource, codec: Codec) -> dict[str, Any]:
    """Encode the same windows with `encode_batch_fast`, from text, and from levels."""
    part = source.first(ENCODED_SAMPLES)
    texts = part.texts
    seconds = median_seconds(
        {
            "encode_batch_fast_s": lambda: codec.tokenizer.bpe.encode_batch_fast(texts, add_special_tokens=False),
            "ours_from_levels_s": lambda: codec.tokenizer.pieces_of_levels(part.levels, part.window_lengths),
            "ours_from_text_s": lambda: codec.tokenizer.pieces(texts),
        },
        n_rounds=7,
    )
    return {
        "n_samples": int(part.levels.size),
        "n_tokens": codec.tokenizer.n_tokens,
        **seconds,
        "ratio": seconds["encode_batch_fast_s"] / seconds["ours_from_levels_s"],
        "samples_per_s": part.levels.size / seconds["ours_from_levels_s"],
    }


def time_length(source: LevelSource, codec: Codec) -> list[dict[str, float]]:
    """Encode one window of growing length: nanoseconds a sample should stay the same."""
    rows = []
    for n_samples in (1_000, 10_000, 100_000, 1_000_000):
        levels, repeats = source.levels[:n_samples], 1_000_000 // n_samples
        lengths, text = np.array([n_samples]), [to_text(levels)]
        seconds = median_seconds(
            {
                "ours": partial(repeat, partial(codec.tokenizer.pieces_of_levels, levels, lengths), repeats),
                "library": partial(repeat, partial(codec.tokenizer.bpe.encode_batch_fast, text), repeats),
            },
            n_rounds=3,
        )
        rows.append(
            {"window_samples": n_samples}
            | {f"{name}_ns_per_sample": 1e9 * value / 1_000_000 for name, value in seconds.items()}
        )
    return rows


def repeat(function: Callable[[], object], n_times: int) -> None:
    """Call a function some times."""
    for _ in range(n_times):
        function()


def in_fresh_process(function: Callable[..., object], *arguments: object) -> dict[str, float]:
    """Run a function in a new process; returns its wall and processor seconds and its peak memory in MB."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        return executor.submit(measured, function, *arguments).result()


def measured(function: Callable[..., object], *arguments: object) -> dict[str, float]:
    """Run a function; returns wall and processor seconds and the process' peak memory in MB."""
    wall, processor = time.perf_counter(), time.process_time()
    function(*arguments)
    return {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - processor,
        "peak_mb": peak_mb(),
    }


def train_ours(path: Path, n_tokens: int) -> None:
    """Learn merges from stored levels."""
    levels, lengths = np.load(path / "levels.npy"), np.load(path / "lengths.npy")
    train_on_levels(levels, lengths, n_levels=N_LEVELS, n_tokens=n_tokens)


def train_library(path: Path, n_tokens: int) -> None:
    """Learn the same merges with the trainer of `tokenizers`."""
    levels, lengths = np.load(path / "levels.npy"), np.load(path / "lengths.npy")
    stops = np.cumsum(lengths)
    bpe = BpeTokenizer(models.BPE(unk_token="<unk>"))
    bpe.train_from_iterator(
        (to_text(levels[stop - length : stop]) for stop, length in zip(stops, lengths, strict=True)),
        trainers.BpeTrainer(
            vocab_size=n_tokens,
            min_frequency=2,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=list(ALPHABET[:N_LEVELS]),
            limit_alphabet=N_LEVELS,
            show_progress=False,
        ),
    )


def store(source: LevelSource, folder: Path) -> Path:
    """Write levels where a new process can read them."""
    folder.mkdir()
    np.save(folder / "levels.npy", source.levels)
    np.save(folder / "lengths.npy", source.window_lengths)
    return folder


def tokenize_record(record: Path, codec_folder: Path) -> int:
    """Turn every lead of one record into ids; returns their number."""
    preprocessing, tokenizer = load_preprocessing(codec_folder), load_tokenizer(codec_folder)
    channels = read_record(record).channels
    return sum(tokenize_lead(channel, preprocessing, tokenizer).token_ids.size for channel in channels)


def time_database(folder: Path, codec_folder: Path) -> dict[str, float]:
    """Turn a whole database into ids in two processes; starting them counts."""
    records = sorted(folder.glob("*.hea"))
    started = time.perf_counter()
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        n_tokens = sum(executor.map(tokenize_record, records, [codec_folder] * len(records)))
    return {
        "seconds": time.perf_counter() - started,
        "n_records": len(records),
        "n_tokens": n_tokens,
        "n_processes": 2,
    }


def time_memory(record: Path, codec_folder: Path, folder: Path) -> list[dict[str, float]]:
    """Turn records of growing length into ids: peak memory should stay the same."""
    rows = []
    header = record.with_suffix(".hea").read_text(encoding="ascii").splitlines()
    data = record.with_suffix(".dat").read_bytes()
    n_samples = int(header[0].split()[3])
    for n_times in (1, 4, 16):
        name = f"long{n_times}"
        first = header[0].split()
        first[0], first[3] = name, str(n_samples * n_times)
        lines = [" ".join(first), *(line.replace(record.name, name) for line in header[1:3])]
        (folder / f"{name}.hea").write_text("\n".join(lines) + "\n", encoding="ascii")
        (folder / f"{name}.dat").write_bytes(data * n_times)
        figures = in_fresh_process(tokenize_record, folder / f"{name}.hea", codec_folder)
        rows.append({"hours": n_samples * n_times / 360 / 3600, **figures})
    return rows


def main() -> None:
    """Parse the command line, measure everything, store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    origin = provenance([arguments.folder])
    record = arguments.folder / RECORD
    scratch = Path(tempfile.mkdtemp())
    try:
        result = {**origin, "database": "mitdb", "record": RECORD, **measure(record, scratch)}
    finally:
        shutil.rmtree(scratch)
    with replacing_file(arguments.output) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def measure(record: Path, scratch: Path) -> dict[str, Any]:
    """Measure stage by stage and the whole path."""
    source = read_levels(record.parent)
    codecs = {}
    for n_tokens in VOCABULARIES:
        (scratch / str(n_tokens)).mkdir()
        codecs[n_tokens] = fit_codec(source.first(COMPARED_SAMPLES), n_tokens, scratch / str(n_tokens))
        source.preprocessing.save(scratch / str(n_tokens))
        print("trained", n_tokens, flush=True)
    file_to_ids = {str(n): time_ways(record, codecs[n], n_rounds=ROUNDS) for n in (4_096, 52_000)}
    print("file to ids", {n: round(row["ratio_to_library"], 1) for n, row in file_to_ids.items()}, flush=True)
    encode = {str(n): time_encoding(source, codec) for n, codec in codecs.items()}
    print("encode", {n: round(row["ratio"], 1) for n, row in encode.items()}, flush=True)
    database = time_database(record.parent, scratch / "4096")
    memory = time_memory(record, scratch / "4096", scratch)
    compared = store(source.first(COMPARED_SAMPLES), scratch / "compared")
    whole = store(source.first(TRAINED_SAMPLES), scratch / "whole")
    in_fresh_process(train_ours, compared, 1_000)  # compiles
    train = {
        **in_fresh_process(train_ours, whole, 52_000),
        "n_samples": int(source.first(TRAINED_SAMPLES).levels.size),
        "n_tokens": 52_000,
        "compared": {
            "n_samples": int(source.first(COMPARED_SAMPLES).levels.size),
            "n_tokens": 4_096,
            "ours": in_fresh_process(train_ours, compared, 4_096),
            "library": in_fresh_process(train_library, compared, 4_096),
        },
    }
    return {
        "file_to_ids": {**file_to_ids["4096"], "n_tokens": 4_096, "vocabulary_52000": file_to_ids["52000"]},
        "encode": {**encode["4096"], "by_vocabulary": encode, "by_length": time_length(source, codecs[4_096])},
        "train_tokenizer": train,
        "all_of_mitdb": database,
        "memory_by_length": memory,
    }


if __name__ == "__main__":
    main()
