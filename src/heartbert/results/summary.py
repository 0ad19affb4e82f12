"""What a person reads: every number of a report, computed once and shared by page, JSON and command line."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heartbert.analysis import Analysis
from heartbert.predictions.labels import AamiClass
from heartbert.results.heart_rate import heart_rate, rr_intervals_s
from heartbert.results.sleep_summary import SleepSummary, sleep_rows, summarise_sleep

DISCLAIMER = "Research software, not a medical device: do not use it for diagnosis or treatment."

CLASS_NAMES = {
    AamiClass.N: "normal",
    AamiClass.S: "supraventricular ectopic",
    AamiClass.V: "ventricular ectopic",
    AamiClass.F: "fusion",
    AamiClass.Q: "paced or unclassifiable",
}
"""Plain name of each AAMI class."""

# Ventricular beats in a row from which clinicians speak of a run (ventricular tachycardia starts at three).
RUN_BEATS = 3


@dataclass(frozen=True)
class ClassSummary:
    """The beats of one AAMI class: their number, share of all beats and mean probability of the class.

    Beats that are Q because no class is probable enough count there, and not in its mean probability.
    """

    aami_class: str
    n_beats: int
    share: float | None
    mean_probability: float | None


@dataclass(frozen=True)
class Summary:
    """The numbers of one analysed lead; what cannot be computed is None, never NaN.

    Attributes
    ----------
    file, record_name, subject_id, lead, fs, unit, duration_s, start
        The recording; `start` is ISO 8601.
    leads
        Leads that classified the beats.
    beats_given
        Whether the beats were given by the caller, not detected.
    n_beats, classes
        Beats in all and by class in the order N, S, V, F, Q.
    min_confidence, n_abstained
        Limit of the highest probability, and the beats below it, which are Q.
    n_ventricular_runs, longest_ventricular_run
        Runs of at least three ventricular beats, and the beats of the longest run of any length.
    mean_rate_bpm, min_rate_bpm, max_rate_bpm
        Beats a minute: from the mean RR interval, and the extremes over 10 beats in a row.
    n_unscorable, unscorable_s, unscorable_share
        Stretches that were not scored, their seconds together, and their share of the duration.
    scale_low, scale_high, clipped_share
        Amplitudes mapped to 0 and 1 in `unit`, and the share of samples outside.
    n_windows, n_tokens, tokens_per_s
        Windows, tokens, and tokens for each second that was scored.
    bundle_name, heartbeat_scores, seconds_by_stage
        As given by the analysis.
    sleep
        None where sleep was not staged.
    """

    file: str
    record_name: str
    subject_id: str
    lead: str
    fs: float
    unit: str
    duration_s: float
    start: str | None
    leads: tuple[str, ...]
    beats_given: bool
    n_beats: int
    classes: tuple[ClassSummary, ...]
    min_confidence: float
    n_abstained: int
    n_ventricular_runs: int
    longest_ventricular_run: int
    mean_rate_bpm: float | None
    min_rate_bpm: float | None
    max_rate_bpm: float | None
    n_unscorable: int
    unscorable_s: float
    unscorable_share: float | None
    scale_low: float
    scale_high: float
    clipped_share: float | None
    n_windows: int
    n_tokens: int
    tokens_per_s: float | None
    bundle_name: str
    heartbeat_scores: dict[str, float | None]
    seconds_by_stage: dict[str, float]
    sleep: SleepSummary | None


def summarise(analysis: Analysis) -> Summary:
    """Compute every number that a report, its JSON form and the command line show."""
    record, channel = analysis.record, analysis.channel
    runs = _ventricular_runs(analysis)
    rr_s = _finite(rr_intervals_s(analysis))
    rate_bpm = _finite(heart_rate(analysis)[1])
    unscorable_s = sum(stretch.stop_s - stretch.start_s for stretch in analysis.unscorable)
    n_tokens = int(analysis.windows.n_tokens.sum())
    return Summary(
        file=record.path.name,
        record_name=record.name,
        subject_id=record.subject_id,
        lead=channel.name,
        fs=channel.fs,
        unit=channel.unit,
        duration_s=channel.duration_s,
        start=record.start.isoformat() if record.start else None,
        leads=analysis.leads or (channel.name,),
        beats_given=analysis.beats_given,
        n_beats=int(analysis.beats.samples.size),
        classes=tuple(_class_summary(analysis, aami_class) for aami_class in AamiClass),
        min_confidence=float(analysis.beats.min_confidence),
        n_abstained=int(np.count_nonzero(analysis.beats.abstained)),
        n_ventricular_runs=int(np.count_nonzero(runs >= RUN_BEATS)),
        longest_ventricular_run=int(runs.max(initial=0)),
        mean_rate_bpm=60.0 / float(rr_s.mean()) if rr_s.size else None,
        min_rate_bpm=float(rate_bpm.min()) if rate_bpm.size else None,
        max_rate_bpm=float(rate_bpm.max()) if rate_bpm.size else None,
        n_unscorable=len(analysis.unscorable),
        unscorable_s=float(unscorable_s),
        unscorable_share=_share(unscorable_s, channel.duration_s),
        scale_low=float(analysis.scale_low),
        scale_high=float(analysis.scale_high),
        clipped_share=_share(analysis.n_clipped_samples, analysis.n_samples_360hz),
        n_windows=int(analysis.windows.n_tokens.size),
        n_tokens=n_tokens,
        tokens_per_s=_share(n_tokens, channel.duration_s - unscorable_s),
        bundle_name=analysis.bundle_name,
        heartbeat_scores={
            name: float(score) if np.isfinite(score) else None for name, score in analysis.heartbeat_scores.items()
        },
        seconds_by_stage={stage: float(seconds) for stage, seconds in analysis.seconds_by_stage.items()},
        sleep=summarise_sleep(analysis.sleep) if analysis.sleep else None,
    )


def clock(seconds: float) -> str:
    """Write a time since the start as hours, minutes and whole seconds.

    Examples
    --------
    >>> clock(3725.4)
    '1:02:05'
    """
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def readable(value: float | None, decimals: int = 0, *, unit: str = "") -> str:
    """Write a number with a fixed number of decimals and its unit, or a dash where there is none."""
    return "–" if value is None else f"{value:,.{decimals}f}{' ' if unit else ''}{unit}"


def percent(share: float | None) -> str:
    """Write a share as a percentage, or a dash where there is none; small ones stay visible."""
    if share is None:
        return "–"
    return "< 0.1 %" if 0 < share < 0.001 else f"{100 * share:.1f} %"


def counted(number: int, singular: str, plural: str) -> str:
    """Write a number with its noun."""
    return f"{number:,} {singular if number == 1 else plural}"


def readable_rows(summary: Summary) -> list[tuple[str, str]]:
    """Return the main numbers as pairs of name and text with unit, in reading order."""
    rows = [
        ("record", summary.record_name),
        ("lead", f"{summary.lead} ({summary.unit}, {summary.fs:g} Hz)"),
        *([("leads that classify", ", ".join(summary.leads))] if len(summary.leads) > 1 else []),
        ("duration", f"{clock(summary.duration_s)} ({summary.duration_s:.1f} s)"),
        (
            "not scorable",
            f"{summary.unscorable_s:.1f} s in {counted(summary.n_unscorable, 'stretch', 'stretches')}",
        ),
        ("beats", f"{readable(summary.n_beats)}{', given' if summary.beats_given else ''}"),
    ]
    rows += [
        (
            f"  {row.aami_class} {CLASS_NAMES[AamiClass[row.aami_class]]}",
            f"{row.n_beats:,} ({percent(row.share)})",
        )
        for row in summary.classes
    ]
    if summary.min_confidence:
        rows.append((f"  of Q, below {summary.min_confidence:g}", readable(summary.n_abstained)))
    return [
        *rows,
        ("ventricular runs", f"{summary.n_ventricular_runs} of {RUN_BEATS} beats or more"),
        ("mean heart rate", readable(summary.mean_rate_bpm, unit="bpm")),
        (
            "lowest, highest over 10 beats",
            f"{readable(summary.min_rate_bpm)}, {readable(summary.max_rate_bpm, unit='bpm')}",
        ),
        *([("sleep", ""), *((f"  {name}", text) for name, text in sleep_rows(summary.sleep))] if summary.sleep else []),
        ("tokens", f"{summary.n_tokens:,} ({readable(summary.tokens_per_s, 1, unit='a second')})"),
        ("bundle", summary.bundle_name),
        ("computing time", f"{sum(summary.seconds_by_stage.values()):.1f} s"),
    ]


def _class_summary(analysis: Analysis, aami_class: AamiClass) -> ClassSummary:
    beats = analysis.beats
    inside = beats.classes == aami_class
    given = beats.probabilities[inside & ~beats.abstained, aami_class]
    mean = float(given.mean(dtype=np.float64)) if given.size else None
    n_beats = int(np.count_nonzero(inside))
    return ClassSummary(aami_class.name, n_beats, _share(n_beats, beats.samples.size), mean)


def _ventricular_runs(analysis: Analysis) -> npt.NDArray[np.int64]:
    """Return the number of beats of each uninterrupted run of ventricular beats, in time order."""
    ventricular = analysis.beats.classes == AamiClass.V
    continues = np.zeros(ventricular.size, dtype=bool)
    continues[1:] = ventricular[:-1] & np.isfinite(rr_intervals_s(analysis)[1:])
    run_of_beat = np.cumsum(~continues)
    return np.unique(run_of_beat[ventricular], return_counts=True)[1]


def _finite(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return values[np.isfinite(values)]


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 else None
