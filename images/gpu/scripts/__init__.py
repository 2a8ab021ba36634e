"""The sh scripts of a GPU node, one a file."""

from __future__ import annotations

from pathlib import Path

from images.remote.scripts import Scripts

FOLDER = Path(__file__).resolve().parent
_SCRIPTS = Scripts(FOLDER)
read_script, run_script = _SCRIPTS.read, _SCRIPTS.run
