"""What a person reads: the numbers of a staged night with their definitions, and how far to trust them."""

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from heartbert.analysis import StagedSleep
from heartbert.evaluation.sleep import SleepStatistics, sleep_statistics
from heartbert.predictions.sleep_labels import EPOCH_S, STAGE_SETS, StageSetName
from heartbert.predictions.sleep_origin import SleepOrigin

DEFINITIONS = MappingProxyType(
    {
        "recorded_min": "minutes of all whole epochs of 30 s; the recording stands for the time in bed, as lights-off "
        "and lights-on are not known",
        "sleep_min": "total sleep time: minutes of all epochs that are not W",
        "efficiency": "total sleep time over the minutes recorded",
        "onset_latency_min": "minutes from the start of the recording to the first epoch of sleep",
        "rem_latency_min": "minutes from the first epoch of sleep to the first of R",
        "wake_after_onset_min": "minutes of W between the first and the last epoch of sleep",
        "shares": "of N1, N2, N3 and R in total sleep time",
        "n_transitions": "changes from one stage to another",
        "n_awakenings": "changes from sleep to W",
    }
)
"""What each number of `SleepStatistics` is; epochs that are left open count with their most probable stage."""

_CLASSES_IN_WORDS: MappingProxyType[StageSetName, str] = MappingProxyType(
    {"stages3": "wake, non-REM, REM", "stages4": "wake, light, deep, REM", "stages5": "W, N1, N2, N3, R"}
)


@dataclass(frozen=True)
class SleepSummary:
    """The numbers of one staged night.

    Attributes
    ----------
    n_epochs : int
        Of 30 s.
    min_confidence : float
    n_left_open : int
        Epochs whose most probable of five stages is less probable than `min_confidence`.
    mean_confidence : float
        Mean over epochs of the probability of the most probable of five stages.
    statistics : SleepStatistics
        Of the most probable of five stages of every epoch.
    definitions : dict of str to str
        What each of the statistics is.
    origin : SleepOrigin
        Who the head was trained on, and how far it agrees with a person.
    trust : str
        The same as a sentence.
    """

    n_epochs: int
    min_confidence: float
    n_left_open: int
    mean_confidence: float
    statistics: SleepStatistics
    definitions: dict[str, str]
    origin: SleepOrigin
    trust: str


def summarise_sleep(sleep: StagedSleep) -> SleepSummary:
    """Compute every number of a staged night that a report, its JSON form and the command line show."""
    predictions = sleep.predictions
    left_open = predictions.hypnogram(least_probability=predictions.min_confidence) < 0
    confidences = predictions.probabilities["stages5"].max(axis=1)
    return SleepSummary(
        n_epochs=predictions.n_epochs,
        min_confidence=float(predictions.min_confidence),
        n_left_open=int(np.count_nonzero(left_open)),
        mean_confidence=float(confidences.mean(dtype=np.float64)),
        statistics=sleep_statistics(predictions.hypnogram()),
        definitions=dict(DEFINITIONS),
        origin=sleep.origin,
        trust=trust_sentence(sleep.origin),
    )


def trust_sentence(origin: SleepOrigin) -> str:
    """Say in plain words what a hypnogram is worth.

    Examples
    --------
    >>> trust_sentence(SleepOrigin("slpdb", 16, "men examined for sleep apnoea", None))
    'For research only. The sleep head was trained on 16 men examined for sleep apnoea (slpdb); other people may be \
staged worse. How far its stages agree with those that a person would score was not measured.'
    """
    told = origin.agreement
    start = (
        f"For research only. The sleep head was trained on {origin.n_persons} {origin.who} ({origin.database}); other "
        "people may be staged worse."
    )
    if told is None:
        return f"{start} How far its stages agree with those that a person would score was not measured."
    parts = []
    for of in STAGE_SETS:
        accuracy, kappa = (told.scores[of][name] for name in ("accuracy", "kappa"))
        parts.append(
            f"{100 * accuracy.mean:.0f} % of the epochs and a kappa of {kappa.mean:.2f} "
            f"({kappa.low:.2f} to {kappa.high:.2f}) for {_CLASSES_IN_WORDS[of]}"
        )
    return (
        f"{start} Agreement with the person who scored, on {told.n_persons} persons of {told.database} left out of "
        f"training: {'; '.join(parts)}. Kappa is 0 by chance and 1 in full agreement; 95 % intervals over persons."
    )


def sleep_rows(summary: SleepSummary) -> list[tuple[str, str]]:
    """Return the numbers of a night as pairs of name and text with unit, in reading order."""
    numbers = summary.statistics
    shares = [(f"{name} in sleep", _percent(share)) for name, share in numbers.shares.items()]
    return [
        ("recorded", f"{_hours(numbers.recorded_min)} ({summary.n_epochs:,} epochs of {EPOCH_S:g} s)"),
        ("asleep", f"{_hours(numbers.sleep_min)} ({_percent(numbers.efficiency)}: sleep efficiency)"),
        ("until sleep", _minutes(numbers.onset_latency_min)),
        ("from sleep to R", _minutes(numbers.rem_latency_min)),
        ("awake after onset", _minutes(numbers.wake_after_onset_min)),
        *shares,
        ("awakenings", f"{numbers.n_awakenings:,}"),
        ("changes of stage", f"{numbers.n_transitions:,}"),
        ("mean probability of the stages", f"{summary.mean_confidence:.2f}"),
        *([_open_row(summary)] if summary.min_confidence else []),
    ]


def _open_row(summary: SleepSummary) -> tuple[str, str]:
    share = _percent(summary.n_left_open / summary.n_epochs)
    return f"epochs open because below {summary.min_confidence:g}", f"{summary.n_left_open:,} ({share})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _hours(minutes: float) -> str:
    whole = round(minutes)
    return f"{whole // 60} h {whole % 60:02d} min"


def _minutes(minutes: float | None) -> str:
    return "–" if minutes is None else f"{minutes:g} min"
