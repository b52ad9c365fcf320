"""Several folders as one, validation folders, and the bands of chips."""

from __future__ import annotations

import contextlib
import json

import pytest
import torch
from osgeo import gdal
from PIL import Image

from geodl_plugin.core.errors import GeoDLError, InputError, TrainingDataError
from geodl_plugin.core.learning.bands import chosen_bands, colour_bands
from geodl_plugin.core.learning.building import build_module
from geodl_plugin.core.learning.collection import open_collection
from geodl_plugin.core.learning.preparation import prepare
from geodl_plugin.core.learning.train import train
from geodl_plugin.core.models.networks.weights import (
    adapt_first_convolution,
    arrange_bands,
    first_convolution,
)
from geodl_plugin.core.packages.archive import open_package
from geodl_plugin.core.progress import Phase, Progress

from .test_train import options

TINY = {"backbone": "timm:test_resnet", "max_epochs": 1}


def prepared(text, **more):
    return prepare(options(text, "out", **more), Phase(Progress(), "Reading", 1, "chips"))


def test_folders_are_joined_with_all_their_classes(make_folder):
    one = make_folder("Classified_Tiles", values=(1, 2), name="one")
    two = make_folder("Classified_Tiles", values=(2, 3), name="two", count=4)
    found = prepared(f'{one} ; "{two}"')
    assert len(found.folder.chips) == 10 and found.schema.values == (1, 2, 3)
    assert found.store[0].mask.max() == 2 and found.store[9].mask.max() == 3
    assert found.folder.path.name == "one, two"


def test_a_folder_given_twice_is_learnt_once(make_folder, tmp_path):
    """Its chips counted twice, and trained where they validated."""
    one = make_folder("Classified_Tiles", name="one")
    other = make_folder("Classified_Tiles", name="two")
    (tmp_path / "link").symlink_to(one)
    found = open_collection(f"{one};{other};{tmp_path / 'link'};{one}/")
    assert len(found.folder.chips) == 12
    assert found.notes == (
        f"'{tmp_path / 'link'}' is given twice and taken once.",
        f"'{one}' is given twice and taken once.",
    )


def test_a_validation_folder_validates(make_folder, tmp_path):
    one = make_folder("Labeled_Tiles", values=(1, 2), name="one")
    make_folder("Labeled_Tiles", values=(1, 2), name="one/validation", count=2, stride=6400)
    split = prepared(str(one)).split
    # The first chip of both lies in the same place: it must not train.
    assert split.validation == (6, 7) and split.dropped == (0,)
    assert (
        split.training == (1, 2, 3, 4, 5) and "those of the validation folder" in split.describe()
    )
    other = make_folder("Labeled_Tiles", values=(1, 2), name="two")
    (tmp_path / "Validation").symlink_to(one / "validation")
    assert open_collection(f"{other};{tmp_path / 'Validation'}").validation == (6, 7)
    notes = prepared(str(one), validation_percentage=30).notes
    assert any(note.startswith("VALIDATION_PERCENTAGE=30 is not used") for note in notes)


@pytest.mark.parametrize("data_format", ["YOLO", "COCO", "Classified_Tiles"])
def test_a_chip_of_the_validation_folder_inside_does_not_train(make_folder, data_format):
    one = make_folder(data_format, name="one")
    apart = make_folder(data_format, name="one/validation", count=2, stride=6400)
    for again in ("", f";{apart}"):
        found = open_collection(f"{one}{again}")
        images = [chip.image for chip in found.folder.chips]
        assert found.validation == (6, 7) and len(images) == len(set(images)) == 8
        assert [each for each in images if apart in each.parents] == images[6:]


def test_a_validation_folder_of_another_program_validates(tmp_path):
    for place in ("", "validation"):
        (tmp_path / place).mkdir(exist_ok=True)
        Image.new("RGB", (64, 64)).save(tmp_path / place / "a.png")
        content = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": []}
        content["categories"] = [{"id": 1, "name": "car"}]
        (tmp_path / place / "_annotations.coco.json").write_text(json.dumps(content))
    found = open_collection(str(tmp_path))
    images = [chip.image.relative_to(tmp_path).as_posix() for chip in found.folder.chips]
    assert images == ["a.png", "validation/a.png"] and found.validation == (1,)


