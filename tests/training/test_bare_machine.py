"""What a machine needs that only trains, or that only loads a bundle: as little as promised."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

# What `training.pretraining` says that it needs; tokenizers and safetensors come with transformers.
NEEDED = {"numpy", "safetensors", "torch", "transformers"}
# Used by benchmarks and tests alone.
NEVER_NEEDED = {"sklearn", "accelerate"}


def run_without(libraries: set[str], script: str, *arguments: object) -> str:
    """Run a script in a new interpreter in which some libraries are not installed; returns what it prints."""
    absent = f"import sys; sys.modules.update(dict.fromkeys({sorted(libraries)!r}))\n"
    command = [sys.executable, "-c", absent + script, *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def other_dependencies() -> set[str]:
    """Return what is installed with heartbert and should not be needed; each is imported by its own name."""
    required = [line for line in metadata.requires("heartbert") or [] if "extra ==" not in line]
    names = {re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in required}
    assert names >= NEEDED
    return names - NEEDED


def test_two_steps_are_trained_with_torch_and_transformers_alone(tiny_corpus: Path, tmp_path: Path) -> None:
    """A machine with an accelerator has no readers; the run's picture is left out there, its log is not."""
    script = (
        "from dataclasses import replace; from pathlib import Path\n"
        "from heartbert.training.config import read_config; from heartbert.training.pretraining import Pretraining\n"
        "tiny = read_config('tiny')\n"
        "run = Pretraining(Path(sys.argv[1]), Path(sys.argv[2]),\n"
        "                  replace(tiny, pretraining=replace(tiny.pretraining, n_steps=2)))\n"
        "run.run()\n"
        "print(run.step, run.finished)\n"
    )

    printed = run_without(other_dependencies() | NEVER_NEEDED, script, tiny_corpus, tmp_path / "run")

    assert printed == "2 True\n"
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "baselines.json", "best-00000002", "checkpoint-00000002", "log.jsonl",
    }  # fmt: skip


def test_a_bundle_loads_where_heartbert_is_not_installed(tiny_bundle: Path) -> None:
    """Whoever has transformers has everything: no code of ours may be asked for."""
    script = (
        "import torch\n"
        "from transformers import AutoModel, AutoTokenizer\n"
        "tokenizer, model = AutoTokenizer.from_pretrained(sys.argv[1]), AutoModel.from_pretrained(sys.argv[1]).eval()\n"
        "letters = [token for token in tokenizer.get_vocab() if len(token) == 1]\n"
        "rows = tokenizer([''.join(sorted(letters)), letters[0]], padding=True, return_tensors='pt')\n"
        "with torch.no_grad():\n"
        "    hidden = model(**rows).last_hidden_state\n"
        "same_shape = tuple(hidden.shape) == (*rows['input_ids'].shape, model.config.hidden_size)\n"
        "print(same_shape, bool(hidden.isfinite().all()), any(name.startswith('heartbert.') for name in sys.modules))\n"
    )

    printed = run_without(other_dependencies() | NEVER_NEEDED | {"heartbert"}, script, tiny_bundle)

    assert printed == "True True False\n"
