"""The home is private, and nobody else's folder becomes one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pknd.home import HomeUnusable, home_folder, open_home


def test_a_new_home_is_private(tmp_path: Path) -> None:
    home = open_home(tmp_path / "deep" / "home")
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("content", [(), ("config.toml",), ("pkn.db", "letters")])
def test_an_empty_folder_and_a_home_are_tightened(tmp_path: Path, content: tuple[str, ...]) -> None:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    for name in content:
        (folder / name).touch()
    assert stat.S_IMODE(open_home(folder).folder.stat().st_mode) == 0o700


def test_a_folder_with_other_things_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    folder.mkdir(mode=0o755)
    (folder / "to-bea.txt").touch()
    with pytest.raises(HomeUnusable, match="other things"):
        open_home(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_a_file_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeUnusable, match="not a folder"):
        open_home(tmp_path / "file")
    with pytest.raises(HomeUnusable, match="cannot be used"):
        open_home(tmp_path / "file" / "home")


@pytest.mark.needs("root")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    os.chown(tmp_path / "home", 65_534, 65_534)
    with pytest.raises(HomeUnusable, match="another user"):
        open_home(tmp_path / "home")


def test_which_home_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setenv("PKN_HOME", str(tmp_path / "link"))
    assert home_folder(None) == tmp_path.resolve() / "real"
    assert home_folder("/other") == Path("/other")
    monkeypatch.delenv("PKN_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert home_folder(None).name == "pkn"
