"""``falx desk`` in a process of its own, to be killed; its runs are the toy study unless asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from falx.cli.main import main
from falx.desk import running

HERE = Path(__file__).resolve()


class Desk:
    """A server that was started as a user would; its address is read as a user would."""

    def __init__(self, folder, *, largest=0, real=False):
        import resource

        def limit():
            if largest:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        path = os.pathsep.join([str(HERE.parents[1] / "src"), str(HERE.parent)])
        program = ["-m", "falx"] if real else [str(HERE)]
        self.process = subprocess.Popen(
            [sys.executable, *program, "desk", str(folder), "--no-browser"], text=True,
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=limit,  # noqa: PLW1509
        )  # fmt: skip
        self.said = [self.process.stdout.readline() for _ in range(3)]
        self.address = self.said[1].strip()

    def kill(self):
        """End it without a word, as a loss of power would."""
        self.process.kill()
        self.process.communicate()

    def end(self):
        """Press Ctrl-C; return what it said and its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=60)[0], self.process.returncode


if __name__ == "__main__":
    running.PROGRAM[:] = [sys.executable, str(HERE.with_name("toy_cli.py")), "toy"]
    sys.exit(main())
