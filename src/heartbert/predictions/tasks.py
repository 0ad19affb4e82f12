"""Stage 7 of 7: embeddings -> predictions. A task of one's own: its head, and what it says of a recording."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from heartbert.errors import ConfigError
from heartbert.predictions.beat_windows import TokenReader
from heartbert.predictions.given_beats import r_peaks_at_360hz
from heartbert.predictions.lead_attention import LeadAttention, TaskKind
from heartbert.predictions.task_units import UnitEmbeddings, UnitInput, Units, embed_units, units_of
from heartbert.preprocessing import Preprocessing
from heartbert.records.record import Channel, Record
from heartbert.signals.resampling import TARGET_FS, rate_ratio

# Probability from which a label of several counts as present.
PRESENT = 0.5
_UNITS_AT_A_TIME = 1024


@dataclass(frozen=True)
class TaskHead:
    """The trained head of a task.

    Attributes
    ----------
    network : LeadAttention
        In evaluation mode.
    kind : {"single", "multi", "number"}
        One of several classes, any number of labels, or a number.
    classes : tuple of str
        Names of the network's outputs; one name for a number.
    reads : UnitInput
    temperature : float
        What scores are divided by, see `heartbert.predictions.calibration`; 1 for a number.
    encoder : str
        Digest of the weights of the encoder that it was trained on, see `encoder_digest`.
    """

    network: LeadAttention
    kind: TaskKind
    classes: tuple[str, ...]
    reads: UnitInput
    temperature: float
    encoder: str

    @torch.inference_mode()
    def apply(self, embeddings: UnitEmbeddings) -> npt.NDArray[np.float32]:
        """Predict units.

        Parameters
        ----------
        embeddings : UnitEmbeddings

        Returns
        -------
        values : ndarray of float32, shape (n_units, n_classes)
            Probabilities, or the number; NaN for a unit of which nothing can be scored.
        """
        values = np.full((len(embeddings.vectors), len(self.classes)), np.nan, dtype=np.float32)
        known = np.flatnonzero(embeddings.mask.any(axis=(1, 2)))
        for first in range(0, known.size, _UNITS_AT_A_TIME):
            rows = known[first : first + _UNITS_AT_A_TIME]
            logits = self.network(torch.from_numpy(embeddings.vectors[rows]), torch.from_numpy(embeddings.mask[rows]))
            values[rows] = self.values_of(logits).numpy()
        return values

    def values_of(self, logits: torch.Tensor) -> torch.Tensor:
        """Turn the network's scores, shape (n_units, n_classes), into probabilities; a number stays as it is."""
        if self.kind == "number":
            return logits
        scores = logits / self.temperature
        return torch.softmax(scores, dim=-1) if self.kind == "single" else torch.sigmoid(scores)


@dataclass(frozen=True)
class TaskPredictions:
    """What a task's head says of one recording.

    Attributes
    ----------
    record : str
        Name of the recording.
    unit : {"record", "window", "epoch", "beat"}
    kind : {"single", "multi", "number"}
    classes : tuple of str
    start_s, stop_s : ndarray of float64, shape (n_units,)
        In seconds from the start of the recording; both are the R-peak of a beat.
    samples : ndarray of int64, shape (n_units,), or None
        R-peaks of beats as samples of the lead.
    values : ndarray of float32, shape (n_units, n_classes)
        Probabilities, or the number in its own unit; NaN where nothing can be scored.
    quality : ndarray of float32, shape (n_units,)
        Share of each unit that can be scored.
    """

    record: str
    unit: str
    kind: TaskKind
    classes: tuple[str, ...]
    start_s: npt.NDArray[np.float64]
    stop_s: npt.NDArray[np.float64]
    samples: npt.NDArray[np.int64] | None
    values: npt.NDArray[np.float32]
    quality: npt.NDArray[np.float32]

    @property
    def labels(self) -> tuple[str, ...]:
        """The class of each unit, or its labels with ``;`` between them; empty where nothing can be scored.

        Raises
        ------
        ConfigError
            If the task is a number.
        """
        if self.kind == "number":
            raise ConfigError("the task predicts a number and has no labels; read values")
        return tuple(labels_of(row, self.classes, self.kind) for row in self.values)


def labels_of(values: npt.NDArray[np.float32], classes: tuple[str, ...], kind: TaskKind) -> str:
    """Name the class with the highest probability, or all labels from 0.5 on with ``;`` between them."""
    if not np.isfinite(values).all():
        return ""
    if kind == "single":
        return classes[int(np.argmax(values))]
    return ";".join(name for name, value in zip(classes, values, strict=True) if value >= PRESENT)


def predict_task(
    head: TaskHead,
    parts: tuple[Preprocessing, TokenReader],
    record: Record,
    *,
    lead: str | None = None,
    r_peaks: npt.NDArray[np.int64] | None = None,
    window_s: float | None = None,
) -> TaskPredictions:
    """Apply a task's head to a recording.

    Parameters
    ----------
    head : TaskHead
    parts : (Preprocessing, TokenReader)
        Of the bundle that the head belongs to.
    record : Record
    lead : str, optional
        The lead to read, for a task of one lead; by default the one it was trained on.
    r_peaks : ndarray of int, shape (n_beats,), optional
        Beats to predict, as samples of the lead, increasing; by default they are detected.
    window_s : float, optional
        Duration of the windows that the recording is cut into, by default the median of those it was trained on.

    Returns
    -------
    predictions : TaskPredictions
        One row for the recording, for each window or epoch of it, or for each beat.

    Raises
    ------
    ConfigError
        If an option does not belong to the task's unit, or beats cannot be beats of the lead.
    LeadNotFoundError, SignalTooShortError, SignalValueError
    """
    unit = head.reads.unit
    _check_options(unit, r_peaks is not None, window_s)
    channels = head.reads.channels(record, lead)
    channel = channels[0][1]
    if r_peaks is not None:
        beats = r_peaks_at_360hz(r_peaks, channel, whose="the given beats")
        units = Units("beat", beats, beats + 1)
    else:
        units = units_of(unit, record, channel, parts[0], window_s=window_s or head.reads.window_s)
    embedded = embed_units(head.reads, units, channels, parts)
    predictions = predictions_of(head, record.name, channel, units, embedded)
    return predictions if r_peaks is None else replace(predictions, samples=np.asarray(r_peaks, dtype=np.int64))


def predictions_of(
    head: TaskHead, name: str, channel: Channel, units: Units, embedded: UnitEmbeddings
) -> TaskPredictions:
    """Predict units that are embedded already."""
    is_beat = units.kind == "beat"
    start_s = units.starts / TARGET_FS
    samples = np.round(units.starts / float(rate_ratio(channel.fs))).astype(np.int64) if is_beat else None
    return TaskPredictions(
        record=name,
        unit=units.kind,
        kind=head.kind,
        classes=head.classes,
        start_s=start_s,
        stop_s=start_s if is_beat else units.stops / TARGET_FS,
        samples=None if samples is None else np.minimum(samples, channel.n_samples - 1),
        values=head.apply(embedded),
        quality=embedded.quality,
    )


def _check_options(unit: str, has_beats: bool, window_s: float | None) -> None:  # noqa: FBT001
    if has_beats and unit != "beat":
        raise ConfigError(f"beats were given to a task whose unit is '{unit}'; they belong to the unit 'beat'.")
    if window_s is not None and (unit != "window" or not window_s > 0):
        raise ConfigError(
            f"windows of {window_s:g} s were asked of a task whose unit is '{unit}'; a positive duration belongs to "
            "the unit 'window'. Leave it out."
        )
