"""`python -m deltawire` and the console script: runs the command line where its libraries are installed.

They are extras, so nothing but the standard library is imported before it is known that they are there.
"""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and end the process: 0 done, 2 bad input, 130 interrupted."""
    try:
        from deltawire.cli import run

        code = run()
    except ModuleNotFoundError as error:
        if error.name == "yaml":
            reason = str(error)
        elif (library := (error.name or "").partition(".")[0]) in ("starlette", "uvicorn"):
            reason = f"serve needs {library}: pip install 'deltawire[cli,replay,serve]'"
        elif library in ("click", "rich"):
            reason = f"the command line needs {error.name}: pip install 'deltawire[cli,replay]'"
        else:
            raise
        sys.stderr.write(f"deltawire: {reason}\n")
        code = 2
    except KeyboardInterrupt:  # during the imports, too
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
