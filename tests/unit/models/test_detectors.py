"""torchvision's detectors: their anchors, their losses and what they find."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.roi_heads import project_masks_on_boxes
from torchvision.ops import box_iou

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.inference.answers import tensors
from geodl_plugin.core.inference.openvino_network import ReadNetwork
from geodl_plugin.core.models.fcos import choose_strides
from geodl_plugin.core.models.networks import two_stage
from geodl_plugin.core.models.networks.paste import paste_masks
from geodl_plugin.core.models.networks.pyramid import build_feature_pyramid
from geodl_plugin.core.models.networks.stride_anchors import StrideAnchors
from geodl_plugin.core.models.object_sizes import choose_anchor_sizes, strides_of
from geodl_plugin.core.models.registry import NetworkSpec, build_network, model_type

NAMES = ("RETINANET", "FCOS", "FASTERRCNN", "MASKRCNN")
TINY = "timm:test_resnet"
SIZES = np.full((20, 2), 17.0) * np.linspace(0.9, 1.1, 20)[:, None]
SIDE, BANDS = 64, 4


def spec_of(name: str, backbone: str = TINY, **changes: Any) -> NetworkSpec:
    kind = model_type(name)
    small = {"rpn_batch_size_per_image": 32, "box_batch_size_per_image": 16}
    small["box_detections_per_img"] = 20
    known = {key: value for key, value in small.items() if key in kind.arguments}
    arguments = kind.complete({**kind.arguments, **known, **changes}, SIZES, SIDE)
    return NetworkSpec(name, backbone, arguments, BANDS, 2, SIDE)


def network_of(name: str, backbone: str = TINY, **changes: Any) -> nn.Module:
    torch.manual_seed(1)
    network = build_network(spec_of(name, backbone, **changes))
    return network.to(memory_format=torch.channels_last)


def toy() -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Two images with a bright and a dark square each."""
    images = torch.randn(2, BANDS, SIDE, SIDE, generator=torch.Generator().manual_seed(2)) * 0.1
    targets = []
    for index, corners in enumerate((((4, 6), (36, 40)), ((40, 8), (10, 38)))):
        masks = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
        for label, (col, row) in enumerate(corners):
            masks[label, row : row + 17, col : col + 17] = True
            images[index] += masks[label] * (2.0 - 4.0 * label)
        boxes = torch.tensor([[col, row, col + 17, row + 17] for col, row in corners])
        targets.append({"boxes": boxes.float(), "labels": torch.tensor([0, 1]), "masks": masks})
    return images.contiguous(memory_format=torch.channels_last), targets


def total(network: nn.Module, images: Tensor, targets: list[dict[str, Tensor]]) -> Tensor:
    return torch.stack(list(network.loss(network(images), targets).values())).sum()


def test_anchors_reach_from_small_objects_to_large_ones():
    scales = (1.0, 0.8, 0.63)
    sizes = np.geomspace(9, 200, 200)[:, None].repeat(2, axis=1)
    chosen = choose_anchor_sizes(sizes, 256, scales)
    sides = np.sort(np.outer(chosen, scales).ravel())
    best = [max(min(a, b) ** 2 / max(a, b) ** 2 for a in sides) for b in sizes[:, 0]]
    assert np.quantile(best, 0.05) > 0.5 and len(chosen) == 4
    assert [b / a for a, b in zip(chosen, chosen[1:])] == pytest.approx([2.0] * 3, abs=0.02)
    assert len(choose_anchor_sizes(np.full((5, 2), 40.0), 256, scales)) == 1
    assert choose_anchor_sizes(np.zeros((0, 2)), 256, (1.0,)) == [38.4]
    assert max(choose_anchor_sizes(np.full((5, 2), 900.0), 64, (1.0,))) <= 64


def test_maps_are_as_fine_as_the_objects_are_small():
    assert strides_of([48.0, 96.0], 6.0) == [8, 16]
    assert strides_of([5.0], 6.0) == [4] and strides_of([4000.0], 6.0) == [32]
    assert choose_strides(np.full((9, 2), 16.0), 256) == [4]
    assert choose_strides(np.array([[16.0, 16.0], [200.0, 200.0]]), 256)[-1] == 16


