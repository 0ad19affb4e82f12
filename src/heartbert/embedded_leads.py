"""Stages 2 to 6 of 7 in one pass: a lead of any length -> blocks of token embeddings, in constant memory."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from heartbert.analysis import Embeddings
from heartbert.bundle import Bundle
from heartbert.embeddings.embed import embed, pool_windows
from heartbert.errors import SignalTooShortError
from heartbert.predictions.beat_reading import EmbeddedBlock
from heartbert.predictions.beat_windows import LeadLevels
from heartbert.predictions.scorable import hide_unscorable
from heartbert.predictions.sleep_reading import EpochTap
from heartbert.records.record import Channel, Record
from heartbert.signals.resampling import TARGET_FS
from heartbert.signals.scaling import Scaling, check_amplitude
from heartbert.signals.survey import Survey, survey_lead

# Shortest recording with a beat to speak of, in seconds.
SHORTEST_S = 1.0


class Clock:
    """Adds up the wall time of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside to a stage."""
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


class LeadReader:
    """Applies the fitted parts of a bundle to leads.

    Parameters
    ----------
    bundle : Bundle
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def survey(self, record: Record, channel: Channel, tap: EpochTap | None = None) -> tuple[Survey, Scaling]:
        """Pass over a lead once: beats, amplitude and quality; refuse what cannot be an ECG.

        Raises
        ------
        SignalTooShortError, SignalValueError
        """
        if channel.duration_s < SHORTEST_S:
            raise SignalTooShortError(
                f"record '{record.name}', lead '{channel.name}': {channel.n_samples} samples at {channel.fs:g} Hz "
                f"({channel.duration_s:.2f} s); at least {SHORTEST_S:g} s are needed. Give a longer recording."
            )
        preprocessing = self._bundle.preprocessing
        blocks = preprocessing.stream(channel)
        survey = survey_lead(blocks if tap is None else tap.through(blocks))
        if channel.unit == "mV" and not channel.unit_given:
            check_amplitude(survey.ranges.median_amplitude, record_name=record.name, lead=channel.name)
        return survey, preprocessing.scaling_rule.fit(survey.ranges)

    def blocks(
        self,
        channel: Channel,
        scaling: Scaling,
        clock: Clock | None = None,
        *,
        layer: int | None = None,
        last: bool = True,
    ) -> Iterator[EmbeddedBlock]:
        """Pass over the lead again: levels, tokens and embeddings, about five minutes at a time.

        Only the tokens' embeddings by `layer` are computed where those by the `last` one are not wanted.
        """
        clock = clock or Clock()
        bundle, window_samples = self._bundle, self._bundle.preprocessing.window_samples
        blocks = bundle.preprocessing.stream(channel)
        layer = bundle.beat_layer if layer is None else layer
        while True:
            with clock.stage("signal"):
                block = next(blocks, None)
            if block is None:
                return
            n_samples, context = block.stop - block.start, block.context_samples
            with clock.stage("levels"):
                scaled = scaling.apply(block.signal)
                levels = bundle.preprocessing.codebook.quantize(scaled)
                lead = LeadLevels(levels, block.codes != 0)
                starts = np.arange(0, n_samples, window_samples)
                stops = np.append(starts[1:], n_samples)
            with clock.stage("tokens"):
                inner = levels[context : context + n_samples]
                tokens = bundle.tokenizer.encode_levels(inner, window_samples, max_tokens=bundle.max_tokens)
                tokens, usable = hide_unscorable(tokens, starts, block.inner_codes != 0)
            with clock.stage("embeddings"):
                embedded = embed(bundle.model.base_model, tokens, layer=layer, last=last)
            yield EmbeddedBlock(
                window_starts=starts + block.start,
                window_stops=stops + block.start,
                tokens=embedded,
                usable=usable[tokens.offsets[..., 1] > tokens.offsets[..., 0]],
                n_clipped=scaling.n_clipped(block.inner_signal),
                lead=lead,
                signal=scaled,
                context_samples=context,
            )


def window_rows(block: EmbeddedBlock) -> Embeddings:
    """Return one vector for each window of a block, by the last layer."""
    vectors, n_tokens = pool_windows(block.tokens, block.usable, block.window_starts.size)
    return Embeddings(block.window_starts / TARGET_FS, block.window_stops / TARGET_FS, n_tokens, vectors)


def token_rows(block: EmbeddedBlock) -> Embeddings:
    """Return the vector of each usable token of a block, by the last layer."""
    first = block.window_starts[block.tokens.window[block.usable]]
    starts, stops = block.tokens.starts[block.usable] + first, block.tokens.stops[block.usable] + first
    n_tokens = np.ones(starts.size, dtype=np.int64)
    return Embeddings(starts / TARGET_FS, stops / TARGET_FS, n_tokens, block.tokens.last[block.usable])


def join_rows(rows: list[Embeddings]) -> Embeddings:
    """Put the rows of blocks, at least one, after each other."""
    return Embeddings(
        np.concatenate([row.start_s for row in rows]),
        np.concatenate([row.stop_s for row in rows]),
        np.concatenate([row.n_tokens for row in rows]),
        np.concatenate([row.vectors for row in rows]),
    )
