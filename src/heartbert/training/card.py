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
preprocessing that belongs to it{head_title}.

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
{baselines}{head_section}
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

_HEAD_SECTION = """
## Heartbeat head

{kind}; {n_head_parameters} trained parameters.
Trained on MIT-BIH records {trained_on}. Scores below are on records {validated_on}, which the
encoder never saw, but on which the training epoch and the settings were chosen: they are optimistic, and they are not the
DS2 test set, which has not been opened. Beats placed by {placed_by}; missed and false beats count as errors.

| | {what} | lowest | highest |
|---|---|---|---|
{rows}

The classes are those of ANSI/AAMI EC57; Q (paced, unclassifiable) has too few training beats to be found.
"""


def write_card(manifest: dict[str, Any]) -> str:
    """Write the model card of a bundle in Markdown.

    Parameters
    ----------
    manifest : dict
        As `pretrain` and `train_heartbeats` fill it.
    """
    config, corpus, run = manifest["config"], manifest["corpus"], manifest["pretraining"]
    head = manifest.get("heartbeats")
    encoder, signal = config["encoder"], config["signal"]
    # Bundles written before the masks had settings of their own hid spans.
    masking = config.get("masking") or {
        "mask": "span",
        "masked_share": config["pretraining"]["span_share"],
        **config["pretraining"],
    }
    return _TEMPLATE.format(
        name=manifest["name"],
        version=manifest["version"],
        head_title=" and a head that classifies heartbeats" if head else "",
        head_row="| `heartbeats.safetensors`, `heartbeats.json` | the heartbeat head |\n" if head else "",
        head_section=_head_section(head) if head else "",
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
        databases=_databases(corpus.get("databases")),
        n_excluded=len(corpus.get("excluded_recordings", corpus["excluded"])),
        n_held_out=len(corpus["held_out"]),
        held_out=", ".join(corpus["held_out"]) or "none",
        shipping=_shipping(corpus),
        steps=run["step"],
        steps_done=f" (the best of {run['steps_done']})" if run.get("steps_done", run["step"]) != run["step"] else "",
        tokens_seen=run["tokens"] / 1e6,
        hours=run["seconds"] / 3600,
        device=run["device"],
        training_loss=run["training_loss"],
        validation_loss=run["validation_loss"],
        masked_share=masking["masked_share"],
        masked_how=_masked_how(masking),
        random_share=masking["random_share"],
        probe=_probe(run.get("probe_macro_f1")),
        baselines=_baselines(run),
        low_hz=signal["low_hz"],
        high_hz=signal["high_hz"],
    )


# What bundles were trained on whose corpus did not tell its databases.
_FIRST_DATABASES = """Records of MIT-BIH Arrhythmia and QT Database (ODC-By 1.0), PTB-XL (CC BY 4.0) and the PhysioNet/CinC
Challenge 2017 (ODC-By 1.0), as far as they were given to the command"""


def _databases(databases: list[dict[str, Any]] | None) -> str:
    if databases is None:
        return _FIRST_DATABASES
    told = [
        f"{one['name']} ({one['licence'] or 'licence not known'}, {one['n_recordings']} recordings)"
        for one in databases
    ]
    return f"Databases: {', '.join(told)}"


def _shipping(corpus: dict[str, Any]) -> str:
    if "weights_may_ship" not in corpus:
        return ""
    if corpus["weights_may_ship"]:
        return " By the licences of these databases the weights may be passed on."
    if all(database["weights_may_ship"] is not False for database in corpus["databases"]):
        return (
            " **Whether the weights may be passed on is not known: nothing is known of the licence of at least one of "
            "these databases.**"
        )
    return " **By the licence of at least one of these databases the weights may not be passed on.**"


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
        " A logistic regression on components of its frozen embeddings of held-out training subjects' beats, by which "
        f"these weights were chosen among those of the run, has a macro-F1 of {score:.3f}; it is optimistic."
    )


def _baselines(run: dict[str, Any]) -> str:
    counted = run.get("baselines")
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
    return f"BiLSTM over the sequence of beats, on layer {head['layer']} of the {how} and RR intervals"
