"""litellm, where it is installed: its typed chunk and its assembler.

It is a large gateway with many dependencies of its own, and asks for narrow versions of some, so it is left
out where it does not fit. Its import takes seconds, and is put off until it is used; it reaches for a price
list on the net unless told not to.
"""

import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

MISSING = find_spec("litellm") is None


@cache
def parts() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Give the class of its chunks, and the function that assembles them."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from litellm import stream_chunk_builder
    from litellm.types.utils import ModelResponseStream

    return ModelResponseStream, stream_chunk_builder
