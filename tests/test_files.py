"""A written file or folder is complete or absent."""

import os
from pathlib import Path

import pytest

from heartbert.files import replacing_file, replacing_folder, sha256_of


def _write_half(path: Path) -> None:
    path.write_text("half")
    raise RuntimeError("disk full")


def test_replacing_file_writes_the_target_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """Half-written leftovers would be taken for results."""
    target = tmp_path / "new" / "beats.csv"

    with replacing_file(target) as temporary:
        temporary.write_text("done")

    assert temporary.suffix == ".csv"
    assert target.read_text() == "done"
    assert [path.name for path in target.parent.iterdir()] == ["beats.csv"]


def test_replacing_file_keeps_the_old_file_on_failure(tmp_path: Path) -> None:
    """A crash must not cost the last good result."""
    target = tmp_path / "beats.csv"
    target.write_text("old")

    with pytest.raises(RuntimeError, match="disk full"), replacing_file(target) as temporary:
        _write_half(temporary)

    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_replacing_file_makes_the_file_readable_for_all(tmp_path: Path) -> None:
    """Temporary files are private, results are not."""
    target = tmp_path / "beats.csv"

    with replacing_file(target) as temporary:
        temporary.write_text("done")

    assert target.stat().st_mode & 0o777 == 0o644


def test_replacing_folder_writes_the_target_and_drops_the_old_content(tmp_path: Path) -> None:
    """Files of an older bundle must not survive in a newer one."""
    target = tmp_path / "bundle"
    target.mkdir()
    (target / "stale.json").write_text("old")

    with replacing_folder(target) as temporary:
        (temporary / "new.json").write_text("new")
        (temporary / "part").mkdir()

    assert sorted(path.name for path in target.iterdir()) == ["new.json", "part"]
    assert list(tmp_path.iterdir()) == [target]


def test_replacing_folder_keeps_the_old_folder_on_failure(tmp_path: Path) -> None:
    """A crash must not cost the last good bundle."""
    target = tmp_path / "bundle"
    target.mkdir()
    (target / "old.json").write_text("old")

    with pytest.raises(RuntimeError, match="disk full"), replacing_folder(target) as temporary:
        _write_half(temporary / "new.json")

    assert (target / "old.json").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_replacing_folder_restores_the_old_folder_when_the_last_step_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two renames there is no folder at all; a failure there must bring the old one back."""
    target = tmp_path / "bundle"
    target.mkdir()
    (target / "old.json").write_text("old")
    rename = Path.rename

    def fail_once(path: Path, to: Path) -> Path:
        if to == target and not path.name.endswith("-old"):
            raise OSError("no space")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", fail_once)

    with pytest.raises(OSError, match="no space"), replacing_folder(target) as temporary:
        (temporary / "new.json").write_text("new")

    assert (target / "old.json").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_replacing_folder_makes_its_content_readable_for_all(tmp_path: Path) -> None:
    """Bundles and corpora are shared between accounts."""
    target = tmp_path / "bundle"

    with replacing_folder(target) as temporary:
        (temporary / "part").mkdir(mode=0o700)
        os.close(os.open(temporary / "weights", os.O_CREAT, 0o600))

    modes = {path.name: path.stat().st_mode & 0o777 for path in (target, *target.iterdir())}
    assert modes == {"bundle": 0o755, "part": 0o755, "weights": 0o644}


def test_sha256_of_a_file_is_the_published_test_value(tmp_path: Path) -> None:
    """Downloads and bundles are checked against sums that other tools made."""
    path = tmp_path / "abc"
    path.write_bytes(b"abc")

    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