def test_anchors_are_mirrored_with_the_image():
    anchors = StrideAnchors([8, 16], [[10.0, 12.5], [20.0, 25.0]], [0.5, 1.0])
    maps = [torch.zeros(1, 3, 8, 4, dtype=torch.bfloat16), torch.zeros(1, 3, 4, 2)]
    found = anchors(ImageList(torch.zeros(1, 3, 64, 32), [(64, 32)]), maps)
    assert len(found) == 1 and found[0].shape == ((32 + 8) * 4, 4)
    boxes = found[0]
    assert boxes.dtype == torch.float32
    mirrored = torch.stack([32 - boxes[:, 2], boxes[:, 1], 32 - boxes[:, 0], boxes[:, 3]], 1)
    as_rows = [sorted(map(tuple, each.round(decimals=3).tolist())) for each in (boxes, mirrored)]
    assert as_rows[0] == as_rows[1]
    sides = (boxes[:, 2:] - boxes[:, :2]).prod(1).sqrt().unique().round(decimals=2)
    assert set(sides.tolist()) == {10.0, 12.5, 20.0, 25.0}


@pytest.mark.parametrize("backbone", [TINY, "timm:test_vit", "timm:test_convnext"])
def test_a_pyramid_has_every_stride_whatever_the_encoder_has(backbone):
    spec = NetworkSpec("RETINANET", backbone, {}, BANDS, 2, 160)
    pyramid = build_feature_pyramid(spec, [4, 8, 16, 32, 64]).eval()
    with torch.no_grad():
        maps = pyramid(torch.zeros(1, BANDS, 160, 160))
    assert [each.shape[-1] for each in maps.values()] == [40, 20, 10, 5, 3]
    assert {each.shape[1] for each in maps.values()} == {pyramid.out_channels}


@pytest.mark.parametrize("name", NAMES)
def test_loss_falls_and_the_objects_are_found(name):
    network = network_of(name)
    images, targets = toy()
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    losses = []
    for step in range(30):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min((step + 1) / 8, 1)
        loss = total(network.train(), images, targets)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    # Batch statistics of so few steps say little: the network is asked as it was trained.
    with torch.no_grad():
        found = network.detect(network(images), (SIDE, SIDE), 0.05)
    for each, target in zip(found, targets):
        for label in (0, 1):
            best = each["boxes"][each["labels"] == label][0]
            assert float(box_iou(best[None], target["boxes"][label][None])) > 0.4
        for mask, (_, _, width, height) in zip(each.get("masks", []), each.get("windows", [])):
            assert mask.dtype == np.uint8 and mask.shape == (height, width)
    assert ("masks" in found[0]) == (name == "MASKRCNN")


@pytest.mark.parametrize("name", NAMES)
def test_it_starts_with_few_detections_and_bears_images_without_objects(name):
    network = network_of(name)
    images, targets = toy()
    with torch.no_grad():
        assert all(not len(e["scores"]) for e in network.detect(network(images), (64, 64), 0.5))
    empty = [{key: value[:0] for key, value in each.items()} for each in targets]
    for wanted in (empty, [targets[0], empty[1]]):
        loss = total(network, images, wanted)
        loss.backward()
        assert torch.isfinite(loss)
    flat = [{**targets[0], "boxes": targets[0]["boxes"][:, [0, 1, 0, 3]]}, targets[1]]
    assert torch.isfinite(total(network, images, flat))


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_answers_alike_on_tiles_of_any_size(name):
    network = network_of(name).eval()
    other = build_network(spec_of(name)).to(memory_format=torch.channels_last)
    other.load_state_dict(load(save({k: v.contiguous() for k, v in network.state_dict().items()})))
    images = torch.randn(1, BANDS, 96, 160)
    with torch.no_grad():
        one, two = (each.eval().detect(each(images), (96, 160), 0.01) for each in (network, other))
    assert torch.equal(one[0]["boxes"], two[0]["boxes"])
    assert network.tile_step == 32 and network.fixed_tile is None
    own = {id(each) for each in network.encoder.parameters()}
    assert own < {id(each) for each in network.parameters()}


