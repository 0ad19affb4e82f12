"""A probe of the frozen encoder while it trains: heartbeats of held-out training subjects, in seconds.

The loss does not say what an encoder is worth, and the test records must not. So the beats of some DS1 records are
classified from the principal components of their embeddings by logistic regression fitted on other DS1 records, and
the mean of the average precisions of S and V is logged, which needs no threshold. (Least squares on the embeddings
themselves fits the persons, and ranks encoders otherwise than trained heads do.) Everything but the encoder is computed
once, by `probe_building`, and kept in a file: the machine that trains needs no recording and no reader.

The number is for choosing among checkpoints of one run and nothing else: beats are placed by the reference annotation,
a few minutes a record are taken where rare beats are, and the classifier is the smallest that ranks encoders.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from heartbert.embeddings.embed import IntervalPooler, embed
from heartbert.embeddings.encoder import max_tokens_of
from heartbert.errors import BundleError, LeakageError
from heartbert.evaluation.splits import MITDB_DS2, person_of
from heartbert.files import replacing_file, sha256_of
from heartbert.predictions.labels import AamiClass
from heartbert.tokens import TOKENIZER_FILE
from heartbert.tokens.rows import arrange
from heartbert.training.corpus import Corpus

PROBE_FILE = "probe.npz"
# Fusion beats are too few to be told from chance.
_SCORED = (AamiClass.S, AamiClass.V)
# Principal components of the embeddings that are read, and the RR features' scale beside them.
_N_COMPONENTS, _RR_SCALE = 32, 3.0
# Penalty on half the squared coefficients, against the sum of the beats' weighted losses.
_PENALTY = 100.0
_MAX_ITERATIONS = 300
# Class weights are (most frequent / own count) to this power, as in the heartbeat head of the presets.
_CLASS_BALANCE = 0.5

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ProbeData:
    """Beats of a few minutes of some records, everything but their embeddings.

    Attributes
    ----------
    records : ndarray of str, shape (n_records,)
    validation : ndarray of bool, shape (n_records,)
        True for records that are scored; the classifier is fitted on the others.
    pieces : ndarray of uint32, shape (n_pieces,)
        Tokens of all windows, one after the other, without special tokens.
    usable : ndarray of bool, shape (n_pieces,)
        False where most samples are unscorable: hidden from the encoder.
    counts : ndarray of int64, shape (n_windows,)
        Pieces of each window.
    windows : ndarray of int64, shape (n_records + 1,)
        First window of each record, and their number.
    starts, stops : ndarray of int64, shape (n_beats, n_parts)
        Samples of each part of each beat, from the first sample of its record's first window.
    labels : ndarray of int64, shape (n_beats,)
        `AamiClass`.
    rr : ndarray of float32, shape (n_beats, n_rr)
        RR features.
    beats : ndarray of int64, shape (n_records + 1,)
        First beat of each record, and their number.
    database : str
        Slug of the database, or name of the folder, that the records are from.
    tokenizer_sha256 : str
        Of the tokenizer that made the pieces.
    """

    records: npt.NDArray[np.str_]
    validation: npt.NDArray[np.bool_]
    pieces: npt.NDArray[np.uint32]
    usable: npt.NDArray[np.bool_]
    counts: npt.NDArray[np.int64]
    windows: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    rr: Floats
    beats: npt.NDArray[np.int64]
    database: str
    tokenizer_sha256: str

    def save(self, path: Path) -> None:
        """Write everything as one ``.npz`` file, without pickles."""
        with replacing_file(path) as temporary:
            np.savez_compressed(temporary, **{field.name: getattr(self, field.name) for field in fields(self)})


def load_probe(path: Path, corpus_folder: Path) -> ProbeData:
    """Read probe data and check that it is written in the tokens of a corpus.

    Raises
    ------
    BundleError
        If the file is missing or damaged, or belongs to another tokenizer.
    LeakageError
        If it holds a DS2 record.
    """
    try:
        # Opened here: np.load leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            arrays = {field.name: content[field.name] for field in fields(ProbeData)}
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise BundleError(
            f"'{path}' holds no probe data ({error}); make it with 'heartbert pretrain --probe'."
        ) from error
    names = {name: str(arrays[name]) for name in ("database", "tokenizer_sha256")}
    data = ProbeData(**{**arrays, **names})
    if data.tokenizer_sha256 != sha256_of(corpus_folder / TOKENIZER_FILE):
        raise BundleError(
            f"'{path}' was made with another tokenizer than that of the corpus; remove it and give --probe again."
        )
    if tests := sorted(set(data.records.tolist()) & set(MITDB_DS2)):
        raise LeakageError(
            f"'{path}' holds test record '{tests[0]}'; no checkpoint may be chosen on it. Remove the file."
        )
    return data


def refuse_seen(data: ProbeData, corpus: Corpus) -> None:
    """Refuse a probe that is scored on records the encoder is trained on.

    Raises
    ------
    LeakageError
        If a lead of such a record is among the training leads.
    """
    leads = corpus.leads
    training = ~leads.held_out
    trained_on = {*leads.subject_id[training], *leads.record[training & (leads.database == data.database)]}
    scored = data.records[data.validation].tolist()
    if seen := [name for name in scored if name in trained_on or person_of(data.database, name) in trained_on]:
        raise LeakageError(
            f"the probe is scored on record '{seen[0]}', whose person the encoder is trained on. Build the corpus with "
            f"--held-out naming {', '.join(scored)}, or remove {PROBE_FILE} from it and train without --probe."
        )


def score_probe(data: ProbeData, model: PreTrainedModel, token_lengths: npt.NDArray[np.int64], *, layer: int) -> float:
    """Return the mean of the average precisions of S and of V among the beats of the validation records.

    Parameters
    ----------
    data : ProbeData
    model : PreTrainedModel
        Masked-language model; used in evaluation mode, and left in its own.
    token_lengths : ndarray of int64, shape (n_vocabulary,)
        Samples that each token covers.
    layer : int
        Encoder layer to read.
    """
    was_training = model.training
    model.eval()
    embeddings = [
        _centred(_embed_beats(data, record, model, token_lengths, layer=layer)) for record in range(data.records.size)
    ]
    model.train(was_training)
    scored = np.repeat(data.validation, np.diff(data.beats))
    components = _principal_components(np.concatenate(embeddings), fitted_on=~scored)
    features = torch.cat([components, _RR_SCALE * _standardised(data.rr, fitted_on=~scored)], dim=1)
    logits = _classify(features[~scored], data.labels[~scored], features[scored])
    return float(np.mean([average_precision(data.labels[scored] == one, logits[:, one]) for one in _SCORED]))


def average_precision(relevant: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64]) -> float:
    """Return the share of relevant beats among all that score as high as one, averaged over them; 0 without any.

    Parameters
    ----------
    relevant : ndarray of bool, shape (n_beats,)
    scores : ndarray of float64, shape (n_beats,)
    """
    found = relevant[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(found) / np.arange(1, found.size + 1)
    return float(precision[found].mean()) if found.any() else 0.0


def _embed_beats(
    data: ProbeData, record: int, model: PreTrainedModel, token_lengths: npt.NDArray[np.int64], *, layer: int
) -> Floats:
    """Embed one record's beats: (n_beats, n_parts * hidden_size)."""
    of_record = slice(data.windows[record], data.windows[record + 1])
    counts, first = data.counts[of_record], int(data.counts[: of_record.start].sum())
    pieces = data.pieces[first : first + counts.sum()].astype(np.int64)
    usable = data.usable[first : first + counts.sum()]
    tokens = arrange(pieces, counts, token_lengths, max_tokens=max_tokens_of(model))
    tokens.attention_mask[tokens.offsets[..., 1] > tokens.offsets[..., 0]] = usable
    embedded = embed(model.base_model, tokens, layer=layer, last=False)
    stops = np.cumsum(token_lengths[pieces])
    starts = stops - token_lengths[pieces]
    pooler = IntervalPooler(0)
    pooler.add(starts[usable], stops[usable], embedded.inner[usable])
    beats = slice(data.beats[record], data.beats[record + 1])
    pooled = pooler.mean(data.starts[beats], data.stops[beats])
    return pooled.reshape(pooled.shape[0], -1)


