"""A cassette file as checked fields: from YAML or JSON to values of known types, or the place that is wrong.

The file is somebody's, and anything may be in it. So the YAML is read with plain types only (str, bytes,
None, list, dict), and whatever cannot be used is a `BrokenFileError` with the place, line and column or the
way to a field, and a reason that never quotes the file: it holds prompts and answers.

The time goes into the scanning of the YAML, some 50 ns a byte with libyaml. Which fields there are, and
what is made of them, is told in `cassettes`.
"""

from __future__ import annotations

import base64
import functools
import re
from typing import TYPE_CHECKING, Any

import orjson

from deltawire._content_encoding import MAX_BYTES, TooLargeError, undo

if TYPE_CHECKING:
    from collections.abc import Iterator

# A duration as Go writes it. The micro sign has two code points; "ms" must stand before "m".
_NANOSECONDS = {"ns": 1, "us": 1e3, "\xb5s": 1e3, "\u03bcs": 1e3, "ms": 1e6, "s": 1e9, "m": 6e10, "h": 3.6e12}
_DURATION_PART = re.compile(rf"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)({'|'.join(_NANOSECONDS)})")
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern})+")

_KINDS = {dict: "a mapping", list: "a list", str: "text", bytes: "bytes", bool: "a truth value"}


class BrokenFileError(Exception):
    """What is wrong with a cassette: `args` are the place and the reason of a CassetteError."""


