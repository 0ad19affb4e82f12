"""heartbert reads an electrocardiogram as text and gives embeddings and heartbeat classes.

Research software, not a medical device.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from heartbert.errors import HeartbertError

if TYPE_CHECKING:
    from heartbert.pipeline import HeartBert
    from heartbert.records import Record, read_record
    from heartbert.records.demo import demo_record

__version__ = version("heartbert")

# Loaded when first used: the readers take half a second to import, torch and transformers several.
_MODULE_OF = {
    "HeartBert": "heartbert.pipeline",
    "Record": "heartbert.records",
    "demo_record": "heartbert.records.demo",
    "read_record": "heartbert.records",
}

__all__ = ["HeartBert", "HeartbertError", "Record", "__version__", "demo_record", "load", "read_record"]


def load(bundle: str | None = None) -> "HeartBert":
    """Load a bundle: a folder, or by default the weights that ship with heartbert.

    Parameters
    ----------
    bundle : str, optional
        Folder of a bundle.

    Returns
    -------
    hb : HeartBert

    Raises
    ------
    BundleError
        If the folder is no bundle, or one of its files is damaged.
    """
    from heartbert.pipeline import HeartBert

    return HeartBert.load(bundle)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'heartbert' has no attribute '{name}'")
    return getattr(import_module(_MODULE_OF[name]), name)