def _centred(embeddings: Floats) -> Floats:
    """Return the difference of each beat from the record's usual one: a person's own shape is no class."""
    return np.asarray(embeddings - np.median(embeddings, axis=0), dtype=np.float32)


def _standardised(features: Floats, *, fitted_on: npt.NDArray[np.bool_]) -> torch.Tensor:
    known = features[fitted_on].astype(np.float64)
    return torch.from_numpy((features - known.mean(axis=0)) / (known.std(axis=0) + 1e-6))


def _principal_components(features: Floats, *, fitted_on: npt.NDArray[np.bool_]) -> torch.Tensor:
    """Project standardised features on the directions in which those of the fitted beats vary most."""
    standardised = _standardised(features, fitted_on=fitted_on)
    known = standardised[torch.from_numpy(fitted_on)]
    directions: torch.Tensor = torch.linalg.eigh(known.T @ known).eigenvectors[:, -_N_COMPONENTS:]
    return standardised @ directions


def _classify(features: torch.Tensor, labels: npt.NDArray[np.int64], wanted: torch.Tensor) -> npt.NDArray[np.float64]:
    """Fit weighted logistic regression, and return the log-probabilities of each wanted beat, shape (n_wanted, 5)."""
    n_of_class = np.bincount(labels, minlength=len(AamiClass))
    # A handful of beats with all the weight would be learnt by heart.
    weights = torch.from_numpy((n_of_class.max() / np.maximum(n_of_class, 20)) ** _CLASS_BALANCE)
    targets = torch.from_numpy(labels)
    coefficients = torch.zeros(features.shape[1], len(AamiClass), dtype=torch.float64, requires_grad=True)
    offset = torch.zeros(len(AamiClass), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([coefficients, offset], max_iter=_MAX_ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        losses = torch.nn.functional.cross_entropy(features @ coefficients + offset, targets, reduction="none")
        total: torch.Tensor = (weights[targets] * losses).sum() + 0.5 * _PENALTY * (coefficients**2).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        return np.asarray(torch.log_softmax(wanted @ coefficients + offset, dim=1).numpy())
