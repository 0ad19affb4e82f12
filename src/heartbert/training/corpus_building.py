"""Recordings -> corpus: the token ids of many leads, with the codebook and tokenizer that made them."""

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError, RecordFormatError
from heartbert.files import replacing_folder, sha256_of
from heartbert.levels import N_BINS, Codebook, fit_lloyd_max
from heartbert.preprocessing import PREPROCESSOR_FILE, Preprocessing
from heartbert.progress import Progress, no_progress
from heartbert.records import Channel, read_record
from heartbert.signals.filtering import BandPass
from heartbert.signals.resampling import TARGET_FS
from heartbert.signals.scaling import PIECE_S, ScalingRule, join_ranges, piece_ranges
from heartbert.tokens import TOKENIZER_FILE, Tokenizer, train_on_levels
from heartbert.training.config import Config
from heartbert.training.corpus import LEADS_FILE, MANIFEST_FILE, TOKENS_FILE, Corpus, Lead, open_corpus

Found = TypeVar("Found")
LevelsOf = Callable[[Lead], npt.NDArray[np.uint8]]
"""Gives the levels of a lead."""

# A lead with less scorable signal than this teaches nothing about rhythm, in seconds.
_SHORTEST_S = 5.0


def find_records(folder: Path) -> list[Path]:
    """List the recordings below a folder, sorted: every ``.hea``, ``.edf`` and ``.bdf`` file.

    Raises
    ------
    RecordFormatError
        If there is none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".hea", ".edf", ".bdf"})
    if not found:
        raise RecordFormatError(f"'{folder}' holds no recording (.hea, .edf, .bdf); give a folder that does.")
    return found


@dataclass(frozen=True)
class CorpusPlan:
    """What goes into a corpus.

    Attributes
    ----------
    paths : tuple of Path
        Recordings, as `read_record` takes them.
    excluded : frozenset of str
        Names of records that are left out altogether: test data.
    held_out : frozenset of str
        Names of records that are encoded for validation but never fitted on.
    n_workers : int
        Processes that read and filter; the corpus does not depend on their number.
    """

    paths: tuple[Path, ...]
    excluded: frozenset[str] = frozenset()
    held_out: frozenset[str] = frozenset()
    n_workers: int = 1


def build_corpus(plan: CorpusPlan, folder: Path, config: Config, *, progress: Progress = no_progress) -> Corpus:
    """Turn recordings into a corpus folder.

    Codebook and merges are fitted on the training records only. Windows with a sample that cannot be scored
    are left out. The folder appears when it is complete.

    Parameters
    ----------
    plan : CorpusPlan
    folder : Path
        The corpus to write.
    config : Config
    progress : callable
        Told the stage's name and the fraction done.

    Returns
    -------
    corpus : Corpus

    Raises
    ------
    ConfigError
        If the vocabulary does not fit 16 bits, or no training record is left.
    """
    if config.tokenizer.n_tokens > 1 << 16:
        raise ConfigError(f"n_tokens is {config.tokenizer.n_tokens}; a corpus holds ids up to 65535. Lower n_tokens.")
    with replacing_folder(folder) as building:
        scaled_path = building / "scaled.u16"
        scaled_leads = _write_scaled(plan, scaled_path, config, progress=progress)
        if all(lead.held_out for lead in scaled_leads):
            raise ConfigError("no training record is left: all are held out or too short. Give more recordings.")
        scaled = np.memmap(scaled_path, dtype=np.uint16, mode="r")
        training = [lead for lead in scaled_leads if not lead.held_out]
        codebook = fit_lloyd_max(_histogram(scaled, training), config.codebook.n_levels)
        band, rule = _signal_parts(config)
        Preprocessing(band, rule, codebook, config.tokenizer.window_samples).save(building)
        levels_of = partial(_levels, scaled, codebook=codebook)
        tokenizer = _fit_tokenizer(levels_of, training, config, progress=progress)
        tokenizer.save(building)
        leads = _write_tokens(building / TOKENS_FILE, scaled_leads, levels_of, tokenizer, config, progress=progress)
        del levels_of, scaled
        scaled_path.unlink()
        _write_manifest(building, plan, leads, config)
    return open_corpus(folder)


def _signal_parts(config: Config) -> tuple[BandPass, ScalingRule]:
    signal = config.signal
    return BandPass(signal.low_hz, signal.high_hz), ScalingRule(signal.scaling, signal.span)


def _write_scaled(plan: CorpusPlan, path: Path, config: Config, *, progress: Progress) -> list[Lead]:
    """Write every lead's scorable windows as scaled amplitudes on a grid of `N_BINS` steps."""
    leads: list[Lead] = []
    position = 0
    wanted = [source for source in plan.paths if source.stem not in plan.excluded]
    scale = partial(_scale_record, config=config)
    with path.open("wb") as file:
        for index, scaled in enumerate(_map_in_order(scale, wanted, plan.n_workers)):
            progress("reading", index / len(wanted))
            for record, subject_id, lead, bins in scaled:
                bins.tofile(file)
                held_out = record in plan.held_out
                leads.append(Lead(record, subject_id, lead, held_out, position, bins.size, bins.size))
                position += bins.size
    return leads


