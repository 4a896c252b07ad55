"""Where `deltawire replay --output` puts completions: one file of JSON a stream, all in one folder.

A file is named after its cassette and the number of the interaction: `name-0.json`. Cassettes of one name
get a number each. Whatever a cassette is called, its files are right in the folder: letters, digits and a
few signs are taken over, the rest is not. A file of that name that is there already is replaced, never
written into, so that a link in the folder leads nowhere; a cassette that is read is not replaced.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deltawire import ChatCompletion

_OTHER = re.compile(r"[^\w.+=@~-]")


def stems(files: Iterable[str]) -> list[str]:
    """Give each cassette a name of its own for its files, also where two have the same one."""
    taken: set[str] = set()
    names = []
    for file in files:
        stem = name = _OTHER.sub("_", Path(file).stem)
        number = 1
        # Compared without case, as some file systems do.
        while name.casefold() in taken:
            number += 1
            name = f"{stem}~{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def write(folder: Path, completions: dict[str, ChatCompletion], cassettes: Iterable[str]) -> None:
    """Write completions into a folder, which is made if there is none.

    Args:
        folder: where to.
        completions: by the name of the file.
        cassettes: the files that are read, and not to be replaced.

    Raises:
        FileExistsError: a file would replace a cassette.
        OSError: the folder or a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    read = {_identity(file) for file in cassettes}
    for name in completions:
        path = folder / name
        if path.exists() and _identity(path) in read:
            raise FileExistsError(None, "is a cassette that is read; choose another folder", str(path))
    for name, completion in completions.items():
        path = folder / name
        path.unlink(missing_ok=True)
        with path.open("xb") as file:
            file.write(to_json(completion))


def to_json(completion: ChatCompletion) -> bytes:
    """Give a completion as JSON for a file: indented, unless it is too deep for that."""
    try:
        return orjson.dumps(completion.to_dict(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # 255 levels; what was read may have 1,024
        return completion.to_json().encode() + b"\n"


def _identity(path: str | Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino
