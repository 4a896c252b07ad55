"""Cassettes for tests, made by hand, and the error that loading one gives."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from deltawire import CassetteError
from deltawire.cassettes import load

RECORDED = sorted((Path(__file__).parent / "cassettes").glob("*.yaml"))


def slow_interactions(path: Path) -> list[dict[str, Any]]:
    """Read a recorded cassette with PyYAML's plain loader, and none of the code that is tested."""
    interactions: list[dict[str, Any]] = yaml.safe_load(path.read_text("utf-8"))["interactions"]
    return interactions


def go_vcr(body: str = '""', *, duration: str = "1s") -> str:
    return (
        "---\nversion: 2\ninteractions:\n- id: 0\n"
        '  request:\n    body: ""\n    headers: {}\n    url: https://api.example.com/v1\n    method: POST\n'
        f"  response:\n    body: {body.removesuffix(chr(10))}\n    headers: {{}}\n    status: 200 OK\n"
        f"    code: 200\n    duration: {duration}\n"
    )


def vcr_py(
    response_body: Any = None, request_body: Any = None, headers: Any = None, code: Any = 200
) -> dict[str, Any]:
    return {
        "interactions": [
            {
                "request": {
                    "method": "POST",
                    "uri": "https://api.example.com/v1",
                    "headers": headers or {},
                    "body": request_body,
                },
                "response": {
                    "status": {"code": code, "message": "OK"},
                    "headers": headers or {},
                    "body": response_body or {"string": ""},
                },
            }
        ],
        "version": 1,
    }


def write(folder: Path, content: str | bytes | dict[str, Any], name: str = "cassette.yaml") -> Path:
    path = folder / name
    if isinstance(content, dict):
        content = json.dumps(content) if name.endswith(".json") else yaml.dump(content)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def error_of(path: str | os.PathLike[str]) -> CassetteError:
    with pytest.raises(CassetteError) as caught:
        load(path)
    assert caught.value.path == os.fspath(path)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value