def write_coco(folder, names):
    """Write images and their annotations into one folder, as Roboflow does."""
    folder.mkdir(parents=True)
    images = [{"id": index, "file_name": f"{name}.png"} for index, name in enumerate(names)]
    box = {"bbox": [1, 1, 9, 9], "category_id": 1, "area": 81, "iscrowd": 0}
    boxes = [{"id": each["id"], "image_id": each["id"], **box} for each in images]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "car"}]}
    (folder / "_annotations.coco.json").write_text(json.dumps(content))
    for image in images:
        Image.new("RGB", (64, 64)).save(folder / image["file_name"])


def write_yolo(folder, names):
    for name in names:
        for kind in ("images", "labels"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64)).save(folder / "images" / f"{name}.png")
        (folder / "labels" / f"{name}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (folder.parent / "data.yaml").write_text("names: [car]\n")


@pytest.mark.parametrize("write", [write_coco, write_yolo])
def test_the_parts_of_a_set_keep_what_they_are_for(tmp_path, write):
    for part, names in (("train", "abc"), ("valid", "de"), ("test", "f")):
        write(tmp_path / "test set" / part, names)
    root = tmp_path / "test set"
    found = open_collection(str(root))
    parts = [chip.image.relative_to(root).parts[0] for chip in found.folder.chips]
    assert sorted(parts) == ["train"] * 3 + ["valid"] * 2
    assert [parts[place] for place in found.validation] == ["valid"] * 2
    assert found.notes == (f"Chips in the folder 'test' of '{root}' take no part: 1.",)
    assert prepared(str(root)).split.validation == found.validation
    alone = open_collection(str(root / "valid"))
    assert len(alone.folder.chips) == 2 and not alone.validation and not alone.notes


def test_classes_may_be_called_as_the_parts_of_a_set(tmp_path):
    for name in ("valid", "test", "other"):
        (tmp_path / "images" / name).mkdir(parents=True)
        Image.new("RGB", (64, 64)).save(tmp_path / "images" / name / f"{name}.png")
    found = open_collection(str(tmp_path))
    assert len(found.folder.chips) == 3 and not found.validation


def test_a_folder_of_nothing_but_validation_chips_is_refused(make_folder):
    one = make_folder("YOLO", name="one")
    make_folder("YOLO", name="one/validation", count=2)
    for image in (one / "images").glob("*.tif"):
        image.unlink()
    with pytest.raises(GeoDLError, match="holds no training data"):
        open_collection(str(one))


def test_validation_chips_of_ignored_classes_only_are_refused(make_folder):
    one = make_folder("Labeled_Tiles", values=(1, 2, 3), name="one")
    apart = make_folder("Labeled_Tiles", values=(3, 1, 2), name="one/validation", count=1)
    file = apart / "esri_model_definition.emd"
    file.write_text((one / file.name).read_text())
    sentence = "No validation chip of 'one, validation' has a class that is learned"
    with pytest.raises(TrainingDataError, match=sentence):
        prepared(str(one), ignore_classes="3")


@pytest.mark.parametrize("data_format", ["YOLO", "Classified_Tiles", "Labeled_Tiles"])
def test_validation_chips_on_the_ground_of_all_training_chips_are_refused(make_folder, data_format):
    one = make_folder(data_format, values=(1, 2), name="one")
    make_folder(data_format, values=(1, 2), name="one/validation")
    sentence = "Every training chip of 'one, validation' shares ground with a validation chip"
    with pytest.raises(TrainingDataError, match=sentence):
        prepared(str(one))


def test_classes_of_which_there_is_no_chip_are_refused(make_folder):
    one = make_folder("Labeled_Tiles", values=(1, 2, 3, 4), count=2, name="one")
    with pytest.raises(TrainingDataError, match="None of the 2 training chips of 'one'"):
        prepared(str(one), ignore_classes="1;2")


def test_a_model_of_several_folders_is_written(make_folder, tmp_path):
    one = make_folder("Labeled_Tiles", values=(1, 2), name="one", side=32)
    two = make_folder("Labeled_Tiles", values=(1, 2), name="two", side=32)
    result = train(options(f"{one};{two}", tmp_path / "both", **TINY), Progress())
    with open_package(result["model"]) as package:
        assert package.definition.geodl["training"]["data"] == "one, two"


@pytest.mark.parametrize("factor", [1.5, 4.0])
def test_a_model_of_very_different_cell_sizes_knows_them_all(make_folder, monkeypatch, factor):
    """Of rasters like those of the second folder it said to resample them to the first's cells."""
    one = make_folder("Labeled_Tiles", values=(1, 2), name="one", count=2)
    cell = 0.5 * factor
    monkeypatch.setattr("tests.unit.learning.conftest.CELL", cell)
    two = make_folder("Labeled_Tiles", values=(1, 2), name="two", count=2)
    for folder, size in ((one, 0.5), (two, cell)):
        file = folder / "esri_model_definition.emd"
        content = json.loads(file.read_text(encoding="utf-8"))
        size = {"x": size, "y": size}
        content |= {"MinCellSize": size, "MaxCellSize": size, "SensorName": "a"}
        file.write_text(json.dumps(content), encoding="utf-8")
    joined = open_collection(f"{one};{two}").folder
    assert joined.has_one_scale() is (factor < 2)
    assert "MaxCellSize" not in joined.definition and joined.definition["SensorName"] == "a"
    assert "MaxCellSize" in open_collection(f"{one};{one}").folder.definition


@pytest.mark.parametrize("most", [0.6, 2.0])
def test_a_definition_tells_of_very_different_cell_sizes(make_folder, most):
    path = make_folder("Labeled_Tiles", values=(1, 2), count=2)
    file = path / "esri_model_definition.emd"
    content = json.loads(file.read_text(encoding="utf-8"))
    content |= {"MinCellSize": {"x": 0.5, "y": 0.5}, "MaxCellSize": {"x": most, "y": most}}
    file.write_text(json.dumps(content), encoding="utf-8")
    assert open_collection(str(path)).folder.has_one_scale() is (most < 1)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"data_format": "Labeled_Tiles"}, "has the format Classified_Tiles, but"),
        ({"bands": 4}, "has as bands 3, but"),
        ({"dtype": "uint16"}, "has the data type uint8, but"),
    ],
)
def test_folders_that_do_not_fit_are_one_sentence(make_folder, more, sentence):
    one = make_folder("Classified_Tiles", values=(1, 2), name="one")
    two = make_folder(
        **{"data_format": "Classified_Tiles", "values": (1, 2), "name": "two", **more}
    )
    with pytest.raises(GeoDLError, match=sentence):
        open_collection(f"{one};{two}")


