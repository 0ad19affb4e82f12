"""The model card of a bundle, written from its manifest: no number in it is typed by hand."""

from typing import Any

# Lines of a Markdown table cannot be broken.
# ruff: noqa: E501
_TEMPLATE = """\
---
license: apache-2.0
library_name: transformers
tags: [ecg, electrocardiogram, heartbert, biosignals]
pipeline_tag: feature-extraction
---

# {name} {version}

A masked-language encoder of electrocardiograms written as text, after HeartBERT (arXiv 2411.11896), with the
{parts}.

**Research software, not a medical device.** It must not be used to diagnose, treat or monitor a person.

## How to use it

`heartbert.load(folder)` does everything. With transformers alone, a window with more tokens than the model has positions must
continue in further rows:

```python
texts = HeartbertFeatureExtractor.from_pretrained(folder)(lead_mv, sampling_rate=250.0)["text"]
tokenizer = AutoTokenizer.from_pretrained(folder)
rows = tokenizer(texts, truncation=True, return_overflowing_tokens=True, padding=True, return_tensors="pt")
hidden = AutoModel.from_pretrained(folder)(rows["input_ids"], rows["attention_mask"]).last_hidden_state
```

`AutoModel` reports the masked-language head as unexpected; `AutoModelForMaskedLM` uses it.

## What is in the folder

| file | what it is |
|---|---|
| `preprocessor_config.json` | filter, scaling rule, Lloyd-Max codebook of {n_levels} levels, window length |
| `tokenizer.json` | byte-pair encoding, {n_tokens} tokens, for `AutoTokenizer` |
| `config.json`, `model.safetensors` | {family} encoder, {n_layers} layers x {hidden_size}, {n_parameters:.1f} million parameters, bfloat16, for `AutoModel` |
{head_row}| `manifest.json` | settings, records, versions, SHA-256 of every file |

## Training data

{corpus_samples:.0f} million samples at 360 Hz ({corpus_hours:.0f} lead-hours) from {corpus_records} recordings, as {corpus_tokens:.1f}
million tokens. {databases}; the manifest lists what was excluded
({n_excluded} records: test data) and held out for validation ({n_held_out}: {held_out}).{shipping}

## Pre-training

Masked-language modelling, {steps} steps{steps_done}, {tokens_seen:.1f} million tokens, {hours:.2f} hours on {device}. {masked_share:.0%} of the tokens
hidden {masked_how}, {random_share:.0%} one by one. Loss after these steps: {training_loss} nats a hidden token on training
leads, {validation_loss} on held-out leads.{probe}
{baselines}{head_section}{sleep_section}{task_section}
## Limits

- Trained on few recordings for a short time: a start, not the last word.
- Amplitude is read relative to the recording; a change of gain between recordings does not matter, absolute voltage is lost.
- Filtered to {low_hz:g}-{high_hz:g} Hz: pacing spikes and late potentials are lost.
- One lead at a time.
- Where MIT-BIH record 201 is in training and 202 in test, as in the usual split, one man is on both sides.
"""

_BASELINES = """
| predicts the same hidden tokens of held-out leads | nats a hidden token |
|---|---|
| this encoder | {validation_loss} |
| counts of single tokens | {unigram} |
| counts after the previous token | {bigram} |
| counts between the previous and the next token | {trigram} |

Counts are of {n_counted:.1f} million training tokens; neighbours that are hidden from the encoder are hidden from them too.
"""

# What of a head was chosen on the records that it is scored on.
_CHOSEN_BY_SCORE = ", but on which the training epoch was chosen: they are optimistic"
_CHOSEN_BEFORE = ", and by which nothing was chosen in training but the temperature of its probabilities"

_HEAD_SECTION = """
## Heartbeat head

{kind}; {n_head_parameters} trained parameters.
Trained on MIT-BIH records {trained_on}. Scores below are on records {validated_on}, which the
encoder never saw{chosen}; they are not the
DS2 test set. Beats placed by {placed_by}; missed and false beats count as errors.

| | {what} | lowest | highest |
|---|---|---|---|
{rows}

The classes are those of ANSI/AAMI EC57; Q (paced, unclassifiable) has too few training beats to be found.
"""

_SLEEP_SECTION = """
## Sleep head

{n_networks} BiLSTM over the 30-s epochs of a night, {n_parameters:,} trained parameters; probabilities are averaged. It reads {inputs}.
Trained on {n_epochs:,} epochs ({n_with_tokens:,} of them with tokens) of {n_records} recordings of {database}, which show {n_persons}
persons: {who}. Temperatures were fitted on persons that were held out in turn. All persons of the database were trained on, so
that this head itself cannot be tested there.

{agreement}
"""

