"""Files that would run code, fill the disk or read elsewhere are refused by a sentence."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from geodl_plugin.core.errors import ModelError
from geodl_plugin.core.inference.foreign.torch_program import _exported, _is_formula
from geodl_plugin.core.packages.archive import peek_definition
from geodl_plugin.core.packages.networks.metadata import interpret
from geodl_plugin.core.packages.networks.torch_archive import read_torch


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


def exported(path: Path, change: dict[str, Any]) -> Path:
    """Write a program of torch.export and change what its files hold."""
    network, example = torch.nn.Conv2d(3, 2, 1), torch.zeros(2, 3, 8, 8)
    axes = {"input": {0: torch.export.Dim("b")}}
    plain = path.with_name("plain.pt2")
    torch.export.save(torch.export.export(network, (example,), dynamic_shapes=axes), str(plain))
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            content = source.read(entry)
            for name, edit in change.items():
                if entry.filename.endswith(name):
                    content = edit(content)
            target.writestr(entry.filename, content)
    return path


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_formulas_of_sizes_run_nothing(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    evil = f"__import__('os').mkdir({str(ran)!r})"

    def edit(content: bytes) -> bytes:
        text = content.decode()
        assert "expr_str" in text
        program = json.loads(text, object_hook=lambda each: {**each, **poison(each)})
        return json.dumps(program).encode()

    def poison(each: dict[str, Any]) -> dict[str, str]:
        return {"expr_str": evil} if "expr_str" in each else {}

    path = exported(tmp_path / "evil.pt2", {"models/model.json": edit})
    with pytest.raises(ModelError, match="which is no formula of sizes"):
        _exported(path)
    assert not ran.exists()


def test_formulas_that_count_are_taken() -> None:
    for text in ("s0", "2*s0 + 1", "Max(1, s0//2)", "Symbol('s34', positive=True, integer=True)"):
        assert _is_formula(text), text
    for text in (
        "__import__('os')",
        "open('x')",
        "().__class__",
        "s0.func",
        "eval('1')",
        "getattr(s0, 'x')",
        "(lambda: 1)()",
        "[1]",
        "Symbol('s0')('x')",
        "'a'('b')",
    ):
        assert not _is_formula(text), text


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_pickles_inside_a_program_are_not_opened(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    buffer = io.BytesIO()
    torch.save({"a": Evil(ran)}, buffer)
    poisoned = {"sample_inputs/model.pt": lambda content: buffer.getvalue()}
    path = exported(tmp_path / "evil.pt2", poisoned)
    with pytest.raises(pickle.UnpicklingError):
        _exported(path)
    assert not ran.exists()


def test_what_unpacks_without_an_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/code/net.py", "0" * 20_000_000)
        archive.writestr("bomb/constants.pkl", b"")
    with pytest.raises(ModelError, match="which no model needs"):
        read_torch(path)


@pytest.mark.parametrize("suffix", ["onnx", "xml", "pt", "pt2"])
def test_any_bytes_are_a_sentence(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"net.{suffix}"
    for content in (b"", b"\x00" * 9, b"PK\x05\x06" + b"\x00" * 18, os.urandom(300)):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"net\."):
            peek_definition(path)


GRAPH = '<net name="a" version="11"><layers>{}</layers>{}</net>'
PARAMETER = '<layer id="0" type="Parameter"><data shape="{}" element_type="f32"/></layer>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotation><object/></annotation>", r"'net\.xml' is no network of OpenVINO's"),
        ('<!DOCTYPE a [<!ENTITY b "c">]>' + GRAPH.format("&b;", ""), "is no plain graph"),
        (GRAPH.format("&b;", ""), r"is no network of OpenVINO's: undefined entity"),
        ("<a>" * 9000, "is no network of OpenVINO's"),
    ],
)
def test_an_xml_that_is_no_graph_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.xml"
    path.with_suffix(".bin").write_bytes(b"")
    for encoding in ("utf-8", "utf-16"):
        path.write_text(content, encoding=encoding)
        expected = message if encoding == "utf-8" else "is no plain graph"
        with pytest.raises(ModelError, match=expected):
            peek_definition(path)


def test_a_graph_tells_its_input(tmp_path: Path) -> None:
    path = tmp_path / "net.xml"
    path.write_text(GRAPH.format(PARAMETER.format("?,4,256,256"), "<rt_info/>"))
    with pytest.raises(ModelError, match=r"lacks its weights\. Put 'net\.bin' beside it\."):
        peek_definition(path)
    path.with_suffix(".bin").write_bytes(b"")
    network = peek_definition(path).values["Network"]
    assert network == {"layout": "NCHW", "bands": 4, "fixed": [256, 256]}
    path.write_text(GRAPH.format(PARAMETER.format("1..8,64..512,?,7"), ""))
    assert peek_definition(path).values["Network"] == {"layout": "NHWC", "bands": 7}


def test_metadata_without_sense_are_left_out() -> None:
    deep = "[" * 5000
    told = {"class_names": deep, "tiles_size": "-3", "resolution": "x", "names": "{9999999: 'a'}"}
    found = interpret(told)
    assert not found.get("Classes") and "ImageWidth" not in found
