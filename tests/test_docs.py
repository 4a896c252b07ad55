"""What the documentation names is there: links, files, and what its Python imports."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# Where a file may be that is named without its folder, as `_relaying.py` is beside others of its folder.
FOLDERS = ("rust/core/src", "rust/py/src", "python/deltawire", "tests", "benches", "examples")

each_page = pytest.mark.parametrize(
    "page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES]
)


@each_page
def test_every_link_to_a_file_leads_there(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@each_page
def test_every_file_that_is_named_is_there(page: Path) -> None:
    named = re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:rs|py|pyi|json|toml|yml|yaml))`", page.read_text())
    named += re.findall(r"`((?:rust|python|tests|benches|docs|examples)/[\w/.-]*)`", page.read_text())
    assert [name for name in named if not is_there(name)] == []


def is_there(name: str) -> bool:
    if (ROOT / name).exists():
        return True
    return any(path.match(name) for folder in FOLDERS for path in (ROOT / folder).rglob(Path(name).name))


@each_page
def test_the_python_shown_parses_and_imports_what_deltawire_has(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or litellm fetches it when it is imported
    # What is shown of an example stands in it, as test_examples.py holds, and may end within a statement.
    for code in re.findall(r"```python\n(?!# examples/)(.*?)```", page.read_text(), re.DOTALL):
        for node in ast.walk(ast.parse("async def page():\n" + textwrap.indent(code, "    "))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("deltawire"):
                if node.module == "deltawire.compat.litellm":
                    pytest.importorskip("litellm", reason="LiteLLM is not installed")
                exec(ast.unparse(node), {})
