"""OpenVINO's own networks: what their .xml says, without the weights in the .bin beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree  # nosec B405: see _parse()

from ...errors import ModelError

WEIGHTS = ".bin"
LARGEST_GRAPH = 256_000_000  # bytes; graphs of a thousand layers have one or two millions
OWN_FACTS = "geodl"  # the part of its metadata that GeoDL writes


@dataclass(frozen=True)
class OpenVinoHeader:
    """What a network of OpenVINO's says beside its weights.

    Attributes:
        metadata: texts by their names, as GeoDL has written them.
        inputs: sizes of each, 0 for free ones.
    """

    metadata: dict[str, str]
    inputs: tuple[tuple[int, ...], ...]


def read_openvino(path: Path) -> OpenVinoHeader:
    """Read the graph of a network.

    Raises:
        ModelError: when it is no such graph, or lacks its weights.
    """
    root = _parse(path)
    if root.tag != "net" or root.find("layers") is None:
        raise ModelError(f"'{path.name}' is no network of OpenVINO's. Choose another file.")
    weights = path.with_suffix(WEIGHTS)
    if not weights.is_file():
        raise ModelError(f"'{path.name}' lacks its weights. Put '{weights.name}' beside it.")
    told = root.find(f"rt_info/{OWN_FACTS}")
    return OpenVinoHeader(
        {each.tag: each.get("value", "") for each in (told if told is not None else ())},
        tuple(
            _sizes(data.get("shape", ""))
            for layer in root.iterfind("layers/layer[@type='Parameter']")
            for data in layer.iterfind("data")
        ),
    )


def _sizes(text: str) -> tuple[int, ...]:
    """Return sizes such as of ``?,3,256..1024,256``."""
    return tuple(int(each) if each.isdecimal() else 0 for each in text.split(",") if each)


def _parse(path: Path) -> ElementTree.Element:
    try:
        if path.stat().st_size > LARGEST_GRAPH:
            raise ModelError(f"'{path.name}' is too large for the graph of a network.")
        content = path.read_bytes()
        # Entities, which no graph needs, can be made to fill the memory; OpenVINO writes UTF-8.
        if b"<!" in content or b"\0" in content:
            raise ModelError(f"'{path.name}' is no plain graph of a network. Do not use it.")
        return ElementTree.fromstring(content)  # noqa: S314 # nosec B314: entities are refused
    except (OSError, ElementTree.ParseError) as error:
        raise ModelError(f"'{path.name}' is no network of OpenVINO's: {error}.") from error
