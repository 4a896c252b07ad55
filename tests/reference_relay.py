"""The slow, obvious twin of the relay's rules: on decoded values, one event at a time, nothing to splice.

Nothing of deltawire is imported here. A body is taken apart by `reference`, the twin of the event parser.
"""

from __future__ import annotations

import json
from typing import Any

ENVELOPE = {"id", "object", "created", "model", "system_fingerprint", "service_tier", "provider"}
ENVELOPE |= {"obfuscation", "usage", "choices"}
DROPPED = object()


def apply(
    payload: Any,
    *,
    set: dict[str, Any] | None = None,  # noqa: A002
    remove: set[str] | None = None,
    usage: str = "keep",
) -> Any:
    """Apply the rules to the decoded payload of one event; DROPPED if nothing of it is sent on."""
    if not isinstance(payload, dict):
        return payload
    made = dict(payload)
    if usage == "drop" and is_chunk(payload):
        if is_usage_only(payload):
            return DROPPED
        made.pop("usage", None)
        if isinstance(made.get("x_groq"), dict):
            made["x_groq"] = without_usage(made["x_groq"])
        if isinstance(made.get("choices"), list):
            made["choices"] = [without_usage(choice) for choice in made["choices"]]
    for key in remove or ():
        made.pop(key, None)
    for key, value in (set or {}).items():
        if key in made:
            made[key] = value
    return made


def without_usage(value: Any) -> Any:
    return {key: of for key, of in value.items() if key != "usage"} if isinstance(value, dict) else value


def is_envelope(key: str, value: Any) -> bool:
    return key in ENVELOPE or (key == "x_groq" and not (isinstance(value, dict) and "error" in value))


def is_chunk(payload: dict[str, Any]) -> bool:
    return "choices" in payload or all(is_envelope(key, value) for key, value in payload.items())


def is_usage_only(payload: dict[str, Any]) -> bool:
    nothing = payload.get("choices") is None or payload["choices"] == []
    known = all(is_envelope(key, value) for key, value in payload.items())
    return isinstance(payload.get("usage"), dict) and nothing and known


def decoded(data: str) -> Any:
    """Decode the data of an event; text stands for itself where it is no JSON."""
    try:
        return json.loads(data, parse_constant=_no_constant)
    except ValueError:
        return data


def _no_constant(name: str) -> Any:
    raise ValueError(name)
