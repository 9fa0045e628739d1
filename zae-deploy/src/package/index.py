"""Starts the native function on a Python runtime: there it takes this process's place, and answers the runtime itself.

It is for functions that were created with Python's inline code. `provided.al2023` starts `bootstrap` without it.
"""

import os

_program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bootstrap")

try:
    os.execv(_program, [_program])
except OSError as error:
    raise RuntimeError(
        f"{_program} does not start on {os.uname().machine}: {error.strerror}. "
        "Give the function the package's architecture with `aws lambda update-function-code --architectures`."
    ) from error