@pytest.mark.parametrize("name", ("RETINANET", "FCOS", "FASTERRCNN"))
def test_a_wide_tile_may_show_as_many_objects_by_area(name):
    kind = model_type(name)
    few = {"box_detections_per_img": 20, "detections_per_img": 20, "box_nms_thresh": 0.99}
    few = {key: value for key, value in few.items() if key in kind.arguments}
    network = network_of(name, **few).eval()
    if name == "RETINANET":  # has no such argument
        network._limits = (1000, 20)
    counts = []
    for side in (512, 1024, 64):
        with torch.no_grad():
            outputs = network(torch.randn(1, BANDS, side, side))
            counts.append(len(network.detect(outputs, (side, side), 0.0)[0]["boxes"]))
    assert counts[0] == 20 and counts[1] == 80 and counts[2] <= 20


def test_retinanet_teaches_the_best_score_to_the_nearest_box():
    head = network_of("RETINANET").model.head
    truth = torch.tensor([[8.0, 8, 24, 24]])
    anchors = truth + torch.tensor([[0.0], [2.0], [4.0], [30.0]]) * torch.tensor([1, 0, 1, 0])
    matched = torch.tensor([0, 0, Matcher.BETWEEN_THRESHOLDS, Matcher.BELOW_LOW_THRESHOLD])
    target = {"boxes": truth, "labels": torch.tensor([1])}
    logits = torch.zeros(2, 4, 2, requires_grad=True)
    optimizer = torch.optim.Adam([logits], 0.05)
    nothing = {"boxes": truth[:0], "labels": target["labels"][:0]}  # an image without objects
    none = torch.full_like(matched, Matcher.BELOW_LOW_THRESHOLD)
    for _ in range(400):
        outputs = {"cls_logits": logits, "bbox_regression": torch.zeros(2, 4, 4)}
        loss = head.compute_loss([target, nothing], outputs, [anchors] * 2, [matched, none])
        optimizer.zero_grad()
        loss["classification"].backward()
        optimizer.step()
    chances = logits.detach()[0].sigmoid()
    assert chances[0, 1] > 0.9 and chances[2].tolist() == [0.5, 0.5]
    assert float(chances[1, 1]) == pytest.approx(14 / 18, abs=0.02)
    assert max(chances[:2, 0].max(), chances[3].max(), logits[1].sigmoid().max()) < 0.1


