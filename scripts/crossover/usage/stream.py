"""Exports read as a stream: a file of any size in little memory, and every line number known.

JSON is read element by element: of a top-level list, of the list under an envelope's key, or document after document
(JSON Lines, or pages one behind the other). One element must fit into memory, the file need not.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from scripts.crossover.usage.record import BadExport, Place

CHUNK = 1 << 20
MOST_OF_AN_ELEMENT = 1 << 26
"""Characters: a day of 64 MiB is no usage report."""
SNIFFED = 1 << 16
UNTERMINATED = "Unterminated string"
LONGEST_SIGN = len("-Infinity")
"""Where the text is cut, the decoder finds fault at most so far before its end, but for an unterminated string."""

OTHERWISE_WRITTEN = {
    b"\x1f\x8b": "is compressed (gzip); unpack it first",
    b"BZh": "is compressed (bzip2); unpack it first",
    b"\xfd7zXZ": "is compressed (xz); unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed (zstd); unpack it first",
    b"PK\x03\x04": "is a zip archive or a spreadsheet; export CSV or JSON",
    b"PAR1": "is Parquet; export CSV or JSON",
    b"\xff\xfe": "is UTF-16; save it as UTF-8",
    b"\xfe\xff": "is UTF-16; save it as UTF-8",
}
"""What a file's first bytes tell."""

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


class Export:
    """One export, to be read once. `name` is what it is called in messages: a path as it was given, or a host."""

    def __init__(self, name: str, raw: BinaryIO) -> None:
        self.name = name
        self._raw, self._hash, self._lines = raw, hashlib.sha256(), 1
        text = codecs.getincrementaldecoder("utf-8-sig")()
        self._decoder = io.IncrementalNewlineDecoder(text, translate=True)
        self.start = self._read(SNIFFED)
        """The first characters, to tell the format by."""
        if not self.start.strip():
            raise Place(name, 1).bad("is empty")
        if "\0" in self.start:
            raise BadExport(f"{name}: is binary, or UTF-16; export text as UTF-8")
        self._waiting = self.start
        self.place = Place(name, 1)
        """Of the element or row that was read last."""

    @classmethod
    def open(cls, path: Path) -> Export:
        """Raises BadExport where the file cannot be read, is empty, or is not UTF-8."""
        try:
            raw = path.open("rb")
            first = raw.peek(len(max(OTHERWISE_WRITTEN, key=len)))
        except OSError as error:
            raise BadExport(f"{path}: cannot be read: {error.strerror}") from None
        for signature, what in OTHERWISE_WRITTEN.items():
            if first.startswith(signature):
                raw.close()
                raise BadExport(f"{path}: {what}")
        return cls(str(path), raw)

    @property
    def sha256(self) -> str:
        """Of all that was read: of the file, once it was read to its end."""
        return self._hash.hexdigest()

    def read(self, size: int) -> str:
        """About so many characters, each line's end as "\\n"; "" at the end. Raises BadExport."""
        if self._waiting:
            taken, self._waiting = self._waiting, ""
            return taken
        return self._read(size)

    def _read(self, size: int) -> str:
        chunk, ended = "", False
        while not (chunk or ended):  # so few bytes may end within a character
            try:
                data = self._raw.read(size)
                chunk = self._decoder.decode(data, final=not data)
            except OSError as error:
                raise Place(self.name, self._lines).bad(f"cannot be read on: {error.strerror}") from None
            except UnicodeDecodeError as error:
                line = self._lines + error.object.count(b"\n", 0, error.start)
                byte = error.object[error.start]
                raise Place(self.name, line).bad(f"not UTF-8 (byte {byte:#x})") from None
            self._hash.update(data)
            ended = not data
        self._lines += chunk.count("\n")
        return chunk

    def close(self) -> None:
        self._raw.close()

    def lines(self) -> Iterator[str]:
        """Line by line."""
        rest = ""
        while chunk := self.read(CHUNK):
            *whole, rest = (rest + chunk).split("\n")
            if len(rest) > MOST_OF_AN_ELEMENT:
                raise Place(self.name, self._lines).bad(f"longer than {MOST_OF_AN_ELEMENT:,} characters")
            for line in whole:
                yield line + "\n"
        if rest:
            yield rest


@dataclass(frozen=True, slots=True)
class Element:
    """One element of an export."""

    value: Any
    place: Place
    envelope: bool = False
    """What stood around a list, once the list was read."""


