"""Results that would replace inputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.overwriting import refuse_inputs


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.gpkg"
    path.write_text("")
    return path


@pytest.mark.parametrize(
    "spelling", ["{}", "{}|layername=b|subset=c > 1", "{folder}/../{last}/a.gpkg"]
)
def test_an_input_is_never_replaced(source: Path, spelling: str) -> None:
    named = spelling.format(source, folder=source.parent, last=source.parent.name)
    for outputs, inputs in (([source], [named]), (["b.tif", named], ["no file", source])):
        with pytest.raises(InputError, match=r"'a\.gpkg.*' is an input.*Choose another file"):
            refuse_inputs(outputs, inputs)


def test_a_link_is_what_it_leads_to(source: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.gpkg"
    try:
        link.symlink_to(source)
    except OSError:
        pytest.skip("This system makes no links.")
    with pytest.raises(InputError, match=r"'a\.gpkg' is an input"):
        refuse_inputs([source], [link])


def test_two_results_need_two_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'a\.tif' is named for two results"):
        refuse_inputs([tmp_path / "a.tif", "", tmp_path / "b" / ".." / "a.tif"], [])


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """A report in its place failed after all the work, with the name of a temporary file."""
    for text in (tmp_path, f"{tmp_path}/"):
        with pytest.raises(InputError, match=r"is a folder\. Give the name of a file"):
            refuse_inputs([text], [])
    refuse_inputs([tmp_path / "a.html", "x" * 5000, "a\0b"], [])


def test_the_rest_is_let_through(source: Path, tmp_path: Path) -> None:
    odd = ["", "{}", "x" * 5000, "a\0b", "wms://type=xyz&url=https://a.b/{z}/{x}/{y}.png"]
    refuse_inputs([tmp_path / "b.gpkg", "", ""], [source, *odd])