@pytest.mark.parametrize(
    ("one", "two", "sentence"),
    [
        (
            {"InputRastersProps": {"BandNames": ["Red", "Green", "NIR"]}},
            {"InputRastersProps": {"BandNames": ["nir", "red", "green"]}},
            "has the bands Red, Green, NIR, but '.*two' has nir, red, green",
        ),
        (
            {"CropTileMode": "Fixed_Size"},
            {"CropTileMode": "Variable_Size"},
            "has CropTileMode Fixed_Size, but '.*two' has Variable_Size",
        ),
        (
            {"BlackenAroundFeature": False},
            {"BlackenAroundFeature": True},
            "has BlackenAroundFeature False, but '.*two' has True",
        ),
        (
            {"ImageSpaceUsed": "MAP_SPACE"},
            {"ImageSpaceUsed": "PIXEL_SPACE"},
            "has ImageSpaceUsed MAP_SPACE, but '.*two' has PIXEL_SPACE",
        ),
    ],
)
def test_what_pixels_do_not_show_must_be_alike(make_folder, one, two, sentence):
    paths = [make_folder("Labeled_Tiles", values=(1, 2), name=name) for name in ("one", "two")]
    for path, told in zip(paths, (one, two)):
        file = path / "esri_model_definition.emd"
        file.write_text(json.dumps({**json.loads(file.read_text()), **told}))
    with pytest.raises(InputError, match=sentence):
        open_collection(f"{paths[0]};{paths[1]}")
    file.write_text(json.dumps({**json.loads(file.read_text()), **one}))
    assert len(open_collection(f"{paths[0]};{paths[1]}").folder.chips) == 12


