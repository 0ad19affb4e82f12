"""A generated folder in the layout of PTB-XL: leads whose shape tells the superclass, folds, patients."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from heartbert.protocols.diagnosis_data import LEADS
from tests.synthetic import synthetic_ecg

STATEMENTS = (
    ",description,diagnostic,diagnostic_class\nNORM,,1.0,NORM\nIMI,,1.0,MI\nNDT,,1.0,STTC\nCLBBB,,1.0,CD\n"
    "LVH,,1.0,HYP\nSR,,,\n"
)
# Of the recordings, by turns.
_CODES = (("NORM", "SR"), ("IMI",), ("NDT", "CLBBB"), ("LVH", "IMI"), ("CLBBB",), ("NORM", "LVH"))
_GAINS = np.array([0.6, 1.0, 0.5, -0.8, 0.3, 0.7, -0.4, 0.5, 0.8, 1.2, 1.1, 0.9])


def write_ptb_xl(
    folder: Path, *, folds: Iterable[int] = range(1, 11), n_in_fold: int = 6, unit: str = "mV", fs: int = 100
) -> Path:
    """Write recordings of ten seconds, the first two of each fold of one patient; returns the folder."""
    (folder / "records100").mkdir(parents=True)
    rows = ["ecg_id,patient_id,scp_codes,strat_fold"]
    number = 0
    for fold in folds:
        for place in range(n_in_fold):
            number += 1
            codes = _CODES[(place + fold) % len(_CODES)]
            _write_record(folder / "records100", f"{number:05d}_lr", codes, seed=number, unit=unit, fs=fs)
            statements = "{" + ", ".join(f"'{code}': 100.0" for code in codes) + "}"
            rows.append(f'{number},{100 * fold + max(place, 1)}.0,"{statements}",{fold}')
    (folder / "ptbxl_database.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "scp_statements.csv").write_text(STATEMENTS, encoding="utf-8")
    return folder


def _write_record(folder: Path, name: str, codes: Iterable[str], *, seed: int, unit: str, fs: int) -> None:
    signal, _, _ = synthetic_ecg(10.0, fs, seed=seed, ventricular_share=float("CLBBB" in codes))
    gains = _GAINS * (2.0 if "LVH" in codes else 1.0)
    if "IMI" in codes:
        gains = gains * np.where(np.isin(LEADS, ("II", "III", "aVF")), -1.0, 1.0)
    leads = np.outer(signal, gains)
    if "NDT" in codes:
        leads = np.maximum(leads, -0.05)
    names = [lead.upper() for lead in LEADS]
    (folder / f"{name}.dat").write_bytes(np.round(leads * 1000).astype("<i2").tobytes())
    lines = [f"{name} {len(names)} {fs} {len(leads)}", *(f"{name}.dat 16 1000(0)/{unit} 16 0 0 0 0 {x}" for x in names)]
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n", encoding="utf-8")
