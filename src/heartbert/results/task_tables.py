"""What a person reads: the predictions of a task as a table for other programs."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from heartbert.errors import ConfigError
from heartbert.files import replacing_file
from heartbert.predictions.tasks import TaskPredictions

_WRITERS: dict[str, Callable[["pd.DataFrame", Path], None]] = {
    ".csv": lambda frame, path: frame.to_csv(path, index=False, lineterminator="\n"),
    ".parquet": lambda frame, path: frame.to_parquet(path, index=False),
    ".json": lambda frame, path: frame.to_json(path, orient="records", indent=1, force_ascii=False),
}
# Digits behind the point: of times in seconds, and of probabilities and quality.
_DIGITS = 4


def check_suffix(path: Path) -> None:
    """Refuse a file that no table can be written to.

    Raises
    ------
    ConfigError
    """
    if path.suffix.lower() not in _WRITERS:
        raise ConfigError(f"'{path.name}' ends in '{path.suffix}'; predictions are written as {', '.join(_WRITERS)}.")


def write_predictions(predictions: Sequence[tuple[str, TaskPredictions]], path: Path) -> int:
    """Write one row a unit: record, start_s, stop_s or sample, label, a column of each class or value, quality.

    Parameters
    ----------
    predictions : sequence of (str, TaskPredictions)
        Each with the path of its recording.
    path : Path
        Ends in .csv, .parquet or .json. In CSV and JSON probabilities are rounded to four digits, a predicted number is
        not. What cannot be scored is empty, or null.

    Returns
    -------
    n_rows : int
    """
    check_suffix(path)
    frame = pd.concat([_frame(name, one) for name, one in predictions], ignore_index=True)
    if path.suffix.lower() != ".parquet":
        numbers = [name for name in frame.select_dtypes("number").columns if name != "value"]
        frame[numbers] = frame[numbers].round(_DIGITS)
    with replacing_file(path) as temporary:
        _WRITERS[path.suffix.lower()](frame, temporary)
    return len(frame)


def _frame(name: str, one: TaskPredictions) -> "pd.DataFrame":
    places: dict[str, object] = {"start_s": one.start_s}
    places |= {"stop_s": one.stop_s} if one.samples is None else {"sample": one.samples}
    if one.kind == "number":
        values: dict[str, object] = {"value": one.values[:, 0].astype(np.float64)}
    else:
        columns = {f"p_{known}": one.values[:, index].astype(np.float64) for index, known in enumerate(one.classes)}
        values = {"label": one.labels, **columns}
    return pd.DataFrame({"record": name, **places, **values, "quality": one.quality.astype(np.float64)})