def test_bands_of_other_names_may_be_the_same_ones(make_folder):
    paths = [make_folder("Labeled_Tiles", values=(1, 2), name=name) for name in ("one", "two")]
    file = paths[1] / "esri_model_definition.emd"
    told = {"InputRastersProps": {"BandNames": ["R", "G", "B"]}}
    file.write_text(json.dumps({**json.loads(file.read_text()), **told}))
    assert open_collection(f"{paths[0]};{paths[1]}").folder.band_count == 3


@pytest.mark.parametrize(
    ("names", "fit"), [(("Blue", "Green", "Red"), False), (("B1", "B2", "B3"), True)]
)
def test_folders_with_bands_in_another_order_are_refused(make_folder, names, fit):
    one = make_folder("Classified_Tiles", values=(1, 2), name="one")
    two = make_folder("Classified_Tiles", values=(1, 2), name="two")
    for path in (two / "images").glob("*.tif"):
        image = gdal.Open(str(path), gdal.GA_Update)
        for index, name in enumerate(names, 1):
            image.GetRasterBand(index).SetDescription(name)
        image = None
    order = "has the bands Red, Green, Blue, but .*two' has Blue, Green, Red"
    with contextlib.nullcontext() if fit else pytest.raises(InputError, match=order):
        open_collection(f"{one};{two}")


def test_classes_that_contradict_are_one_sentence(make_folder):
    one = make_folder("Classified_Tiles", values=(1, 2), name="one")
    two = make_folder("Classified_Tiles", values=(1, 2), name="two")
    file = two / "esri_model_definition.emd"
    definition = json.loads(file.read_text())
    definition["Classes"][1]["Name"] = "class 1"
    definition["Classes"][0]["Name"] = "class 2"
    file.write_text(json.dumps(definition))
    with pytest.raises(GeoDLError, match=r"The class 1 'class 2' of .* contradicts 1 'class 1' of"):
        open_collection(f"{one};{two}")
    with pytest.raises(InputError, match="No folder"):
        open_collection(" ; ")


def test_bands_are_chosen_by_name_or_position():
    names = ("Blue", "Green", "Red", "NIR")
    assert chosen_bands("", names) == (0, 1, 2, 3)
    assert chosen_bands("nir; 2,Green", names) == (3, 2, 1)
    assert colour_bands(names) == (2, 1, 0)
    sentinel = ("B4, central wavelength 665 nm", "B3, central wavelength 560 nm")
    assert chosen_bands("b3, central wavelength 560 nm; 0", sentinel) == (1, 0)
    assert colour_bands(("red edge", "near infrared", "x")) == (0, 1, 2)
    with pytest.raises(InputError, match=r"names '4', but there is no such band. .* 0 Blue, 1"):
        chosen_bands("4", names)
    with pytest.raises(InputError, match="names a band twice"):
        chosen_bands("NIR;3", names)


def test_the_network_learns_from_the_chosen_bands(make_folder, tmp_path):
    folder = make_folder("Classified_Tiles", bands=5, dtype="uint16", count=4)
    found = prepared(folder, extract_bands="4;1")
    assert found.spec.band_count == 2 and len(found.normalization.mean) == 2
    raw = found.folder.read_image(found.folder.chips[0]).pixels
    assert (found.store[0].pixels == raw[[4, 1]]).all()
    result = train(options(folder, tmp_path / "two", extract_bands="4;1", **TINY), Progress())
    with open_package(result["model"]) as package:
        assert package.definition.extract_bands == (4, 1)
        assert package.definition.geodl["image_bands"] == 5


@pytest.mark.parametrize("pairs", [False, True])
def test_a_band_that_is_left_out_takes_no_data_away(make_folder, pairs):
    folder = make_folder("Classified_Tiles", bands=3, dtype="float32", pairs=pairs)
    for path in folder.glob("images*/*.tif"):
        dataset = gdal.Open(str(path), gdal.GA_Update)
        band = dataset.GetRasterBand(3)
        band.WriteArray(band.ReadAsArray() * float("nan"))
        del band, dataset
    found = prepared(folder, extract_bands="0;1")
    assert found.store[0].valid.all() and found.store[0].pixels.any()
    assert min(found.normalization.std) > 5 and found.split.training


def first_weights(scheme, colours, bands=5, made_for=3):
    torch.manual_seed(0)
    pretrained = torch.nn.Sequential(torch.nn.Conv2d(made_for, 4, 3))
    network = torch.nn.Sequential(torch.nn.Conv2d(bands, 4, 3))
    adapt_first_convolution(network, pretrained.state_dict())
    arrange_bands(network, bands, scheme, colours)
    return pretrained[0].weight, network[0].weight


