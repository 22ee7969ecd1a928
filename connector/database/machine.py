"""Which machine this is, as its operating system numbers it; never told to anybody as it is."""

from __future__ import annotations

import sys
from pathlib import Path

if sys.platform == "win32":
    import winreg

    def machine_number() -> str:
        """Windows' number of this machine; empty when it cannot be read."""
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Cryptography") as key:
                return str(winreg.QueryValueEx(key, "MachineGuid")[0])
        except OSError:
            return ""

else:
    _NUMBERS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
    _CONTAINERS = (Path("/.dockerenv"), Path("/run/.containerenv"))

    def machine_number() -> str:
        """The number of this machine (systemd's machine-id); empty without one, and in a container that comes anew."""
        if any(sign.exists() for sign in _CONTAINERS):
            return ""
        for file in _NUMBERS:
            try:
                return file.read_text(encoding="ascii").strip()
            except (OSError, UnicodeDecodeError):
                continue
        return ""