def test_one_anchor_to_an_object_is_taught_as_torchvision_does():
    head = network_of("RETINANET").model.head
    anchors = torch.tensor([[8.0, 8, 24, 24], [40, 40, 60, 60], [10, 50, 20, 60]])
    target = {"boxes": anchors[:2] + 1.0, "labels": torch.tensor([1, 0])}
    matched = torch.tensor([0, 1, Matcher.BELOW_LOW_THRESHOLD])
    outputs = {"cls_logits": torch.randn(1, 3, 2), "bbox_regression": torch.randn(1, 3, 4) / 9}
    ours = head.compute_loss([target], outputs, [anchors], [matched])
    theirs = RetinaNetHead.compute_loss(head, [target], outputs, [anchors], [matched])
    assert ours.keys() == theirs.keys()
    for name, loss in ours.items():
        assert float(loss) == pytest.approx(float(theirs[name]), rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_validation_loss_is_the_same_each_time_and_half_precision_runs(name):
    network = network_of(name)
    images, targets = toy()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = network(images)
    torch.stack(list(network.loss(answer, targets).values())).sum().backward()
    network.eval()
    # A validation step detects where the forward pass was computed: in half precision.
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = network.detect(network(images), (SIDE, SIDE), 0.01)
        losses = network.loss(network(images), targets)
    assert {each["scores"].dtype for each in found} == {torch.float32}
    assert {each.dtype for each in losses.values()} == {torch.float32}
    state = torch.get_rng_state()
    with torch.no_grad():
        assert float(total(network, images, targets)) == float(total(network, images, targets))
        assert network.detect(answer, (SIDE, SIDE), 0.01)[0]["boxes"].dtype == torch.float32
    assert torch.equal(torch.get_rng_state(), state) and not network.model.training


@pytest.mark.parametrize("name", ["FASTERRCNN", "MASKRCNN"])
def test_a_validation_loss_does_not_grow_with_better_proposals(name, monkeypatch):
    network = network_of(name, box_batch_size_per_image=64)
    nn.init.zeros_(network.model.roi_heads.box_predictor.cls_score.weight)  # one answer for all
    images, targets = toy()
    background = torch.tensor([[20.0, 50, 30, 62]]).repeat(30, 1)
    shifted = targets[0]["boxes"].repeat(8, 1) + 2.0
    found = {}
    for mode in ("train", "eval"):
        getattr(network, mode)()
        for proposals in (background, torch.cat([background, shifted])):
            told = [proposals, background]
            monkeypatch.setattr(network, "_propose", lambda *_, told=told: (told, {}))
            with torch.no_grad():
                losses = network.loss(network(images), targets)
            found.setdefault(mode, []).append(float(losses["loss_classifier"]))
            assert ("loss_mask" in losses) == (name == "MASKRCNN")
    assert found["train"][1] > 1.5 * found["train"][0]  # torchvision's
    assert found["eval"][1] == pytest.approx(found["eval"][0], rel=1e-4)


@pytest.mark.parametrize("name", ["FASTERRCNN", "MASKRCNN"])
def test_the_losses_of_a_step_are_those_of_torchvision(name, monkeypatch):
    monkeypatch.setattr(two_stage, "HALF_PIXEL", 0.0)
    network = network_of(name).train()
    images, targets = toy()
    answer = network(images)
    torch.manual_seed(3)
    ours = network.loss(answer, targets)
    wanted = [{**each, "labels": each["labels"] + 1} for each in targets]
    torch.manual_seed(3)
    proposals, theirs = network._propose(answer, wanted)
    _, more = network.model.roi_heads(answer["features"], proposals, [(SIDE, SIDE)] * 2, wanted)
    assert ours.keys() == {*theirs, *more}
    for key, loss in {**theirs, **more}.items():
        assert torch.equal(ours[key], loss)


def test_a_step_outlines_a_part_of_the_proposals_on_objects(monkeypatch):
    monkeypatch.setattr(f"{two_stage.__name__}.OUTLINED", 3)
    network, counts = network_of("MASKRCNN", box_batch_size_per_image=64).train(), []
    heads = network.model.roi_heads
    for head in (heads.box_head, heads.mask_head):
        head.register_forward_hook(lambda _, given, __: counts.append(len(given[0])))
    images, targets = toy()
    objects = [each["boxes"].repeat(8, 1) + 2.0 for each in targets]
    nothing = torch.tensor([[20.0, 50, 30, 62]]).repeat(30, 1)
    for told, expected in ((objects, 6), ([objects[0], nothing], 5)):
        monkeypatch.setattr(network, "_propose", lambda *_, told=told: (told, {}))
        losses = network.loss(network(images), targets)
        losses["loss_mask"].backward()
        assert counts[-1] == expected and counts[-2] > 2 * expected
        assert torch.isfinite(losses["loss_mask"])


def test_outlines_are_taught_where_the_objects_lie(monkeypatch):
    """What is taught, taken for an answer, is the mask that it was taught from."""
    network, taught = network_of("MASKRCNN").train(), []
    images, _ = toy()
    y, x = torch.meshgrid(*(torch.arange(SIDE) + 0.5,) * 2, indexing="ij")
    disc = ((x - 23) ** 2 + (y - 30) ** 2 <= 4.2**2)[None]
    box = torch.tensor([[19.0, 26, 27, 34]])
    targets = [{"boxes": box, "labels": torch.tensor([0]), "masks": disc}] * 2
    proposals = [box + torch.tensor([[-0.3, 0.4, 0.6, -0.2]]), box]
    monkeypatch.setattr(network, "_propose", lambda *_: (proposals, {}))

    def listen(logits: Tensor, boxes: list[Tensor], masks: list[Tensor], *rest: Any) -> Tensor:
        whole = [each.float() for each in masks]
        places = [torch.zeros(len(each), dtype=torch.long) for each in boxes]
        taught.extend(map(project_masks_on_boxes, whole, boxes, places, (28, 28)))
        return logits.sum()

    monkeypatch.setattr(two_stage, "maskrcnn_loss", listen)
    network.loss(network(images), targets)
    # torchvision adds the objects themselves to the proposals.
    grid = taught[1][-1][None, None]
    known = {"scores": torch.ones(1), "labels": torch.zeros(1), "masks": grid}
    answer = paste_masks({**known, "boxes": box}, (SIDE, SIDE))
    (col, row, width, height), seen = answer["windows"][0], torch.zeros(SIDE, SIDE)
    seen[row : row + height, col : col + width] = torch.from_numpy(answer["masks"][0]).float()
    assert torch.equal(seen > 0, disc[0])


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_step_looks_at_proposals_in_the_format_of_the_network(kind):
    network, seen = network_of("MASKRCNN"), []
    heads = network.model.roi_heads
    for layer in (heads.box_head[1], heads.mask_head[0][0]):
        layer.register_forward_hook(lambda _, __, answer: seen.append(answer.dtype))
    images, targets = toy()
    with torch.autocast("cpu", torch.bfloat16, kind == torch.bfloat16):
        answer = network(images)
    losses = network.loss(answer, targets)
    assert seen == [kind] * 2 and {each.dtype for each in losses.values()} == {torch.float32}
    assert heads.box_head.kind == heads.mask_head.kind == torch.float32
    network.detect(answer, (SIDE, SIDE), 0.01)
    assert seen[2:] == [torch.float32] * 2


@pytest.mark.parametrize("name", ["FASTERRCNN", "MASKRCNN"])
def test_a_validation_loss_counts_boxes_by_the_object(name, monkeypatch):
    network = network_of(name, box_batch_size_per_image=64, box_positive_fraction=1.0).eval()
    for each in network.model.roi_heads.box_predictor.bbox_pred.parameters():
        nn.init.zeros_(each)
    images, targets = toy()
    background = torch.tensor([[20.0, 50, 30, 62]]).repeat(30, 1)
    found = []
    for count in (8, 16):
        told = [torch.cat([background, each["boxes"].repeat(count, 1) + 2.0]) for each in targets]
        monkeypatch.setattr(network, "_propose", lambda *_, told=told: (told, {}))
        with torch.no_grad():
            found.append(float(network.loss(network(images), targets)["loss_box_reg"]))
    # The objects themselves are among the proposals: 2 of 18, and 2 of 34.
    assert found[1] / found[0] == pytest.approx((32 / 34) / (16 / 18), rel=1e-3)


@pytest.mark.parametrize("name", ["RETINANET", "SSD"])
def test_openvino_answers_alike_at_any_size(name, tmp_path):
    pytest.importorskip("openvino")
    arguments = {**model_type("SSD").arguments, "grids": [8, 4]}
    spec = NetworkSpec("SSD", TINY, arguments, BANDS, 2, SIDE) if name == "SSD" else spec_of(name)
    network = build_network(spec).eval()
    read = ReadNetwork.of(network, torch.randn(1, BANDS, SIDE, SIDE))
    read.save(tmp_path / "network.xml")
    compiled = ReadNetwork.open(tmp_path / "network.xml", read.structure()).compiled("float32")
    images = torch.randn(2, BANDS, 96, 128)
    with torch.inference_mode():
        answers = network(images), compiled(images)
        for one, other in zip(*map(tensors, answers)):
            assert torch.allclose(one, other, atol=1e-3)
        found = [network.detect(each, (96, 128), 0.02)[0] for each in answers]
    assert abs(len(found[0]["scores"]) - len(found[1]["scores"])) <= 2


def test_pretrained_batch_norms_keep_their_statistics():
    spec = NetworkSpec("RETINANET", TINY, {}, BANDS, 2, SIDE)
    pyramid = build_feature_pyramid(spec, [8])
    before = {name: value.clone() for name, value in pyramid.encoder.named_buffers()}
    for steady in (True, False):
        pyramid.encoder.steady = steady
        pyramid.train()(torch.rand(2, BANDS, SIDE, SIDE))
        after = dict(pyramid.encoder.named_buffers())
        assert all(torch.equal(before[name], after[name]) for name in before) == steady


def test_a_mask_lies_exactly_in_its_box():
    found = {
        "boxes": torch.tensor([[10.0, 20.0, 20.0, 30.0], [-3.0, -3.0, 4.4, 4.0], [5, 5, 9, 9.0]]),
        "scores": torch.tensor([0.9, 0.8, 0.7]),
        "labels": torch.tensor([0, 1, 1]),
        "masks": torch.stack(
            [torch.ones(1, 28, 28), torch.ones(1, 28, 28), torch.zeros(1, 28, 28)]
        ),
    }
    pasted = paste_masks(found, (64, 64))
    assert pasted["windows"].tolist() == [[10, 20, 10, 10], [0, 0, 5, 4]]
    assert [int(each.sum()) for each in pasted["masks"]] == [100, 16]
    assert pasted["labels"].tolist() == [0, 1] and len(pasted["boxes"]) == 2
    assert all(isinstance(each, np.ndarray) for each in pasted["masks"])


@pytest.mark.parametrize(
    ("name", "wrong", "sentence"),
    [
        ("RETINANET", {"scales": [1.0, -1]}, "scales=[1.0, -1] must be a list of positive"),
        ("RETINANET", {"ratios": []}, "ratios=[] must be a list of positive numbers"),
        ("RETINANET", {"anchor_sizes": [64, 32]}, "anchor_sizes=[64, 32] must ascend"),
        ("FCOS", {"strides": [8, 24]}, "strides=[8, 24] must begin with 4, 8, 16 or 32"),
        ("FCOS", {"strides": 8}, "strides=8 must begin with"),
        ("FCOS", {"center_sampling_radius": 0.0}, "center_sampling_radius=0.0 must be a positive"),
        ("FCOS", {"nms_thresh": 2.0}, "nms_thresh=2.0 must lie between 0 and 1"),
        ("FASTERRCNN", {"box_detections_per_img": 0}, "box_detections_per_img=0 must be a whole"),
        ("FASTERRCNN", {"rpn_nms_thresh": -1.0}, "rpn_nms_thresh=-1.0 must lie between"),
        ("MASKRCNN", {"aspect_ratios": ["a"]}, "aspect_ratios=['a'] must be a list"),
        (
            "MASKRCNN",
            {"rpn_bg_iou_thresh": 0.8},
            "rpn_bg_iou_thresh=0.8 must not be above rpn_fg_iou_thresh=0.7",
        ),
    ],
)
def test_wrong_arguments_are_one_sentence(name, wrong, sentence):
    kind = model_type(name)
    with pytest.raises(InputError) as caught:
        kind.complete({**kind.arguments, **wrong}, SIZES, SIDE)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_reaches_the_network(name):
    """An argument that changes nothing must not exist."""
    if name == "RETINANET":
        few = network_of(name, scales=[1.0], ratios=[1.0], anchor_sizes=[16, 32])
        assert few.model.anchor_generator.num_anchors_per_location() == [1, 1]
        return
    kind = model_type(name)
    for key, value in kind.arguments.items():
        if isinstance(value, (int, float)):
            other = (1.1 if "_fg_" in key else 0.9) * value if isinstance(value, float) else 7
            network = network_of(name, **{key: other})
            holders = [network.model]
            if name != "FCOS":
                rpn, heads = network.model.rpn, network.model.roi_heads
                part = rpn if key.startswith("rpn") else heads
                holders = [part, part.fg_bg_sampler, part.proposal_matcher]
            seen = [each for holder in holders for each in _numbers(vars(holder))]
            assert other in seen, key


def _numbers(values: dict[str, Any]) -> list[float]:
    nested = [each for each in values.values() if isinstance(each, dict)]
    flat = [each for each in values.values() if isinstance(each, (int, float))]
    return flat + [n for each in nested for n in each.values() if isinstance(n, (int, float))]