_NOT_MEASURED = "How far its hypnograms agree with a person: **not measured**."

_AGREEMENT = """\
Agreement with the person who scored, of heads trained in the same way with persons left out: {n_persons} persons, {n_epochs:,} epochs of
{database}{encoder}, 95 % intervals over persons.

| classes | accuracy | kappa | macro-F1 |
|---|---|---|---|
{rows}"""

_SLEEP_INPUTS = {
    "beats": "heart-rate variability",
    "tokens": "embeddings of the tokens of each epoch",
    "both": "heart-rate variability and embeddings of the tokens of each epoch",
}
_SLEEP_CLASSES = {"stages3": "W, NREM, R", "stages4": "W, light, deep, R", "stages5": "W, N1, N2, N3, R"}


def write_card(manifest: dict[str, Any]) -> str:
    """Write the model card of a bundle in Markdown.

    Parameters
    ----------
    manifest : dict
        As `pretrain` and `train_heartbeats` fill it.
    """
    config, corpus, run = manifest["config"], manifest["corpus"], manifest["pretraining"]
    head, sleep = manifest.get("heartbeats"), manifest.get("sleep")
    heads = ["a head that classifies heartbeats"] if head else []
    heads += ["a head that stages sleep"] if sleep else []
    parts = ", ".join(["preprocessing that belongs to it", *heads[:-1]])
    rows = ["| `heartbeats.safetensors`, `heartbeats.json` | the heartbeat head |\n"] if head else []
    rows += ["| `sleep.safetensors`, `sleep.json` | the sleep head |\n"] if sleep else []
    rows += [
        f"| `task-{task}.safetensors`, `task-{task}.json` | a head for the task {task} |\n"
        for task in manifest.get("tasks", {})
    ]
    encoder, signal, masking = config["encoder"], config["signal"], config["masking"]
    return _TEMPLATE.format(
        name=manifest["name"],
        version=manifest["version"],
        parts=" and ".join([parts, *heads[-1:]]),
        head_row="".join(rows),
        head_section=_head_section(head) if head else "",
        sleep_section=_sleep_section(sleep) if sleep else "",
        task_section=_task_section(manifest.get("tasks", {})),
        n_levels=config["codebook"]["n_levels"],
        n_tokens=config["tokenizer"]["n_tokens"],
        family={"roberta": "RoBERTa", "modernbert": "ModernBERT"}[encoder["family"]],
        n_layers=encoder["n_layers"],
        hidden_size=encoder["hidden_size"],
        n_parameters=run["n_parameters"] / 1e6,
        corpus_samples=corpus["n_samples"] / 1e6,
        corpus_hours=corpus["n_samples"] / 360 / 3600,
        corpus_records=corpus["n_records"],
        corpus_tokens=corpus["n_tokens"] / 1e6,
        databases=_databases(corpus["databases"]),
        n_excluded=len(corpus["excluded_recordings"]),
        n_held_out=len(corpus["held_out"]),
        held_out=", ".join(corpus["held_out"]) or "none",
        shipping=_shipping(corpus),
        steps=run["step"],
        steps_done=f" (the best of {run['steps_done']})" if run["steps_done"] != run["step"] else "",
        tokens_seen=run["tokens"] / 1e6,
        hours=run["seconds"] / 3600,
        device=_device(run),
        training_loss=run["training_loss"],
        validation_loss=run["validation_loss"],
        masked_share=masking["masked_share"],
        masked_how=_masked_how(masking),
        random_share=masking["random_share"],
        probe=_probe(run.get("probe_average_precision")),
        baselines=_baselines(run),
        low_hz=signal["low_hz"],
        high_hz=signal["high_hz"],
    )


def _databases(databases: list[dict[str, Any]]) -> str:
    told = [
        f"{one['name']} ({one['licence'] or 'licence not known'}, {one['n_recordings']} recordings)"
        for one in databases
    ]
    return f"Databases: {', '.join(told)}"


def _shipping(corpus: dict[str, Any]) -> str:
    if corpus["weights_may_ship"]:
        return " By the licences of these databases the weights may be passed on."
    if all(database["weights_may_ship"] is not False for database in corpus["databases"]):
        return (
            " **Whether the weights may be passed on is not known: nothing is known of the licence of at least one of "
            "these databases.**"
        )
    return " **By the licence of at least one of these databases the weights may not be passed on.**"


