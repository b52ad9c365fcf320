"""A schema as people arrange it: classes in their own order, with classes inside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from ..errors import InputError
from .schema import ClassDefinition, Color, Schema, default_color

VALUE_LIMIT = 65_534  # 16 bits of a class raster less 0 and no data


@dataclass(frozen=True)
class SchemaNode:
    """A class and the classes inside it."""

    value: int
    name: str
    color: Color
    children: tuple[SchemaNode, ...] = ()

    @property
    def definition(self) -> ClassDefinition:
        """The class by itself."""
        return ClassDefinition(self.value, self.name, self.color)

    def walk(self) -> Iterator[SchemaNode]:
        """Yield this class and all inside it, from above to below."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True)
class SchemaDocument:
    """Classes in the order and nesting that their author gave them.

    Every change returns another document, so that a step back is the document before.
    """

    nodes: tuple[SchemaNode, ...] = ()
    name: str = ""

    @classmethod
    def of_schema(cls, schema: Schema, name: str = "") -> SchemaDocument:
        """Return the document of classes without nesting."""
        nodes = tuple(SchemaNode(each.value, each.name, each.color) for each in schema.classes)
        return cls(nodes, name)

    def walk(self) -> Iterator[SchemaNode]:
        """Yield all classes, from above to below."""
        for node in self.nodes:
            yield from node.walk()

    def __len__(self) -> int:
        return sum(1 for _ in self.walk())

    def schema(self) -> Schema:
        """Return the classes without their nesting, ordered by value.

        Raises:
            InputError: when two classes have the same value.
        """
        return Schema.of(node.definition for node in self.walk())

    def check(self) -> None:
        """Raise :class:`InputError` unless every class has a name and its own usable value."""
        names: set[str] = set()
        for node in self.walk():
            if not node.name.strip():
                raise InputError(f"The class {node.value} has no name. Give it one.")
            if not 0 <= node.value <= VALUE_LIMIT:
                raise InputError(
                    f"The class '{node.name}' cannot have the value {node.value}. "
                    f"Use a whole number from 0 to {VALUE_LIMIT}."
                )
            if node.name in names:
                raise InputError(f"There are two classes '{node.name}'. Rename one of them.")
            names.add(node.name)
        self.schema()

    def find(self, value: int) -> SchemaNode | None:
        """Return the class with this value."""
        return next((node for node in self.walk() if node.value == value), None)

    def new_class(self, name: str) -> SchemaNode:
        """Return a class that is not in the document yet: next value, colour and free name."""
        names = {node.name for node in self.walk()}
        free, number = name, 2
        while free in names:
            free, number = f"{name} {number}", number + 1
        value = max((node.value for node in self.walk()), default=0) + 1
        colors = {node.color for node in self.walk()}
        place = len(self)
        while default_color(place) in colors:
            place += 1
        return SchemaNode(value, free, default_color(place))

    def added(self, node: SchemaNode, inside: int | None = None) -> SchemaDocument:
        """Return the document with a class more, at the end or inside the class ``inside``."""
        if inside is None:
            return replace(self, nodes=(*self.nodes, node))
        return self._changed(inside, lambda each: (replace(each, children=(*each.children, node)),))

    def replaced(self, value: int, definition: ClassDefinition) -> SchemaDocument:
        """Return the document in which the class ``value`` is renamed, renumbered, recoloured."""
        return self._changed(
            value,
            lambda each: (
                replace(each, value=definition.value, name=definition.name, color=definition.color),
            ),
        )

    def removed(self, value: int) -> SchemaDocument:
        """Return the document without a class; the classes inside it take its place."""
        return self._changed(value, lambda each: each.children)

    def moved(self, value: int, step: int) -> SchemaDocument:
        """Return the document with a class moved up (-1) or down (1) among its neighbours."""

        def move(nodes: tuple[SchemaNode, ...]) -> tuple[SchemaNode, ...]:
            order = list(nodes)
            place = next((i for i, node in enumerate(order) if node.value == value), None)
            if place is None:
                return tuple(replace(each, children=move(each.children)) for each in nodes)
            order.insert(min(max(place + step, 0), len(order) - 1), order.pop(place))
            return tuple(order)

        return replace(self, nodes=move(self.nodes))

    def _changed(
        self, value: int, change: Callable[[SchemaNode], tuple[SchemaNode, ...]]
    ) -> SchemaDocument:
        def walk(nodes: Iterable[SchemaNode]) -> Iterator[SchemaNode]:
            for node in nodes:
                if node.value == value:
                    yield from change(node)
                else:
                    yield replace(node, children=tuple(walk(node.children)))

        return replace(self, nodes=tuple(walk(self.nodes)))
