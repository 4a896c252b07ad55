"""What a recorded exchange is, by its headers and body: where from, how compressed, and if it can be read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from deltawire._content_encoding import hint, is_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deltawire.cassettes import Response

_FIELD = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:data|event|id|retry)?:")


def header(headers: Mapping[str, Sequence[str]], name: str) -> str | None:
    """Give the value of a header, all of them if it was sent several times; None if it was not."""
    found = (", ".join(values) for given, values in headers.items() if given.lower() == name)
    return next(found, None)


def encoding_of(headers: Mapping[str, Sequence[str]]) -> str:
    """Give the Content-Encoding in small letters; `""` where there is none."""
    encoding = (header(headers, "content-encoding") or "").strip().lower()
    return "" if encoding == "identity" else encoding


def host_of(url: str) -> str:
    """Give the host of a URL; `""` where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def why_skipped(response: Response) -> str | None:
    """Tell what a response is if it is no event stream that can be read, else None."""
    # Recorders drop headers and servers send wrong ones, so a body that begins as one is one.
    if _FIELD.match(response.body):
        return None
    content_type = (header(response.headers, "content-type") or "").lower()
    if "text/event-stream" not in content_type:
        return f"no event stream: {content_type.partition(';')[0] or 'no content type'}"
    encoding = encoding_of(response.headers)
    if encoding and not is_text(response.body):
        return f"recorded compressed: {encoding}, {hint(encoding)}"
    return None