def _device(run: dict[str, Any]) -> str:
    n_processes = run["n_processes"]
    return f"{n_processes} processes, each with {run['device']}" if n_processes > 1 else str(run["device"])


def _masked_how(masking: dict[str, Any]) -> str:
    if masking["mask"] == "beat":
        return "in whole heartbeats"
    if masking["mask"] == "token":
        return "as single tokens"
    return f"in spans of {masking['shortest_span_ms']:.0f} to {masking['longest_span_ms']:.0f} ms"


def _probe(score: float | None) -> str:
    if score is None:
        return ""
    return (
        " A logistic regression on components of its frozen embeddings of held-out training subjects' beats, which "
        f"compares checkpoints, has a mean average precision of {score:.3f} for S and V."
    )


def _baselines(run: dict[str, Any]) -> str:
    counted = run["baselines"]
    if not counted:
        return ""
    return _BASELINES.format(
        **{**counted, "n_counted": counted["n_counted"] / 1e6}, validation_loss=run["validation_loss"]
    )


def _head_section(head: dict[str, Any]) -> str:
    by_seed = head["scores_by_seed"]
    rows = []
    for name, value in head["scores"].items():
        values = [scores[name] for scores in by_seed]
        rows.append(f"| {name} | {value:.3f} | {min(values):.3f} | {max(values):.3f} |")
    return _HEAD_SECTION.format(
        kind=_kind(head),
        placed_by="the reference annotation" if head.get("beats") == "reference" else "our own detector",
        what=f"median of {len(by_seed)} seeds (this head)" if len(by_seed) > 1 else "this head, one seed",
        n_head_parameters=head["n_parameters"],
        trained_on=", ".join(head["trained_on"]),
        validated_on=", ".join(head["validated_on"]),
        chosen=_CHOSEN_BY_SCORE if head["curve"] else _CHOSEN_BEFORE,
        rows="\n".join(rows),
    )


def _kind(head: dict[str, Any]) -> str:
    """Say what the head reads, and what was trained with it."""
    if head.get("reads") == "windows":
        frozen = head["window"]["frozen_layers"]
        return (
            "BiLSTM over the tokens of 3 s around each beat, trained with the encoder, "
            f"of which {frozen} layers were frozen"
        )
    how = "encoder, trained on with the head," if head.get("tuning") else "frozen encoder"
    where = f"on layer {head['layer']} of the {how}"
    where += " and in its waveform" if head["compares"] == "encoder-and-waveform" else ""
    return (
        f"BiLSTM over the sequence of beats. It reads how unlike the usual beat each wave is {where}, and RR intervals"
    )


def _task_section(tasks: dict[str, Any]) -> str:
    """Say one line for each task that was added: its first score."""
    lines = []
    for name, task in tasks.items():
        score_name, score = next(iter(task["scores"].items()))
        lines.append(
            f"\nTask `{name}` ({task['kind']}, unit {task['unit']}): {score_name} {score['mean']:.3f} "
            f"[{score['low']:.3f}, {score['high']:.3f}] on {task['n_persons'][task['scored_on']]} persons "
            f"({task['scored_on']}).\n"
        )
    return "".join(lines)


def _sleep_section(sleep: dict[str, Any]) -> str:
    origin = sleep["origin"]
    return _SLEEP_SECTION.format(
        n_networks=sleep["settings"]["n_networks"],
        n_parameters=sleep["n_parameters"],
        inputs=_SLEEP_INPUTS[sleep["inputs"]],
        n_epochs=sleep["n_epochs"],
        n_with_tokens=sleep["n_epochs_with_tokens"],
        n_records=len(sleep["trained_on"]),
        database=origin["database"],
        n_persons=origin["n_persons"],
        who=origin["who"],
        agreement=_agreement(origin["agreement"]) if origin["agreement"] else _NOT_MEASURED,
    )


def _agreement(told: dict[str, Any]) -> str:
    rows = []
    for of, scores in told["scores"].items():
        cells = (f"{one['mean']:.3f} ({one['low']:.3f}-{one['high']:.3f})" for one in scores.values())
        rows.append(f"| {_SLEEP_CLASSES[of]} | {' | '.join(cells)} |")
    encoder = f", with the encoder of {told['encoder']}" if told["encoder"] else ""
    return _AGREEMENT.format(**{**told, "encoder": encoder, "rows": "\n".join(rows)})
