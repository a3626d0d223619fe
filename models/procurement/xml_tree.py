"""XML as partners send it: read by expat without document types, entities or network, bounded in
size, depth and number of elements; and written as text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from models.procurement import exact_numbers
from models.procurement.codec import check_size
from models.procurement.messages import MessageError
from models.procurement.x12 import UNSAYABLE
from models.safe_names import legible

#: What one document may have at most.
MOST_ELEMENTS, DEEPEST = 250_000, 40
#: Code points that are no signs.
NONSIGNS = frozenset("\ufffe\uffff")


@dataclass(slots=True)
class Node:
    """An element: its name as prefix:local, its own text, and its children in order."""

    name: str
    attributes: Mapping[str, str]
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def all(self, *path: str) -> list[Node]:
        """Every element at the end of a path of names."""
        found = [self]
        for name in path:
            found = [child for node in found for child in node.children if child.name == name]
        return found

    def first(self, *path: str) -> Node | None:
        """The first element at the end of a path, None where there is none."""
        return next(iter(self.all(*path)), None)

    def get(self, *path: str) -> str:
        """The text at the end of a path, empty where there is none."""
        found = self.first(*path)
        return found.text.strip() if found is not None else ""

    def need(self, *path: str) -> str:
        """The text at the end of a path. Raises MessageError where there is none."""
        found = self.get(*path)
        if not found:
            raise MessageError(f"{'/'.join((self.name, *path))} is missing")
        return found

    def whole(self, *path: str) -> int:
        """The text at a path as a whole number. Raises MessageError where it is missing or none."""
        return exact_numbers.whole(self.need(*path), "/".join(path))


class _Builder:
    """Puts together what expat tells, within bounds. names: prefixes by namespace."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names
        self.top: Node | None = None
        self.open: list[Node] = []
        self.texts: list[list[str]] = []
        self.count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.count += 1 + len(attributes)
        if self.count > MOST_ELEMENTS:
            raise MessageError(f"it has more than {MOST_ELEMENTS:,} elements and attributes")
        if len(self.open) >= DEEPEST:
            raise MessageError(f"its elements stand more than {DEEPEST} deep in each other")
        space, _, local = name.rpartition(" ")
        prefix = self.names.get(space, legible(space, 80))
        node = Node(f"{prefix}:{local}", attributes)
        if self.open:
            self.open[-1].children.append(node)
        else:
            self.top = node
        self.open.append(node)
        self.texts.append([])

    def text(self, text: str) -> None:
        self.texts[-1].append(text)

    def end(self, name: str) -> None:
        self.open.pop().text = "".join(self.texts.pop())

    def doctype(self, *said: Any) -> None:
        raise MessageError("it declares a document type; documents with one are not read")


def read(body: bytes, names: Mapping[str, str]) -> Node:
    """The top element of a document, every name under the prefix its namespace has in `names`.

    Raises MessageError for what is not well-formed, declares a document type (and so for every
    entity of its own), or is beyond the bounds.
    """
    check_size(body)
    builder = _Builder(names)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.doctype
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise MessageError(
            f"it is no XML: {expat.ErrorString(error.code)} in line {error.lineno}, column "
            f"{error.offset + 1}"
        ) from error
    except (LookupError, ValueError) as error:
        if isinstance(error, MessageError):
            raise
        raise MessageError("it is in a character set that is not read here") from error
    if builder.top is None:
        raise MessageError("it has no element")
    return builder.top


#: An element to write: its name, its attributes, and its text or its children.
Element = tuple[str, Mapping[str, str], "str | Sequence[Element]"]


def element(name: str, inside: str | Sequence[Element] = "", **attributes: str) -> Element:
    """An element to write."""
    return name, attributes, inside


def write(top: Element) -> bytes:
    """A document in UTF-8. Raises MessageError for text that XML cannot hold."""
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + "".join(_lines(top, ""))).encode()


def _lines(element: Element, indent: str) -> Iterator[str]:
    name, attributes, inside = element
    head = name + "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    if isinstance(inside, str):
        yield f"{indent}<{head}>{escape(_sayable(inside))}</{name}>\n"
        return
    yield f"{indent}<{head}>\n"
    for child in inside:
        yield from _lines(child, indent + "  ")
    yield f"{indent}</{name}>\n"


def _sayable(text: str) -> str:
    odd = UNSAYABLE.intersection(map(unicodedata.category, text)) or {"\ufffe", "\uffff"} & set(
        text
    )
    if odd:
        raise MessageError(f"'{legible(text, 60)}' has a sign in it that XML cannot hold")
    return text