@pytest.mark.parametrize("scheme", ["RANDOM", "RED_BAND", "ALL_RANDOM"])
def test_one_and_two_bands_get_their_share_unless_all_are_random(scheme):
    old, one = first_weights(scheme, (0, 1, 2), bands=1)
    old, two = first_weights(scheme, (0, 1, 2), bands=2)
    kept = scheme != "ALL_RANDOM"
    assert torch.allclose(one[:, 0], old.sum(1), atol=1e-6) == kept
    assert torch.allclose(two, old[:, :2] * 1.5, atol=1e-6) == kept


@pytest.mark.parametrize("bands", [2, 4, 5])
def test_weights_for_other_bands_than_three_stay_as_they_are(bands):
    old, new = first_weights("RANDOM", (0, 1, 2), bands, made_for=bands)
    assert torch.equal(old, new)


def test_colours_keep_their_weights_and_other_bands_get_theirs():
    old, new = first_weights("RANDOM", (2, 1, 0))
    assert torch.allclose(new[:, [2, 1, 0]], old, atol=1e-6)
    assert not torch.allclose(new[:, 3], new[:, 4]) and new[:, 3].abs().max() > 0
    old, new = first_weights("RED_BAND", (2, 1, 0))
    assert torch.allclose(new[:, [2, 1, 0]], old, atol=1e-6)
    assert torch.allclose(new[:, 3], old[:, 0], atol=1e-6)
    old, new = first_weights("ALL_RANDOM", (0, 1, 2))
    assert not torch.allclose(new[:, :3], old, atol=1e-2)
    old, new = first_weights("RANDOM", (2, 1, 0), bands=3)
    assert torch.allclose(new, old[:, [2, 1, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"resize_to": 100}, "RESIZE_TO=100 must be a multiple of 32"),
        ({"weight_init_scheme": "BLUE"}, "There is no WEIGHT_INIT_SCHEME 'BLUE'"),
        ({"extract_bands": "nir"}, "EXTRACT_BANDS names 'nir'"),
    ],
)
def test_wrong_input_is_one_sentence(make_folder, tmp_path, more, sentence):
    folder = make_folder("Classified_Tiles", count=4)
    with pytest.raises(InputError) as caught:
        train(options(folder, tmp_path / "never", **more), Progress())
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"model_type": "FCN", "backbone": "resnet50"}, "BACKBONE=resnet50 is not used: FCN has"),
        (
            {"weight_init_scheme": "RED_BAND"},
            "WEIGHT_INIT_SCHEME=RED_BAND is not used: all weights",
        ),
        ({"chip_size": 128}, "CHIP_SIZE=128 is larger than the chips, 64 by 64 pixels"),
        ({}, ""),
    ],
)
def test_what_changes_nothing_is_told(make_folder, more, sentence):
    folder = make_folder("Classified_Tiles", count=2)
    notes = " ".join(prepared(str(folder), **more).notes)
    assert sentence in notes and ("is not used" in notes or "larger" in notes) == bool(sentence)


@pytest.mark.parametrize("scheme", ["RANDOM", "RED_BAND", "ALL_RANDOM"])
def test_all_random_is_for_three_bands_too(make_folder, tmp_path, scheme):
    from torchvision.models import resnet18

    file = tmp_path / "weights.pth"
    known = resnet18(weights=None).state_dict()
    torch.save(known, file)
    folder = make_folder("Classified_Tiles", count=2)
    more = {"backbone": "resnet18", "weights": str(file), "weight_init_scheme": scheme}
    chosen = options(folder, tmp_path / "out", **more)
    preparation = prepare(chosen, Phase(Progress(), "Reading", 1, "chips"))
    module = build_module(chosen, preparation, True, Progress())
    module.rest(True)
    first = first_convolution(module.network.encoder)
    anew = scheme == "ALL_RANDOM"
    assert torch.equal(first.weight, known["conv1.weight"]) != anew
    assert first.weight.requires_grad == anew
    unused = "no bands but the first three" in " ".join(preparation.notes)
    assert unused == (scheme == "RED_BAND")