def decode(data: bytes, *, json: bool) -> object:
    """Decode a whole file. `json` says that it is JSON; else what begins with a brace is."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BrokenFileError(_place_after(data[: error.start].decode()), "not UTF-8") from None
    if not text.strip():
        raise BrokenFileError("", "the file is empty")
    # JSON is nearly YAML; but YAML knows no surrogate pairs in escapes, and orjson is faster.
    return _from_json(text) if json or text.lstrip()[0] == "{" else _from_yaml(text)


def _from_json(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BrokenFileError(place, f"not valid JSON: {error.msg}") from None


def _from_yaml(text: str) -> object:
    try:
        import yaml
    except ModuleNotFoundError:
        message = "a cassette in YAML needs PyYAML: pip install 'deltawire[replay]'"
        raise ModuleNotFoundError(message, name="yaml") from None
    try:
        return yaml.load(text, _yaml_loader())  # noqa: S506 -- it makes plain objects only
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        # Two of PyYAML's texts end in a name out of the file.
        problem = re.sub(r"(alias|handle) .*", r"\1", error.problem or "malformed", flags=re.DOTALL)
        raise BrokenFileError(place, f"not valid YAML: {problem}") from None
    except yaml.reader.ReaderError:
        found = yaml.reader.Reader.NON_PRINTABLE.search(text)
        place = _place_after(text[: found.start()]) if found else ""
        raise BrokenFileError(place, "not valid YAML: a control character, unescaped") from None
    except RecursionError:
        raise BrokenFileError("", "not a cassette: nested too deeply") from None
    except (ValueError, OverflowError):
        raise BrokenFileError("", "not valid YAML: a number out of range") from None


@functools.cache
def _yaml_loader() -> Any:
    """Make a loader of str, bytes, None, list and dict, and of nothing else."""
    import yaml
    from yaml.composer import Composer
    from yaml.constructor import ConstructorError

    base: Any = yaml.SafeLoader
    if yaml.__with_libyaml__:
        # libyaml scans, but its binding composes by recursion in C, without a limit: a file of a hundred
        # thousand brackets would end the process. Python's composer raises RecursionError.
        class Base(Composer, yaml.CSafeLoader):
            def __init__(self, stream: str) -> None:
                yaml.CSafeLoader.__init__(self, stream)
                Composer.__init__(self)

        base = Base

    def binary(loader: Any, node: Any) -> bytes:
        try:
            return _from_base64(loader.construct_scalar(node))
        except ValueError:
            raise ConstructorError(None, None, "bad base64", node.start_mark) from None

    def foreign(_loader: Any, node: Any) -> object:
        raise ConstructorError(None, None, "a tag that cassettes do not have", node.start_mark)

    tag = "tag:yaml.org,2002:"
    safe = yaml.SafeLoader.yaml_constructors
    constructors: dict[Any, Any] = {tag + name: safe[tag + name] for name in ("null", "seq", "map")}
    constructors |= {tag + name: safe[tag + "str"] for name in ("str", "bool", "int", "float", "timestamp")}
    # Only null is told from text by its look: a body `123`, `no` or `2020-01-01` stays what it is.
    resolvers = {
        first: [(name, pattern) for name, pattern in known if name == tag + "null"]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    members = {
        "yaml_constructors": {**constructors, tag + "binary": binary, None: foreign},
        "yaml_implicit_resolvers": resolvers,
        # No merge keys: they are in no cassette, and a few lines of them can fill the memory.
        "flatten_mapping": lambda _loader, _node: None,
    }
    return type("CassetteLoader", (base,), members)


def _place_after(before: str) -> str:
    return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


def _from_base64(text: str) -> bytes:
    # Line breaks are part of it, anything else is not; base64.decodebytes would pass over both.
    return base64.b64decode("".join(text.split()), validate=True)


class Fields:
    """A mapping of the file and the way to it, which its errors name."""

    def __init__(self, value: object, place: str = "") -> None:
        if not isinstance(value, dict):
            raise BrokenFileError(place or "top level", f"expected a mapping, found {_kind(value)}")
        self._value: dict[object, object] = value
        self._place = place

    def _at(self, key: str) -> str:
        return f"{self._place}.{key}" if self._place else key

    def _get(self, key: str) -> object:
        if key not in self._value:
            raise BrokenFileError(self._at(key), "missing")
        return self._value[key]

    def fields(self, key: str) -> Fields:
        """Give a mapping within this one."""
        return Fields(self._get(key), self._at(key))

    def items(self, key: str) -> Iterator[Fields]:
        """Give the mappings of a list that has at least one."""
        values = self._get(key)
        if values is not None and not isinstance(values, list):
            raise BrokenFileError(self._at(key), f"expected a list, found {_kind(values)}")
        if not values:
            raise BrokenFileError(self._at(key), "nothing was recorded")
        for number, value in enumerate(values):
            yield Fields(value, f"{self._at(key)}[{number}]")

    def text(self, key: str) -> str:
        """Give a text."""
        return _text(self._get(key), self._at(key))

    def number(self, key: str, pattern: str, reason: str) -> int:
        """Give a whole number, which YAML holds as text and JSON may; `pattern` says which."""
        value = self._get(key)
        if not isinstance(value, str | int) or not re.fullmatch(pattern, str(value)):
            raise BrokenFileError(self._at(key), reason)
        return int(value)

    def duration(self, key: str) -> float | None:
        """Give a duration in seconds; None where there is none."""
        if self._value.get(key) in (None, ""):
            return None
        text = self.text(key)
        if _DURATION.fullmatch(text):
            total = sum(float(number) * _NANOSECONDS[unit] for number, unit in _DURATION_PART.findall(text))
            if total <= 2**63:  # Go's own limit, some 292 years; it also keeps out what is not finite
                return total / 1e9
        raise BrokenFileError(self._at(key), "not a duration as Go writes it, such as 1m2.5s")

    def headers(self, key: str) -> dict[str, list[str]]:
        """Give headers, each one value or a list of them; none where there are none."""
        if self._value.get(key) is None:
            return {}
        place = self._at(key)
        headers: dict[str, list[str]] = {}
        for name, values in self.fields(key)._value.items():  # noqa: SLF001 -- of its own class
            listed = values if isinstance(values, list) else [values]
            headers[_text(name, place)] = [_text(value, place) for value in listed]
        return headers

    def body(self, key: str, *, wrapped: bool, encoding: str = "") -> bytes:
        """Give a body, text as UTF-8; `wrapped` bodies may stand in a mapping, as VCR.py writes them.

        `encoding` is the Content-Encoding, which is undone.
        """
        try:
            return undo(self._recorded(key, wrapped=wrapped), encoding)
        except TooLargeError:
            raise BrokenFileError(self._at(key), f"decompresses to more than {MAX_BYTES:,} bytes") from None

    def _recorded(self, key: str, *, wrapped: bool) -> bytes:
        value, place = self._get(key), self._at(key)
        if wrapped and isinstance(value, dict):
            within = self.fields(key)
            if "base64_string" not in value:
                return within.body("string", wrapped=False)
            try:
                return _from_base64(within.text("base64_string"))
            except ValueError:
                raise BrokenFileError(f"{place}.base64_string", "bad base64") from None
        if value is None:
            return b""
        if isinstance(value, bytes):
            return value
        try:
            return _text(value, place).encode()
        except UnicodeEncodeError:
            raise BrokenFileError(place, "not Unicode: half of a surrogate pair") from None


def _text(value: object, place: str) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")  # as HTTP reads the bytes of a header
    if not isinstance(value, str):
        raise BrokenFileError(place, f"expected text, found {_kind(value)}")
    return value


def _kind(value: object) -> str:
    return "null" if value is None else _KINDS.get(type(value), "a number")
