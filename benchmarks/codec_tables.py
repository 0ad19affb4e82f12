"""Tables of the codec and of its speed, from stored results."""

from collections.abc import Mapping
from typing import Any


def codec_table(result: Mapping[str, Any], origin: str) -> str:
    """Return what quantisers lose on the published path, and on the shipped one."""
    database, shipped = result["measured_on"]["database"], result["settings"]["shipped_path"]
    paths = {result["measured_on"]["published_path"]: "as published", shipped: "as shipped"}
    rows = {
        (row["path"], row["quantiser"]): row
        for row in result["distortion"]
        if row["database"] == database and row["path"] in paths
    }
    lines = [
        "| quantiser of 100 levels | " + " | ".join(f"{path} ({name})" for path, name in paths.items()) + " |",
        "|---|" + "---|" * len(paths),
    ]
    for quantiser in dict.fromkeys(quantiser for _, quantiser in rows):
        cells = [_decibels(rows[path, quantiser]) if (path, quantiser) in rows else "" for path in paths]
        lines.append(f"| {quantiser} | " + " | ".join(cells) + " |")
    n_hours = result["measured_on"]["n_samples"] / 360 / 3600
    note = (
        f"{result['measured_on']['n_records']} recordings of {database}, {n_hours:.1f} lead-hours. dB of all samples "
        f"together; in brackets of single leads, median and 5th percentile. {origin}"
    )
    return "\n".join([*lines, "", note])


def _decibels(row: dict[str, float]) -> str:
    return f"{row['pooled_snr_db']:.2f} ({row['lead_snr_db_median']:.1f}, {row['lead_snr_db_p5']:.1f})"


def scalings_table(result: Mapping[str, Any], origin: str) -> str:
    """Return what scalings lose, single leads, with the optimal quantiser."""
    names = [one["database"] for one in result["databases"]]
    rows = {(row["path"], row["database"]): row for row in result["distortion"] if row["quantiser"] == "lloyd-max"}
    drift = {(row["path"], row["database"]): row for row in result["drift"] if row["quantiser"] == "lloyd-max"}
    lines = ["| scaling, filter | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for path in dict.fromkeys(path for path, _ in rows):
        cells = []
        for name in names:
            row, lost = rows.get((path, name)), drift.get((path, name))
            cell = f"{row['lead_snr_db_median']:.1f}, {row['lead_snr_db_p5']:.1f}" if row else "-"
            cells.append(cell + (f"; {lost['loss_db']:.2f}" if lost and name != names[0] else ""))
        lines.append(f"| {path} | " + " | ".join(cells) + " |")
    note = (
        f"SNR of single leads in dB, median and 5th percentile; then what a codebook fitted on {names[0]} loses "
        f"against one fitted there. Clipping counts. {origin}"
    )
    return "\n".join([*lines, "", note])


def vocabularies_table(result: Mapping[str, Any], origin: str) -> str:
    """Return what vocabularies of some sizes cut the text of the first database into."""
    database = result["measured_on"]["database"]
    lines = [
        "| tokenizer | samples a token | tokens a second of ECG | used fewer than 100 times | bits a sample |",
        "|---|---|---|---|---|",
    ]
    for row in result["tokens"]:
        if row["database"] != database:
            continue
        lines.append(
            f"| {row['coder']}, {row['vocabulary']:,} | {row['samples_per_token']:.2f} "
            f"| {row['tokens_per_second']:.1f} | {row['rare_share']:.1%} | {row['bits_per_sample']:.2f} |"
        )
    return "\n".join([*lines, "", f"On {database}. {origin}"])


def speed_table(result: Mapping[str, Any], origin: str) -> str:
    """Return the time from a file to token ids in three ways."""
    lines = ["| vocabulary | as published | usual libraries | heartbert | ratios |", "|---|---|---|---|---|"]
    for row in (result["file_to_ids"], result["file_to_ids"]["vocabulary_52000"]):
        n_tokens = row.get("n_tokens", 52_000)
        lines.append(
            f"| {n_tokens:,} | {row['published_s']:.2f} s | {row['library_s']:.3f} s | {row['ours_s']:.3f} s "
            f"| {row['ratio_to_published']:.0f}, {row['ratio_to_library']:.1f} |"
        )
    whole = result["all_of_mitdb"]
    note = (
        f"Record {result['record']} of {result['database']}, both leads, {result['file_to_ids']['n_samples']:,} "
        f"samples; processor time on one core, medians. All {whole['n_records']} records take {whole['seconds']:.1f} s "
        f"in {whole['n_processes']} processes, starting them included. {origin}"
    )
    return "\n".join([*lines, "", note])


def encoding_table(result: Mapping[str, Any], origin: str) -> str:
    """Return the speed of encoding and of training a tokenizer."""
    lines = ["| vocabulary | `encode_batch_fast` | heartbert, from levels | ratio |", "|---|---|---|---|"]
    for n_tokens, row in result["encode"]["by_vocabulary"].items():
        library = row["n_samples"] / row["encode_batch_fast_s"] / 1e6
        lines.append(f"| {int(n_tokens):,} | {library:.1f} | {row['samples_per_s'] / 1e6:.1f} | {row['ratio']:.1f} |")
    train = result["train_tokenizer"]
    compared = train["compared"]
    ours, library = compared["ours"], compared["library"]
    note = (
        f"Million samples a second of one core. Learning {train['n_tokens']:,} tokens from "
        f"{train['n_samples'] / 1e6:.0f} million samples takes {train['seconds']:.1f} s and {train['peak_mb']:.0f} MB; "
        f"{compared['n_tokens']:,} tokens from {compared['n_samples'] / 1e6:.0f} million {ours['cpu_seconds']:.1f} s "
        f"where the trainer of tokenizers takes {library['cpu_seconds']:.1f} s of processor time. {origin}"
    )
    return "\n".join([*lines, "", note])