def _map_in_order(function: Callable[[Path], Found], items: Sequence[Path], n_workers: int) -> Iterator[Found]:
    """Map over items in their order, in this process or in several."""
    if n_workers == 1:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_workers, mp_context=context) as executor:
        yield from executor.map(function, items, chunksize=8)


def _scale_record(path: Path, config: Config) -> list[tuple[str, str, str, npt.NDArray[np.uint16]]]:
    """Read one recording; returns record, subject, lead and scaled amplitudes of each ECG lead."""
    record = read_record(path)
    found = []
    for channel in record.channels:
        if channel.kind != "ecg":
            continue
        bins = _scale_lead(channel, config)
        if bins.size >= _SHORTEST_S * TARGET_FS:
            found.append((record.name, record.subject_id, channel.name, bins))
    return found


def _scale_lead(channel: Channel, config: Config) -> npt.NDArray[np.uint16]:
    band, rule = _signal_parts(config)
    # Any codebook will do here: only the block size and the filter of the preprocessing are used.
    preprocessing = Preprocessing(band, rule, Codebook((0.5,), (0.25, 0.75)), config.tokenizer.window_samples)
    blocks = [(block.inner_signal.copy(), block.inner_codes == 0) for block in preprocessing.stream(channel)]
    ranges = [piece_ranges(signal, scorable, round(PIECE_S * TARGET_FS)) for signal, scorable in blocks]
    scaling = rule.fit(join_ranges(ranges))
    parts = [np.empty(0, dtype=np.uint16)]
    for signal, scorable in blocks:
        bins = np.minimum(scaling.apply(signal) * N_BINS, N_BINS - 1).astype(np.uint16)
        starts = range(0, bins.size, config.tokenizer.window_samples)
        windows = [slice(start, start + config.tokenizer.window_samples) for start in starts]
        parts.extend(bins[window] for window in windows if scorable[window].all())
    return np.concatenate(parts)


def _histogram(scaled: npt.NDArray[np.uint16], leads: Sequence[Lead]) -> npt.NDArray[np.int64]:
    counts = np.zeros(N_BINS, dtype=np.int64)
    for lead in leads:
        counts += np.bincount(lead.of(scaled), minlength=N_BINS)
    return counts


def _levels(scaled: npt.NDArray[np.uint16], lead: Lead, *, codebook: Codebook) -> npt.NDArray[np.uint8]:
    """Return the levels of one lead's windows, one after the other."""
    return codebook.quantize((lead.of(scaled).astype(np.float32) + 0.5) / np.float32(N_BINS))


def _fit_tokenizer(levels_of: LevelsOf, leads: Sequence[Lead], config: Config, *, progress: Progress) -> Tokenizer:
    """Learn merges from every n-th window, as many as the settings allow."""
    settings = config.tokenizer
    n_samples = sum(lead.n_samples for lead in leads)
    step = max(1, -(-n_samples // settings.training_samples))
    chosen: list[npt.NDArray[np.uint8]] = []
    n_windows = 0
    for number, lead in enumerate(leads):
        progress("learning tokens", number / len(leads))
        levels = levels_of(lead)
        starts = range(0, levels.size, settings.window_samples)
        chosen += [levels[start : start + settings.window_samples] for start in starts[-n_windows % step :: step]]
        n_windows += len(starts)
    lengths = np.array([window.size for window in chosen])
    return train_on_levels(
        np.concatenate(chosen), lengths, n_levels=config.codebook.n_levels, n_tokens=settings.n_tokens
    )


def _write_tokens(
    path: Path, leads: Sequence[Lead], levels_of: LevelsOf, tokenizer: Tokenizer, config: Config, *, progress: Progress
) -> list[Lead]:
    """Encode every lead; returns the leads with their place in the token file."""
    encoded: list[Lead] = []
    position = 0
    with path.open("wb") as file:
        for number, lead in enumerate(leads):
            progress("encoding", number / len(leads))
            token_ids, _ = tokenizer.pieces_of_levels(levels_of(lead), config.tokenizer.window_samples)
            token_ids.astype(np.uint16).tofile(file)
            encoded.append(replace(lead, first=position, length=token_ids.size))
            position += token_ids.size
    return encoded


def _write_manifest(folder: Path, plan: CorpusPlan, leads: Sequence[Lead], config: Config) -> None:
    rows = ",\n".join(json.dumps(asdict(lead)) for lead in leads)
    (folder / LEADS_FILE).write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    files = (TOKENS_FILE, LEADS_FILE, PREPROCESSOR_FILE, TOKENIZER_FILE)
    manifest = {
        "config": asdict(config),
        "excluded": sorted(plan.excluded),
        "held_out": sorted(plan.held_out),
        "n_tokens": sum(lead.length for lead in leads),
        "n_samples": sum(lead.n_samples for lead in leads),
        "sha256": {name: sha256_of(folder / name) for name in files},
    }
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
