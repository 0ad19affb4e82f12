"""Recordings -> embeddings as a transformer of scikit-learn, an extra: ``pip install 'heartbert[evaluate]'``."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from heartbert.bundle import CARD_FILE, Bundle
from heartbert.embedded_leads import SHORTEST_S
from heartbert.errors import BundleError, ConfigError, LeadNotFoundError, SignalTooShortError, SignalValueError
from heartbert.pipeline import HeartBert
from heartbert.predictions.pooled_leads import LeadPooler, Pooling
from heartbert.records import Record, read_record
from heartbert.records.limits import check_given_fs
from heartbert.records.record import Channel
from heartbert.records.tables import Columns, is_numeric, numbered_names, table_record
from heartbert.records.units import check_unit


class MissingLibraryError(ConfigError, ImportError):
    """A library that is not installed with heartbert itself is needed."""


try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise MissingLibraryError(
        f"heartbert.sklearn needs scikit-learn 1.6 or newer ({error}). "
        "Install it with \"pip install 'heartbert[evaluate]'\"."
    ) from error

Recording = str | Path | Record | npt.NDArray[Any]

# Recordings that are open at a time; the encoder takes their leads together.
_OPEN_AT_A_TIME = 16


class HeartbertEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Embeds recordings, one row each, with a bundle that is not trained further.

    Nothing is learnt from the recordings; `fit` loads the bundle and checks the settings. What is pooled are the
    tokens of a lead that can be scored, wherever they lie, so a recording may be of any length. A pickled embedder
    holds no weights: it loads its bundle again when first used, and refuses another one than it was fitted with.

    Parameters
    ----------
    bundle : str, Path or None, default=None
        Folder of a bundle; None is the one that ships with heartbert.
    fs : float or None, default=None
        Sampling frequency in Hz, for arrays and for files that do not say it.
    unit : {"V", "mV", "uV"} or None, default=None
        Unit of arrays and of files that do not say it; None is an unknown amplitude.
    leads : str or sequence of str, default="one"
        ``"one"``: the first ECG lead in the documented order of preference. ``"all"``: the mean over all ECG leads.
        A lead's name, or several, whose embeddings stand side by side. The leads of an array are named
        ``"channel 1"`` and so on.
    pooling : {"mean", "mean-std"}, default="mean"
        Over the tokens of a lead: the mean, which is that of its windows weighted by their tokens, or the mean and
        then the standard deviation.
    layer : int or None, default=None
        Layer of the encoder that is pooled, 0 for its input; None for the last one, as in `HeartBert.embed`.

    Attributes
    ----------
    n_embedding_ : int
        Numbers of an embedding.
    bundle_sha256_ : str
        Checksum of the bundle that was fitted with.
    n_features_in_ : int
        Samples of a row, where X was a table of numbers.

    Examples
    --------
    >>> import heartbert
    >>> embedder = HeartbertEmbedder().fit([heartbert.demo_record()])
    >>> embedder.transform([heartbert.demo_record()]).shape
    (1, 256)
    """

    def __init__(
        self,
        bundle: str | Path | None = None,
        *,
        fs: float | None = None,
        unit: str | None = None,
        leads: str | Sequence[str] = "one",
        pooling: Pooling = "mean",
        layer: int | None = None,
    ) -> None:
        self.bundle = bundle
        self.fs = fs
        self.unit = unit
        self.leads = leads
        self.pooling = pooling
        self.layer = layer

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Load the bundle and check the settings; the recordings are not read.

        Parameters
        ----------
        X : sequence of str, Path, Record or ndarray, or array-like of float, shape (n_records, n_samples)
            Recordings: paths, records, arrays of shape (n_samples,) or (n_leads, n_samples), or one table whose rows
            are single leads. A column of paths in a data frame will do.
        y : object
            Not used.

        Returns
        -------
        self : HeartbertEmbedder

        Raises
        ------
        BundleError
            If the bundle cannot be used.
        ConfigError
            If a setting is impossible, or `X` is a single recording.
        """
        self._recordings(X, reset=True)
        check_given_fs(self.fs)
        check_unit(self.unit)
        names = self._lead_names()
        bundle = HeartBert.load(self.bundle).bundle
        self._pooler = self._pooler_of(bundle)
        self.n_embedding_ = self._pooler.n_embedding * max(1, len(names))
        self.bundle_sha256_ = bundle_sha256(bundle.manifest)
        return self

    def transform(self, X: Any) -> npt.NDArray[np.float32]:  # noqa: N803 - scikit-learn's name
        """Embed recordings.

        Parameters
        ----------
        X : sequence of str, Path, Record or ndarray, or array-like of float, shape (n_records, n_samples)
            As `fit` takes them; the rows of a table have as many samples as they had there.

        Returns
        -------
        embeddings : ndarray of float32, shape (n_records, n_embedding)

        Raises
        ------
        BundleError
            If the bundle is not the one that was fitted with.
        LeadNotFoundError, RecordFormatError, SignalTooShortError
        SignalValueError
            If a lead holds nothing that can be scored.
        """
        check_is_fitted(self)
        recordings = self._recordings(X, reset=False)
        pooler = self._loaded_pooler()
        parts = [
            self._embed(pooler, recordings[start : start + _OPEN_AT_A_TIME], first=start)
            for start in range(0, len(recordings), _OPEN_AT_A_TIME)
        ]
        return np.concatenate(parts)

    @property
    def _n_features_out(self) -> int:
        return self.n_embedding_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True  # missing samples
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_pooler"}

    def _pooler_of(self, bundle: Bundle) -> LeadPooler:
        return LeadPooler(bundle.preprocessing, bundle.token_reader, self.layer, self.pooling)

    def _loaded_pooler(self) -> LeadPooler:
        """Return what was fitted, loaded again after unpickling."""
        if not hasattr(self, "_pooler"):
            bundle = HeartBert.load(self.bundle).bundle
            if bundle_sha256(bundle.manifest) != self.bundle_sha256_:
                raise BundleError(
                    f"bundle '{bundle.name}' is not the one that this embedder was fitted with: SHA-256 "
                    f"{bundle_sha256(bundle.manifest)}, expected {self.bundle_sha256_}. Give back the bundle, or fit "
                    "the embedder and all that follows it anew."
                )
            self._pooler = self._pooler_of(bundle)
        pooler: LeadPooler = self._pooler
        return pooler

    def _lead_names(self) -> tuple[str, ...]:
        """Return the leads that were named, none for ``one`` and ``all``."""
        if isinstance(self.leads, str):
            return () if self.leads in {"one", "all"} else (self.leads,)
        if not self.leads:
            raise ConfigError("leads is empty; give 'one', 'all' or at least one name.")
        return tuple(self.leads)

    def _recordings(self, X: Any, *, reset: bool) -> Sequence[Recording]:  # noqa: N803 - scikit-learn's name
        """Return the recordings of `X` one by one; a table of numbers is checked as scikit-learn does it."""
        listed = _listed(X)
        if listed is not None:
            return listed
        table = validate_data(self, X, reset=reset, dtype=np.float32, ensure_all_finite="allow-nan")
        return list(table)

    def _embed(self, pooler: LeadPooler, recordings: Sequence[Recording], *, first: int) -> npt.NDArray[np.float32]:
        """Embed some recordings together; `first` is the number of the first one, for messages."""
        records = [self._record(one, f"record {first + number}") for number, one in enumerate(recordings)]
        chosen = [self._channels(record) for record in records]
        vectors = pooler.embed(channel for channels in chosen for channel in channels)
        parts = np.split(vectors, np.cumsum([len(channels) for channels in chosen])[:-1])
        rows = [self._row(*one) for one in zip(records, chosen, parts, strict=True)]
        return np.stack(rows)

    def _record(self, recording: Recording, name: str) -> Record:
        if isinstance(recording, Record):
            return recording
        if isinstance(recording, str | Path):
            return read_record(recording, fs=self.fs, unit=self.unit)
        leads = np.atleast_2d(recording)
        if not is_numeric(leads) or leads.ndim != 2:
            raise SignalValueError(
                f"{name} is an array of shape {leads.shape} and type {leads.dtype}; real numbers of shape (n_samples,) "
                "or (n_leads, n_samples) are allowed. Give one array a recording."
            )
        if self.fs is None:
            raise ConfigError(f"{name} is an array and says no sampling frequency; give it in Hz with fs=...")
        columns = Columns(dict(zip(numbered_names(len(leads)), leads, strict=True)))
        return table_record(Path(name), columns, fs=float(self.fs), unit=self.unit)

    def _channels(self, record: Record) -> tuple[Channel, ...]:
        names = self._lead_names()
        if names:
            channels = tuple(record.lead(name) for name in names)
        elif self.leads == "all":
            channels = _ecg_leads(record)
        else:
            channels = (record.lead(),)
        for channel in channels:
            if channel.duration_s < SHORTEST_S:
                raise SignalTooShortError(
                    f"record '{record.name}', lead '{channel.name}': {channel.n_samples} samples at {channel.fs:g} Hz "
                    f"({channel.duration_s:.2f} s); at least {SHORTEST_S:g} s are needed. Leave the recording out."
                )
        return channels

    def _row(
        self, record: Record, channels: Sequence[Channel], vectors: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Put the embeddings of a recording's leads together."""
        scorable = np.isfinite(vectors).all(axis=1)
        if not scorable.any() or not (scorable.all() or self.leads == "all"):
            lead = channels[int(np.argmin(scorable))].name
            raise SignalValueError(
                f"record '{record.name}', lead '{lead}': no part of it can be scored (missing, flat or saturated "
                "throughout). Leave the recording out, or choose another lead with leads=..."
            )
        return vectors[scorable].mean(axis=0) if self.leads == "all" else vectors.ravel()


