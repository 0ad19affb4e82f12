"""Score heartbeats by one lead, by the other, and by both fused, with the heartbeat head of a bundle.

    python benchmarks/late_fusion.py MITDB_FOLDER -o benchmarks/results/late-fusion.json

The recordings are the validation records inside DS1, two leads each; beats are placed by the reference. The head was
trained on the lead that is read by default, and its temperature fitted on these records. DS2 is not read.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heartbert.evaluation.ec57_files import read_marks
from heartbert.evaluation.leakage import Examples
from heartbert.evaluation.splits import MITDB_DS1_VALIDATION
from heartbert.files import replacing_file
from heartbert.lead_beats import Leads
from heartbert.pipeline import HeartBert
from heartbert.protocols.beat_records import BeatRecord
from heartbert.protocols.beat_scoring import score_records, scores_by_record, summarise_runs
from heartbert.records import read_record
from heartbert.training.heartbeats import label_beats

sys.path.insert(0, str(Path(__file__).parent))
from provenance import provenance

DEFAULT, OTHER, BOTH = "the lead that is read by default", "the other lead", "both leads"


def main() -> None:
    """Parse the command line, classify, score, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bundle", type=Path, default=Path("src/heartbert/bundles/small"))
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    hb = HeartBert.load(arguments.bundle)
    result: dict[str, Any] = {
        **provenance([arguments.folder]),
        "bundle": hb.bundle.name,
        "records": list(MITDB_DS1_VALIDATION),
        "rows": {},
    }
    labelled = [_labelled(hb, arguments.folder / f"{name}.hea", name) for name in MITDB_DS1_VALIDATION]
    for row in (DEFAULT, OTHER, BOTH):
        found = [_classify(hb, arguments.folder / f"{one.beats.record}.hea", one, row) for one in labelled]
        run = score_records(labelled, found)
        result["rows"][row] = {**summarise_runs([run]), "records": scores_by_record([run])}
        print(f"{row}: macro-F1 {result['rows'][row]['macro_f1']['mean']:.3f}", flush=True)
    with replacing_file(arguments.output) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _labelled(hb: HeartBert, path: Path, name: str) -> BeatRecord:
    beats, _ = label_beats(hb.bundle.preprocessing, path, beats="reference")
    return BeatRecord(Examples("mitdb", name), beats, {}, read_marks(path, "atr"), read_record(path).lead().duration_s)


def _classify(hb: HeartBert, path: Path, labelled: BeatRecord, row: str) -> npt.NDArray[np.float32]:
    record = read_record(path)  # at 360 Hz, so that samples of the labels are those of the file
    lead, other = record.lead(), next(one for one in record.channels if one.name != record.lead().name)
    leads: Leads = "all" if row == BOTH else "one"
    name = other.name if row == OTHER else lead.name
    return hb.classify_heartbeats(record, lead=name, leads=leads, r_peaks=labelled.beats.r_peaks).probabilities


if __name__ == "__main__":
    main()
