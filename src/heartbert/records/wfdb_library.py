"""Stage 1 of 7: record file -> Record. The one place where `wfdb` is imported."""

import warnings

with warnings.catch_warnings():
    # wfdb 4.3 builds its tables with an argument that pandas 3.1 deprecates; that is no concern of our users.
    warnings.filterwarnings("ignore", message="The inplace keyword")
    import wfdb
    from wfdb.io.annotation import ann_labels

__all__ = ["ann_labels", "wfdb"]
