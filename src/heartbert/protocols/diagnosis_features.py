"""Hand-made numbers of a 12-lead recording: RR intervals, the statistics of each lead, and its median beat."""

import numpy as np
import numpy.typing as npt

from heartbert.signals.resampling import TARGET_FS

Floats = npt.NDArray[np.float32]

RR_NAMES = ("n beats", "mean RR", "SDNN", "RMSSD", "shortest RR", "longest RR", "pNN50", "entropy of RR ratios")
LEAD_NAMES = (
    "standard deviation", "lowest", "highest", "skewness", "kurtosis", "mean absolute slope",
    "P peak", "Q", "R", "S", "QRS area", "QRS width", "ST level", "ST slope", "T highest", "T lowest",
)  # fmt: skip
# Parts of the median beat in seconds from the R-peak, usual limits of the waves at rest.
_P, _Q, _R, _S = (-0.20, -0.08), (-0.06, 0.0), (-0.04, 0.04), (0.0, 0.08)
_QRS, _ST, _T = (-0.06, 0.08), (0.08, 0.14), (0.15, 0.42)
_BEAT_S = (-0.25, 0.45)
_BEAT = np.arange(round(_BEAT_S[0] * TARGET_FS), round(_BEAT_S[1] * TARGET_FS))
# What belongs to the QRS complex rises above this share of its largest value.
_QRS_SHARE = 0.3
_N_STATISTICS = 6


def n_features(n_leads: int) -> int:
    """Return how many numbers describe a recording."""
    return len(RR_NAMES) + n_leads * len(LEAD_NAMES)


def describe_recording(signals: Floats, r_peaks: npt.NDArray[np.int64]) -> Floats:
    """Describe a recording by hand-made numbers.

    Parameters
    ----------
    signals : ndarray of float32, shape (n_leads, n_samples)
        Filtered leads at 360 Hz.
    r_peaks : ndarray of int64, shape (n_beats,)
        Samples of the beats.

    Returns
    -------
    features : ndarray of float32, shape (n_features,)
        Those of the RR intervals (`RR_NAMES`, in seconds), then those of each lead (`LEAD_NAMES`); NaN where there are
        too few beats to tell.
    """
    beats = r_peaks[(r_peaks + _BEAT[0] >= 0) & (r_peaks + _BEAT[-1] < signals.shape[1])]
    leads = [np.concatenate([_statistics(lead), _waves(lead, beats)]) for lead in signals]
    return np.concatenate([_rr_numbers(r_peaks / TARGET_FS), *leads]).astype(np.float32)


def _rr_numbers(times_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    rr = np.diff(times_s)
    if rr.size < 3:
        return np.array([times_s.size, *[np.nan] * (len(RR_NAMES) - 1)])
    steps = np.diff(rr)
    ratios = np.histogram(rr[1:] / rr[:-1], bins=np.array([0.0, 0.8, 0.9, 0.97, 1.03, 1.1, 1.25, np.inf]))[0]
    shares = ratios[ratios > 0] / ratios.sum()
    return np.array(
        [
            times_s.size, rr.mean(), rr.std(), np.sqrt(np.mean(steps**2)), rr.min(), rr.max(),
            np.mean(np.abs(steps) > 0.05), -np.sum(shares * np.log(shares)),
        ]
    )  # fmt: skip


def _statistics(lead: Floats) -> npt.NDArray[np.float64]:
    values = lead.astype(np.float64)
    deviation = values.std()
    centred = (values - values.mean()) / (deviation or 1.0)
    slope = np.abs(np.diff(values)).mean()
    return np.array([deviation, values.min(), values.max(), np.mean(centred**3), np.mean(centred**4), slope])


def _waves(lead: Floats, beats: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Measure the median beat against its level before the P wave."""
    if not beats.size:
        return np.full(len(LEAD_NAMES) - _N_STATISTICS, np.nan)
    beat = np.median(lead[beats[:, None] + _BEAT], axis=0).astype(np.float64)
    beat = beat - np.median(beat[: round((_P[0] - _BEAT_S[0]) * TARGET_FS)])

    def part(limits: tuple[float, float]) -> npt.NDArray[np.float64]:
        start, stop = (round((limit - _BEAT_S[0]) * TARGET_FS) for limit in limits)
        return np.asarray(beat[start:stop])

    p, qrs, st, t = part(_P), part(_QRS), part(_ST), part(_T)
    width = np.mean(np.abs(qrs) > _QRS_SHARE * np.abs(qrs).max())
    return np.array(
        [
            p[np.argmax(np.abs(p))], part(_Q).min(), part(_R).max(), part(_S).min(), qrs.sum() / TARGET_FS, width,
            st.mean(), (st[-1] - st[0]), t.max(), t.min(),
        ]
    )  # fmt: skip
