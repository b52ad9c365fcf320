"""Which device a name means, and what counts as a lack of memory."""

from __future__ import annotations

import pytest
import torch

from geodl_plugin.core.device import (
    choose_device,
    device_label,
    has_fast_bfloat16,
)
from geodl_plugin.core.errors import InputError
from geodl_plugin.core.learning.hardware import choose_hardware
from geodl_plugin.core.memory import is_out_of_memory


@pytest.mark.parametrize("name", ["cuda:7", "tpu", "cuda:x", "mps:3"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="device"):
        choose_device(name)


def test_the_label_names_the_processor() -> None:
    assert choose_device("CPU ") == torch.device("cpu")
    assert device_label(torch.device("cpu")).startswith("the CPU (")


def processor(monkeypatch: pytest.MonkeyPatch, machine: str, amx: bool, avx512: bool) -> None:
    """Let torch see another processor."""
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)


@pytest.mark.parametrize(
    ("machine", "amx", "avx512", "expected"),
    [
        ("x86_64", True, False, True),
        ("AMD64", False, True, True),
        ("x86_64", False, False, False),
        ("arm64", False, False, None),
    ],
)
def test_the_processor_says_whether_it_knows_bfloat16(
    machine: str, amx: bool, avx512: bool, expected: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(monkeypatch, machine, amx, avx512)
    assert has_fast_bfloat16() is expected
    assert choose_hardware("cpu", "auto").precision == ("bfloat16" if expected else "float32")


def test_a_lack_of_memory_is_told_apart() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.cuda.OutOfMemoryError("CUDA out of memory."))
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: not enough memory: you tried"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
