"""Recordings -> corpus: the token ids of many leads, with the codebook and tokenizer that made them.

Two stages on shards of recordings, and a fit between them. What is finished lies in a folder beside the corpus until
that is complete, so a build that was killed continues, and gives the same bytes as one that was not.
"""

import glob
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heartbert.databases import DATABASES, Database, open_folder
from heartbert.errors import ConfigError, RecordFormatError
from heartbert.files import replacing_file, replacing_folder, sha256_of
from heartbert.levels import N_BINS, fit_codebook
from heartbert.preprocessing import PREPROCESSOR_FILE
from heartbert.progress import Progress, no_progress
from heartbert.tokens import TOKENIZER_FILE, Tokenizer, load_tokenizer, train_on_levels
from heartbert.tokens.training import check_room
from heartbert.training.config import Config
from heartbert.training.corpus import (
    BEATS_FILE,
    LEADS_FILE,
    MANIFEST_FILE,
    TOKENS_FILE,
    Corpus,
    Lead,
    lead_rows,
    open_corpus,
)
from heartbert.training.corpus_planning import CorpusPlan, Recording
from heartbert.training.corpus_shards import (
    encode_shard,
    levels_of_bins,
    map_samples,
    scale_shard,
    signal_path,
    token_dtype,
)
from heartbert.training.corpus_spool import (
    EncodedShard,
    ScaledShard,
    Shard,
    cut_shards,
    fingerprint,
    library_versions,
    load_encoded,
    load_scaled,
    samples_file,
    tokens_file,
    working_folder,
)
from heartbert.training.folder_lock import writing_alone
from heartbert.workers import Mapper, open_workers

_DATABASE_OF = {database.slug: database for database in DATABASES}


def find_records(folder: Path) -> list[Path]:
    """List the recordings below a folder, sorted, each once: what `databases.open_folder` finds.

    Raises
    ------
    RecordFormatError
        If there is none.
    ConfigError
        If it is no folder, or one of several databases.
    """
    return open_folder(folder).records()


def build_corpus(
    plan: CorpusPlan, folder: Path, config: Config, *, n_workers: int = 1, progress: Progress = no_progress
) -> Corpus:
    """Turn recordings into a corpus folder.

    Codebook and merges are fitted on the training records only. Windows with a sample that cannot be scored are left
    out. The folder appears when it is complete, and does not depend on the number of workers or on interruptions.

    Parameters
    ----------
    plan : CorpusPlan
    folder : Path
        The corpus to write; a corpus that is there is replaced.
    config : Config
    n_workers : int
        Processes that read, filter and encode.
    progress : callable
        Told the stage with recordings and shards, and the fraction done.

    Returns
    -------
    corpus : Corpus

    Raises
    ------
    ConfigError
        If the settings do not fit each other, no training record is left, the folder holds something else, or another
        process is building it.
    RecordFormatError
        If the plan is strict and a recording cannot be read.
    """
    _check(folder, config)
    with writing_alone(folder):
        build = _Build(plan, working_folder(folder, fingerprint(plan.recordings, config)), config)
        with open_workers(n_workers, chunk=1) as run:
            build.scale(run, progress)
            build.fit(progress)
            build.encode(run, progress)
        build.assemble(progress)
        _put_in_place(build.working / "corpus", folder)
        for working in _working_folders(folder):
            shutil.rmtree(working)
    return open_corpus(folder)


def unfinished_work(plan: CorpusPlan, folder: Path, config: Config) -> str | None:
    """Say what an interrupted build has left for this one to continue; None if nothing.

    A build of another plan, of other settings or by other code is not continued.
    """
    working = working_folder(folder, fingerprint(plan.recordings, config))
    if working.is_dir():
        shards = cut_shards(plan.recordings)
        n_scaled, n_encoded = (
            sum(1 for _ in working.glob(pattern)) for pattern in ("scaled/?????.npz", "fit-*/?????.npz")
        )
        return (
            f"continuing the build in '{working}': {n_scaled} of {len(shards)} shards are read, "
            f"{min(n_encoded, len(shards))} encoded"
        )
    if others := _working_folders(folder):
        return (
            f"starting anew: '{others[0]}' was left by a build of other recordings, settings or code; it is removed "
            "when this one is complete"
        )
    return None


def _working_folders(folder: Path) -> list[Path]:
    """List the working folders of all builds of a corpus."""
    return sorted(folder.parent.glob(glob.escape(working_folder(folder, "").name) + "*"))


def _check(folder: Path, config: Config) -> None:
    """Refuse before hours of reading what could not be written or fitted after them."""
    if folder.exists() and not (folder.is_dir() and ((folder / MANIFEST_FILE).is_file() or not any(folder.iterdir()))):
        raise ConfigError(f"'{folder}' exists and is no corpus; only a corpus is replaced. Give another folder.")
    if not 2 <= config.codebook.n_levels <= 256:
        raise ConfigError(f"n_levels is {config.codebook.n_levels}; a codebook has 2 to 256 levels.")
    check_room(config.codebook.n_levels, config.tokenizer.n_tokens)
    signal_path(config)


