"""What a vocabulary buys: samples a token, how much of it is used, how rare its tokens are, entropies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heartbert.evaluation.codec_records import ecg_leads, lead_ranges
from heartbert.levels import entropy_bits
from heartbert.preprocessing import Preprocessing
from heartbert.records import Channel
from heartbert.signals.resampling import TARGET_FS
from heartbert.tokens import SPECIAL_TOKENS, Tokenizer, train_on_levels
from heartbert.workers import Mapper

Levels = npt.NDArray[np.uint8]
# A token seen fewer times than this has an embedding that was hardly trained.
RARE = 100
# Windows that are cut into tokens at a time: about 40 minutes.
_BATCH = 256


@dataclass(frozen=True)
class Coder:
    """A codec and the tokenizers that read its text.

    Attributes
    ----------
    name : str
        What the tokenizers are called in results.
    codec : Preprocessing
    tokenizers : tuple of Tokenizer
    n_training_samples : int or None
        Samples they were trained on; None for tokenizers that came from outside.
    """

    name: str
    codec: Preprocessing
    tokenizers: tuple[Tokenizer, ...]
    n_training_samples: int | None


@dataclass(frozen=True)
class TrainingPlan:
    """How tokenizers are trained.

    Attributes
    ----------
    vocabularies : tuple of int
        Sizes, special tokens and letters included.
    step : int
        Every `step`-th scorable window is learnt from.
    """

    vocabularies: tuple[int, ...]
    step: int


@dataclass(frozen=True)
class TokenRow:
    """One vocabulary on one database; shares of the vocabulary do not count special tokens.

    Attributes
    ----------
    database, coder : str
    vocabulary : int
        Size of the vocabulary, special tokens included.
    n_training_samples : int or None
        Samples of the first database that it was trained on; None for one that came with a bundle.
    n_samples, n_pieces : int
        Scorable samples at 360 Hz that were cut, and the tokens they gave.
    samples_per_token, tokens_per_second : float
        Mean over the database, per second of ECG.
    used_share, rare_share : float
        Shares of the vocabulary that occur at all, and that occur fewer than 100 times.
    n_covering : int
        Most frequent tokens that make up 90 % of all.
    longest_samples : int
        Samples of the longest token that occurs.
    bits_per_token, bits_per_sample : float
        Entropy of single tokens, for each token and for each sample: what a code without context would need.
    """

    database: str
    coder: str
    vocabulary: int
    n_training_samples: int | None
    n_samples: int
    n_pieces: int
    samples_per_token: float
    tokens_per_second: float
    used_share: float
    rare_share: float
    n_covering: int
    longest_samples: int
    bits_per_token: float
    bits_per_sample: float


def train_coder(paths: Sequence[Path], coder: tuple[str, Preprocessing], plan: TrainingPlan, run: Mapper) -> Coder:
    """Train tokenizers on the text of some recordings.

    Parameters
    ----------
    paths : sequence of Path
        Recordings, as `read_record` takes them.
    coder : tuple of (str, Preprocessing)
        Name, and the codec whose text is learnt.
    plan : TrainingPlan
    run : Mapper
        Reads the recordings.
    """
    name, codec = coder
    choose = partial(_choose_windows, codec=codec, step=plan.step)
    chosen = [window for windows in run(choose, list(enumerate(paths))) for window in windows]
    levels, lengths = _joined(chosen)
    n_levels = codec.codebook.n_levels
    tokenizers = tuple(
        train_on_levels(levels, lengths, n_levels=n_levels, n_tokens=n_tokens) for n_tokens in plan.vocabularies
    )
    return Coder(name, codec, tokenizers, levels.size)


def measure_tokens(database: str, paths: Sequence[Path], coders: Sequence[Coder], run: Mapper) -> list[TokenRow]:
    """Cut the scorable windows of a database into tokens; returns a row for each tokenizer."""
    trials = tuple((coder.codec, coder.tokenizers) for coder in coders)
    counts = [np.zeros(one.n_tokens, dtype=np.int64) for coder in coders for one in coder.tokenizers]
    for found in run(partial(_count_record, trials=trials), paths):
        for total, more in zip(counts, found, strict=True):
            total += more
    flat = [(coder, tokenizer) for coder in coders for tokenizer in coder.tokenizers]
    return [token_row(database, one, tokenizer, total) for (one, tokenizer), total in zip(flat, counts, strict=True)]


def token_row(database: str, coder: Coder, tokenizer: Tokenizer, counts: npt.NDArray[np.int64]) -> TokenRow:
    """Describe a vocabulary by the uses of its tokens.

    Parameters
    ----------
    database : str
    coder : Coder
    tokenizer : Tokenizer
    counts : ndarray of int64, shape (n_tokens,)
        Uses of each token; all zero where no window could be scored, which makes means and entropies 0.
    """
    lengths = tokenizer.token_lengths
    uses = counts[len(SPECIAL_TOKENS) :]
    n_pieces, n_samples = int(counts.sum()), int(counts @ lengths)
    samples_per_token, bits = n_samples / max(n_pieces, 1), entropy_bits(counts) if n_pieces else 0.0
    covered = np.cumsum(np.sort(uses)[::-1])
    return TokenRow(
        database=database,
        coder=coder.name,
        vocabulary=tokenizer.n_tokens,
        n_training_samples=coder.n_training_samples,
        n_samples=n_samples,
        n_pieces=n_pieces,
        samples_per_token=samples_per_token,
        tokens_per_second=TARGET_FS * n_pieces / max(n_samples, 1),
        used_share=float((uses > 0).mean()),
        rare_share=float((uses < RARE).mean()),
        n_covering=int(np.searchsorted(covered, 0.9 * n_pieces)) + 1 if n_pieces else 0,
        longest_samples=int(lengths[counts > 0].max(initial=0)),
        bits_per_token=bits,
        bits_per_sample=bits * n_pieces / max(n_samples, 1),
    )


def scorable_windows(channel: Channel, codec: Preprocessing) -> Iterator[Levels]:
    """Yield the levels of each window of a lead that is scorable throughout, as a corpus has them."""
    ranges = lead_ranges(channel, codec.band)
    if ranges.low.size == 0 or (codec.scaling_rule.method == "fixed" and channel.unit != "mV"):
        return
    scaling = codec.scaling_rule.fit(ranges)
    for block in codec.stream(channel):
        levels = codec.codebook.quantize(scaling.apply(block.inner_signal))
        scorable = block.inner_codes == 0
        for start in range(0, levels.size, codec.window_samples):
            window = slice(start, start + codec.window_samples)
            if scorable[window].all():
                yield levels[window]


def _choose_windows(numbered: tuple[int, Path], codec: Preprocessing, step: int) -> list[Levels]:
    """Take every `step`-th window of a recording; its number in the database shifts which is the first."""
    number, path = numbered
    windows = (window for channel in ecg_leads(path) for window in scorable_windows(channel, codec))
    return [window for index, window in enumerate(windows, start=number) if index % step == 0]


def _joined(windows: Sequence[Levels]) -> tuple[Levels, npt.NDArray[np.int64]]:
    """Put windows one after the other; returns their levels and the length of each."""
    lengths = np.array([window.size for window in windows], dtype=np.int64)
    return np.concatenate([np.empty(0, dtype=np.uint8), *windows]), lengths


Trials = Sequence[tuple[Preprocessing, Sequence[Tokenizer]]]


def _count_record(path: Path, trials: Trials) -> list[npt.NDArray[np.int64]]:
    """Count the uses of each token of each tokenizer, in order, in one recording."""
    counts = [np.zeros(one.n_tokens, dtype=np.int64) for _, tokenizers in trials for one in tokenizers]
    for channel in ecg_leads(path):
        position = 0
        for codec, tokenizers in trials:
            windows = scorable_windows(channel, codec)
            while batch := list(islice(windows, _BATCH)):
                levels, lengths = _joined(batch)
                for index, tokenizer in enumerate(tokenizers, start=position):
                    pieces, _ = tokenizer.pieces_of_levels(levels, lengths)
                    counts[index] += np.bincount(pieces, minlength=tokenizer.n_tokens)
            position += len(tokenizers)
    return counts
