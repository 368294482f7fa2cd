"""The programs that the benchmarks compare with, in an environment of their own."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import venv
from contextlib import suppress
from pathlib import Path

from benchmarks.measuring import note, run_process

REQUIREMENTS = Path(__file__).resolve().parent / "peers.txt"


def read_versions(requirements: str) -> dict[str, str]:
    r"""Return the pinned version of each package in *requirements*.

    >>> read_versions("# Peers\nFaker==40.54.0\n")
    {'Faker': '40.54.0'}
    """
    pins = (line.split("==") for line in requirements.splitlines() if "==" in line)
    return {name.strip(): version.strip() for name, version in pins}


def prepare_environment(folder: Path, requirements: Path = REQUIREMENTS) -> None:
    """Install *requirements* into the virtual environment *folder*, once."""
    required = requirements.read_text(encoding="utf-8")
    installed = folder / f"installed-{requirements.name}"
    with suppress(FileNotFoundError):
        if installed.read_text(encoding="utf-8") == required:
            return
    note(f"Installing {requirements.name} into an environment of its own")
    venv.EnvBuilder(with_pip=True, symlinks=True).create(folder)
    run_process(
        (
            str(folder / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
            str(requirements),
        ),
        folder,
    )
    installed.write_text(required, encoding="utf-8", newline="\n")


def default_environment(name: str = "venv") -> Path:
    """Return the place of the environment *name* in the user's cache, for this Python."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "shop-benchmarks" / f"{name}-{platform.python_version()}"


def find_shell(program: str) -> str:
    """Return the path of the sqlite3 shell; end *program* with an error without one."""
    shell = shutil.which("sqlite3")
    if shell is None:
        sys.exit(f"{program}: error: no sqlite3 on the PATH; install the shell")
    return shell
