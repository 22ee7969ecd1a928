"""Who runs this process, as the operating system knows it: the environment can name anybody."""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":

    def account_name() -> str:
        """Name of the account, asked from Windows."""
        return os.getlogin()

else:
    import pwd

    def account_name() -> str:
        """Name of the account with the real user id, or its number when it has none."""
        number = os.getuid()
        try:
            return pwd.getpwuid(number).pw_name
        except KeyError:
            return f"uid {number}"