def bundle_sha256(manifest: Mapping[str, Any]) -> str:
    """Return one checksum for all fitted parts of a bundle, as 64 hexadecimal digits; its card does not matter."""
    checksums = {name: value for name, value in manifest["sha256"].items() if name != CARD_FILE}
    return hashlib.sha256(json.dumps(checksums, sort_keys=True).encode()).hexdigest()


def _listed(X: Any) -> Sequence[Recording] | None:  # noqa: N803 - scikit-learn's name
    """Return recordings that are listed one by one, None for a table of numbers."""
    if isinstance(X, str | Path | Record):
        raise ConfigError("X is a single recording; give a list, of one recording if there is one.")
    values = X if isinstance(X, list | tuple) else np.asarray(X)
    if isinstance(values, np.ndarray):
        if values.ndim == 3 and is_numeric(values):
            return list(values)
        column = values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)
        values = values.ravel().tolist() if column and values.dtype.kind in "OUT" else []
    is_listed = len(values) > 0 and isinstance(values[0], str | Path | Record | np.ndarray)
    return values if is_listed else None


def _ecg_leads(record: Record) -> tuple[Channel, ...]:
    """Return all leads that are named like an ECG's, or else all whose names say nothing."""
    for kind in ("ecg", "unknown"):
        leads = tuple(channel for channel in record.channels if channel.kind == kind)
        if leads:
            return leads
    names = ", ".join(f"'{channel.name}'" for channel in record.channels)
    raise LeadNotFoundError(
        f"record '{record.name}' has no channel that is named like an ECG lead; it has {names}. "
        "If one of them is an ECG, choose it with leads=..."
    )
