"""Which device a name means, and what counts as a lack of memory."""

from __future__ import annotations

import pytest
import torch

from geodl_plugin.core.device import choose_device, device_label, is_out_of_memory
from geodl_plugin.core.errors import InputError


@pytest.mark.parametrize("name", ["cuda:7", "tpu", "cuda:x", "mps:3"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="device"):
        choose_device(name)


def test_the_label_names_the_processor() -> None:
    assert choose_device("CPU ") == torch.device("cpu")
    assert device_label(torch.device("cpu")).startswith("the CPU (")


def test_a_lack_of_memory_is_told_apart() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.cuda.OutOfMemoryError("CUDA out of memory."))
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