class _Json:
    """The unread rest of a JSON export."""

    def __init__(self, export: Export) -> None:
        self._export, self._text, self._at, self._ended = export, "", 0, False
        self._line, self._counted = 1, 0
        """The line on which the character before `_counted` ends."""

    def _more(self) -> bool:
        """Reads on; the unread part at most doubles, so that a long element is not decoded too often."""
        if self._ended:
            return False
        parts, wanted = [self._text[self._at :]], max(CHUNK, len(self._text) - self._at)
        while wanted > 0 and (chunk := self._export.read(wanted)):
            parts.append(chunk)
            wanted -= len(chunk)
        self._ended = wanted > 0
        if len(parts) == 1:
            return False
        self._count_lines()
        self._text, self._at, self._counted = "".join(parts), 0, 0
        return True

    def _count_lines(self) -> None:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at

    def place(self, path: str = "") -> Place:
        """Here."""
        self._count_lines()
        return Place(self._export.name, self._line, path)

    def peek(self) -> str:
        """The next character that is no space, "" at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, wanted: str, path: str) -> str:
        """The next character, one of `wanted`. Raises BadExport."""
        found = self.peek()
        if not found:
            raise self.place(path).bad("ends in the middle; is the file truncated?")
        if found not in wanted:
            raise self.place(path).bad(f"not JSON: expected {' or '.join(wanted)}, got {found!r}")
        self._at += 1
        return found

    def value(self, path: str) -> Any:
        """The next value, whole. Raises BadExport."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
                if end < len(self._text) or not self._more():  # a number may go on in the next chunk
                    self._at = end
                    return value
            except RecursionError:
                raise self.place(path).bad("not JSON: nested too deeply") from None
            except ValueError as error:
                if self._is_final(error) or not self._more():
                    raise self._broken(error, path) from None

    def _is_final(self, error: ValueError) -> bool:
        """Whether more of the file would not mend it, or more is not read."""
        if not isinstance(error, json.JSONDecodeError) or self._too_long:
            return True
        return not error.msg.startswith(UNTERMINATED) and error.pos < len(self._text) - LONGEST_SIGN

    @property
    def _too_long(self) -> bool:
        return len(self._text) - self._at > MOST_OF_AN_ELEMENT

    def _broken(self, error: ValueError, path: str) -> BadExport:
        if not isinstance(error, json.JSONDecodeError):
            return self.place(path).bad("not JSON: an absurdly long number")
        unterminated = error.msg.startswith(UNTERMINATED)
        if unterminated or error.pos >= len(self._text.rstrip()) - LONGEST_SIGN:
            if self._too_long:
                return self.place(path).bad(f"is one value of over {MOST_OF_AN_ELEMENT:,} characters")
            if unterminated or error.pos >= len(self._text.rstrip()):
                return self.place(path).bad("ends in the middle; is the file truncated?")
        line = self._line + self._text.count("\n", self._counted, error.pos)
        return Place(self._export.name, line, path).bad(f"not JSON: {error.msg}")


def elements(export: Export, lists: frozenset[str]) -> Iterator[Element]:
    """All elements of a JSON export. `lists` are the keys under which an envelope keeps its list. Raises BadExport."""
    reader = _Json(export)
    while found := reader.peek():
        if found not in "[{":
            raise reader.place().bad(f"not JSON: expected {{ or [, got {found!r}")
        for element in _list(reader, "") if found == "[" else _document(reader, lists, ""):
            export.place = element.place
            yield element


def _list(reader: _Json, path: str) -> Iterator[Element]:
    reader.take("[", path)
    if reader.peek() == "]":
        reader.take("]", path)
        return
    number = 0
    while True:
        inner = f"{path}[{number}]"
        reader.peek()
        place = reader.place(inner)
        yield Element(reader.value(inner), place)
        number += 1
        if reader.take(",]", inner) == "]":
            return


def _document(reader: _Json, lists: frozenset[str], path: str) -> Iterator[Element]:
    """An envelope, whose list is streamed; or a record of its own."""
    reader.peek()
    place, rest, streamed = reader.place(path), dict[str, Any](), False
    reader.take("{", path)
    found = reader.take("}", path) if reader.peek() == "}" else ","
    while found == ",":
        if (quote := reader.peek()) not in ('"', ""):
            raise reader.place(path).bad(f"not JSON: expected a key, got {quote!r}")
        key = reader.value(path)
        reader.take(":", path)
        inner = f"{path}.{key}" if path else str(key)
        if key in lists and (opening := reader.peek()) in ("[", "{"):
            streamed = True
            yield from _list(reader, inner) if opening == "[" else _document(reader, lists, inner)
        else:
            rest[key] = reader.value(inner)
        found = reader.take(",}", inner)
    yield Element(rest, place, envelope=streamed)