@dataclass
class _Build:
    """A corpus on its way through the working folder."""

    plan: CorpusPlan
    working: Path
    config: Config

    def __post_init__(self) -> None:
        self.shards = cut_shards(self.plan.recordings)
        self._scaled_folder = self.working / "scaled"
        self._counts = np.zeros(N_BINS, dtype=np.int64)
        self.scaled: list[ScaledShard] = []
        self.encoded: list[EncodedShard] = []

    def scale(self, run: Mapper, progress: Progress) -> None:
        """Read the recordings of all shards that are not finished, or have a recording that could not be read."""
        self._scaled_folder.mkdir(parents=True, exist_ok=True)
        finished = [self._finished(shard) for shard in self.shards]
        work = partial(scale_shard, folder=self._scaled_folder, config=self.config)
        made = run(work, [shard for shard, one in zip(self.shards, finished, strict=True) if one is None])
        for shard, one in zip(self._told("reading", progress), finished, strict=True):
            self.scaled.append(self._counted(next(made)) if one is None else one)
            if self.plan.strict and self.scaled[-1].problems:
                index, reason = self.scaled[-1].problems[0]
                raise RecordFormatError(
                    f"'{shard.recordings[index].name}' cannot be read: {reason}. Exclude it, or leave out --strict."
                )

    def _finished(self, shard: Shard) -> ScaledShard | None:
        found = load_scaled(self._scaled_folder, shard)
        return None if found is None or found.problems else self._counted(found)

    def _counted(self, found: ScaledShard) -> ScaledShard:
        """Add the histogram of a shard to that of all; it is not kept, there may be thousands."""
        self._counts += found.counts
        return replace(found, counts=np.empty(0, dtype=np.int64))

    def fit(self, progress: Progress) -> None:
        """Fit codebook and tokenizer, unless that is done for exactly these amplitudes."""
        if not self._counts.any():
            reasons = [reason for one in self.scaled for _, reason in one.problems]
            first = f" The first of {len(reasons)} that cannot be read: {reasons[0]}" if reasons else ""
            raise ConfigError(
                "no training record is left: all are excluded, held out, too short or cannot be read. Give more "
                f"recordings.{first}"
            )
        self._fit_folder = self.working / f"fit-{self._digest()}"
        if self._fit_folder.is_dir():
            return
        codebook = fit_codebook(self._counts, self.config.codebook.n_levels, self.config.codebook.method)
        with replacing_folder(self._fit_folder) as fitting:
            replace(signal_path(self.config), codebook=codebook).save(fitting)
            self._fit_tokenizer(levels_of_bins(codebook), progress).save(fitting)

    def encode(self, run: Mapper, progress: Progress) -> None:
        """Turn the amplitudes of all shards that are not finished into tokens."""
        self._dtype = token_dtype(load_tokenizer(self._fit_folder).n_tokens)
        finished = [load_encoded(self._fit_folder, shard, self._dtype) for shard in self.shards]
        work = partial(encode_shard, scaled_folder=self._scaled_folder, fit_folder=self._fit_folder)
        made = run(work, [shard for shard, one in zip(self.shards, finished, strict=True) if one is None])
        for _, one in zip(self._told("encoding", progress), finished, strict=True):
            self.encoded.append(next(made) if one is None else one)

    def assemble(self, progress: Progress) -> None:
        """Put the corpus together from the finished shards."""
        folder = self.working / "corpus"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        n_tokens = sum(int(one.lengths.sum()) for one in self.encoded)
        with (folder / TOKENS_FILE).open("wb") as file:
            header = {"descr": self._dtype.str, "fortran_order": False, "shape": (n_tokens,)}
            np.lib.format.write_array_header_1_0(file, header)
            for shard in self._told("writing", progress):
                with tokens_file(self._fit_folder, shard).open("rb") as part:
                    shutil.copyfileobj(part, file)
        firsts = np.cumsum([0, *(int(one.lengths.sum()) for one in self.encoded)])
        beats = [one.beats + first for one, first in zip(self.encoded, firsts[:-1], strict=True)]
        np.save(folder / BEATS_FILE, np.concatenate(beats))
        np.save(folder / LEADS_FILE, lead_rows(self._leads()))
        for name in (PREPROCESSOR_FILE, TOKENIZER_FILE):
            shutil.copyfile(self._fit_folder / name, folder / name)
        _write_manifest(folder, self.plan, self._found(), self.config)

    def _digest(self) -> str:
        """Name what codebook and tokenizer are fitted on."""
        digest = hashlib.sha256(self._counts.tobytes())
        for one in self.scaled:
            digest.update(json.dumps([one.leads, one.problems]).encode() + one.beats.tobytes())
        return digest.hexdigest()[:12]

    def _told(self, stage: str, progress: Progress) -> Iterator[Shard]:
        """Yield the shards and tell how many of them, and of the recordings, are done."""
        n_recordings, done = len(self.plan.recordings), 0
        for shard in self.shards:
            line = f"{stage}, {done:,}/{n_recordings:,} recordings, {shard.number:,}/{len(self.shards):,} shards"
            progress(line, done / n_recordings)
            yield shard
            done += len(shard.recordings)

    def _fit_tokenizer(self, levels: npt.NDArray[np.uint8], progress: Progress) -> Tokenizer:
        """Learn merges from every n-th window, as many as the settings allow."""
        settings = self.config.tokenizer
        n_samples = sum(
            n_samples
            for shard, scaled in zip(self.shards, self.scaled, strict=True)
            for index, _, n_samples in scaled.leads
            if not shard.recordings[index].held_out
        )
        step = max(1, -(-n_samples // settings.training_samples))
        chosen: list[npt.NDArray[np.uint8]] = []
        n_windows = 0
        for shard, scaled in zip(self._told("learning tokens", progress), self.scaled, strict=True):
            bins = map_samples(samples_file(self._scaled_folder, shard))
            for first, stop in _training_leads(shard, scaled):
                starts = range(first, stop, settings.window_samples)
                mine = starts[-n_windows % step :: step]
                chosen += [levels[bins[start : min(start + settings.window_samples, stop)]] for start in mine]
                n_windows += len(starts)
        lengths = np.array([window.size for window in chosen])
        return train_on_levels(
            np.concatenate(chosen),
            lengths,
            n_levels=self.config.codebook.n_levels,
            n_tokens=settings.n_tokens,
            max_token_samples=settings.max_token_samples,
        )

    def _leads(self) -> Iterator[Lead]:
        first = 0
        for shard, scaled, encoded in zip(self.shards, self.scaled, self.encoded, strict=True):
            for (index, lead, n_samples), length in zip(scaled.leads, encoded.lengths.tolist(), strict=True):
                of = shard.recordings[index]
                names = of.path.stem, of.subject_id, lead, of.database
                yield Lead(*names, of.held_out, first, length, n_samples)
                first += length

    def _found(self) -> "_Found":
        used, unreadable = [], {}
        for shard, scaled in zip(self.shards, self.scaled, strict=True):
            indices = dict.fromkeys(index for index, _, _ in scaled.leads)
            used += [shard.recordings[index] for index in indices]
            unreadable.update({shard.recordings[index]: reason for index, reason in scaled.problems})
        return _Found(used, unreadable)


@dataclass(frozen=True)
class _Found:
    """The recordings that a corpus holds, and those that could not be read, with the reason."""

    used: list[Recording]
    unreadable: dict[Recording, str]


def _training_leads(shard: Shard, scaled: ScaledShard) -> Iterator[tuple[int, int]]:
    """Yield first and last place, among the amplitudes of a shard, of the leads to fit on."""
    first = 0
    for index, _, n_samples in scaled.leads:
        if not shard.recordings[index].held_out:
            yield first, first + n_samples
        first += n_samples


def _write_manifest(folder: Path, plan: CorpusPlan, found: _Found, config: Config) -> None:
    corpus = open_corpus(folder)
    n_recordings = Counter(one.database for one in found.used)
    databases = [_describe(name, number, own_data=plan.own_data) for name, number in n_recordings.items()]
    left_out = set(plan.recordings) - set(found.used) - found.unreadable.keys()
    manifest = {
        "config": asdict(config),
        "versions": library_versions(),
        "databases": databases,
        "weights_may_ship": all(one["weights_may_ship"] is True for one in databases),
        "excluded": plan.excluded,
        "excluded_recordings": plan.excluded_recordings,
        "held_out": plan.held_out,
        "held_out_recordings": [one.name for one in found.used if one.held_out],
        "same_person": plan.same_person,
        "unmatched": plan.unmatched,
        "unreadable": [{"recording": one.name, "reason": reason} for one, reason in found.unreadable.items()],
        "without_leads": sorted(one.name for one in left_out),
        "n_recordings": len(found.used),
        "n_subjects": len({one.subject_id for one in found.used}),
        "n_leads": len(corpus.leads),
        "n_beats": corpus.beats.size,
        "n_tokens": corpus.token_ids.size,
        "n_samples": int(corpus.leads.n_samples.sum()),
        "sha256": {path.name: sha256_of(path) for path in sorted(folder.iterdir())},
    }
    with replacing_file(folder / MANIFEST_FILE) as temporary:
        temporary.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def _describe(name: str, n_records: int, *, own_data: bool) -> dict[str, Any]:
    """Say what is known of a database.

    Nothing is known of one's own recordings: unless their owner says that weights may be passed on, that is null.
    """
    database: Database | None = _DATABASE_OF.get(name)
    unknown = True if own_data else None
    return {
        "name": name,
        "version": database.version if database else None,
        "licence": database.licence if database else None,
        "weights_may_ship": database.weights_may_ship if database else unknown,
        "n_recordings": n_records,
    }


def _put_in_place(built: Path, folder: Path) -> None:
    """Move a complete corpus to its place; what it replaces is removed with the working folder."""
    for path in built.iterdir():
        path.chmod(0o644)
    if folder.exists():
        replaced = built.with_name("replaced")
        shutil.rmtree(replaced, ignore_errors=True)
        folder.rename(replaced)
    built.rename(folder)
