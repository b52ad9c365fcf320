"""Schemas in files of ours, of ArcGIS and of QGIS."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.samples.document import SchemaDocument, SchemaNode
from geodl_plugin.core.samples.schema import ClassDefinition
from geodl_plugin.core.samples.schema_files import (
    ecs_text,
    json_document,
    json_text,
    open_document,
    read_schema,
    save_document,
)

OAK = SchemaNode(2, "Oak", (10, 120, 30))
PINE = SchemaNode(7, "Pine", (1, 2, 3))
TREE = SchemaNode(9, "Tree", (34, 170, 68), (OAK, PINE))
ROAD = SchemaNode(1, "Road", (200, 30, 30))
DOCUMENT = SchemaDocument((TREE, ROAD), "City")

CATEGORIES = """<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22"><renderer-v2 type="categorizedSymbol" attr="kind">
<categories>
<category symbol="0" value="{one}" label="Tall tree" render="true"/>
<category symbol="1" value="{two}" label="Road" render="true"/>
<category symbol="2" value="" label="" render="true"/>
</categories>
<symbols>
<symbol name="0"><layer class="SimpleFill"><prop k="color" v="1,2,3,255"/>
<prop k="outline_color" v="9,9,9,255"/></layer></symbol>
<symbol name="1"><layer class="SimpleFill"><Option type="Map">
<Option name="color" type="QString" value="0,0,0,0,rgb:0,0,0,0"/>
<Option name="outline_color" type="QString" value="200,30,30,255,rgb:0.78,0.12,0.12,1"/>
</Option></layer></symbol>
</symbols></renderer-v2></qgis>"""

PALETTE = """<qgis><pipe><rasterrenderer type="paletted"><colorPalette>
<paletteEntry value="4" color="#22aa44" label="Forest" alpha="255"/>
<paletteEntry value="11" color="#0000ff" label="Water" alpha="255"/>
</colorPalette></rasterrenderer></pipe></qgis>"""


def nodes():
    """Random documents: values and names of their own, nested at random."""
    colors = st.tuples(*[st.integers(0, 255)] * 3)
    names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)

    @st.composite
    def document(draw):
        classes = draw(
            st.lists(
                st.tuples(st.integers(0, 65_534), names, colors),
                min_size=1,
                max_size=8,
                unique_by=(lambda each: each[0], lambda each: each[1]),
            )
        )
        made = SchemaDocument(name=draw(names))
        values = []
        for value, name, color in classes:
            inside = draw(st.sampled_from([None, *values]))
            made = made.added(SchemaNode(value, name, color), inside)
            values.append(value)
        return made

    return document()


@given(nodes())
def test_a_document_survives_both_formats(document):
    assert json_document(json_text(document)) == document
    assert json_document(ecs_text(document)) == document


@pytest.mark.parametrize("suffix", [".json", ".ecs"])
def test_saved_is_read_again(tmp_path, suffix):
    path = tmp_path / "deep" / f"schema ü{suffix}"
    save_document(DOCUMENT, path)
    assert open_document(path) == DOCUMENT
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert read_schema(str(path)).values == (1, 2, 7, 9)


@pytest.mark.parametrize(
    "content",
    [
        {"Classes": [{"Classname": "Oak", "Classvalue": 2, "Color": [10, 120, 30]}]},
        {"schema": {"classes": [{"name": "Oak", "value": "2", "color": "#0a781e"}]}},
        {"Classes": {"Class": {"ClassName": "Oak", "ClassValue": 2.0, "RED": 10, "GREEN": 120,
                               "BLUE": 30}}},
        [{"name": "Oak", "value": 2, "color": "10,120,30", "Classes": []}],
        [{"Name": "Oak", "Value": 2, "Color": {"type": "rgb", "values": [10, 120, 30, 100]}}],
    ],
)  # fmt: skip
def test_many_spellings_are_one_class(tmp_path, content):
    path = tmp_path / "other.ecs"
    path.write_text(json.dumps(content), encoding="utf-8-sig")
    assert open_document(path).nodes == (OAK,)


def test_classes_without_colours_get_some(tmp_path):
    document = json_document('{"Classes": [{"Name": "a", "Value": 1}, {"Name": "b", "Value": 2}]}')
    one, two = document.nodes
    assert one.color != two.color


def test_a_schema_in_xml_is_read(tmp_path):
    path = tmp_path / "schema.ecs"
    path.write_text(
        "<Schema><Classes><Class><Classname>Oak</Classname><Classvalue>2</Classvalue>"
        "<Color>10 120 30</Color></Class><Class><Classname>Pine</Classname>"
        "<Classvalue>7</Classvalue><Color>1,2,3</Color></Class></Classes></Schema>",
        encoding="utf-8",
    )
    assert open_document(path).nodes == (OAK, PINE)


def test_a_style_by_numbers_keeps_them_and_is_named_by_its_legend(tmp_path):
    path = tmp_path / "style.qml"
    path.write_text(CATEGORIES.format(one="5", two="3"), encoding="utf-8")
    assert read_schema(str(path)).classes == (
        ClassDefinition(3, "Road", (200, 30, 30)),
        ClassDefinition(5, "Tall tree", (1, 2, 3)),
    )


def test_a_style_by_text_is_counted(tmp_path):
    path = tmp_path / "style.qml"
    path.write_text(CATEGORIES.format(one="tree", two="road"), encoding="utf-8")
    assert str(read_schema(str(path))) == "1 tree, 2 road"


def test_the_palette_of_a_raster_is_read(tmp_path):
    path = tmp_path / "style.qml"
    path.write_text(PALETTE, encoding="utf-8")
    assert read_schema(str(path)).classes == (
        ClassDefinition(4, "Forest", (0x22, 0xAA, 0x44)),
        ClassDefinition(11, "Water", (0, 0, 255)),
    )


def test_text_is_no_file():
    assert read_schema("1:Oak.json;2:Pine").names == ("Oak.json", "Pine")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: .*No such file"),
        ("", "is no JSON"),
        ("{", "is no JSON"),
        ('{"a": [1, true, null]}', "There are no classes in"),
        ("<qgis>", "cannot be read"),
        ("<qgis/>", "There are no classes in"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "declares entities"),
        ('[{"name": "a", "value": 1}, {"name": "b", "value": 1}]', "have the same value 1"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path, content, message):
    path = tmp_path / "schema.json"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_schema(str(path))


def test_every_change_is_another_document():
    document = DOCUMENT.replaced(2, ClassDefinition(3, "Red oak", (9, 9, 9)))
    assert document.find(3).name == "Red oak"
    assert document.find(2) is None
    assert DOCUMENT.find(2) == OAK
    assert [each.value for each in DOCUMENT.removed(9).nodes] == [2, 7, 1]
    assert [each.value for each in DOCUMENT.moved(1, -1).nodes] == [1, 9]
    assert [each.value for each in DOCUMENT.moved(7, -1).nodes[0].children] == [7, 2]
    assert DOCUMENT.moved(9, -1) == DOCUMENT
    assert [each.value for each in DOCUMENT.added(SchemaNode(4, "Ash", (0, 0, 0)), 9).walk()] == [
        9, 2, 7, 4, 1,
    ]  # fmt: skip


def test_a_new_class_has_a_name_value_and_colour_of_its_own():
    document = DOCUMENT
    for _ in range(3):
        document = document.added(document.new_class("Road"))
    document.check()
    assert [each.name for each in document.nodes[2:]] == ["Road 2", "Road 3", "Road 4"]
    assert len({each.color for each in document.walk()}) == len(document)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (SchemaNode(3, " ", (0, 0, 0)), "has no name"),
        (SchemaNode(3, "Oak", (0, 0, 0)), "two classes 'Oak'"),
        (SchemaNode(2, "Ash", (0, 0, 0)), "have the same value 2"),
        (SchemaNode(65_535, "Ash", (0, 0, 0)), "cannot have the value 65535"),
        (SchemaNode(-1, "Ash", (0, 0, 0)), "cannot have the value -1"),
    ],
)
def test_what_is_no_schema_is_one_sentence(node, message):
    with pytest.raises(InputError, match=message):
        DOCUMENT.added(node).check()
