"""Break a real SLURM of three nodes on this host under studies, and see that nothing is lost.

``python scripts/test_cluster.py [--faults N] [--seed S]``; root, and the Debian packages
``slurmctld slurmd slurmdbd slurm-client munge mariadb-server``, which are the only things it needs
of the system. It writes /etc/slurm/slurm.conf if there is none and removes it again.

Every fault strikes a toy study of four people while its jobs run: a node vanishes with its jobs,
the head of the run is killed, a job is cancelled, requeued, runs into its time limit, or is
refused. Then the same command is given again, and every byte must be that of a run in
peace. What the first run did not finish must have been named.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

HERE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HERE / "tests"), str(HERE / "src")]

from toy_study import write_dataset  # noqa: E402

CONFIGURATION = Path("/etc/slurm/slurm.conf")
NODES = ("node1", "node2", "node3")
SLURM = """ClusterName=falx
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
SlurmctldPort=17817
AuthType=auth/munge
AuthInfo=socket={top}/munge.socket
StateSaveLocation={top}/state
SlurmdSpoolDir={top}/spool-%n
SlurmctldPidFile={top}/slurmctld.pid
SlurmdPidFile={top}/slurmd-%n.pid
SlurmctldLogFile={top}/slurmctld.log
SlurmdLogFile={top}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
ReturnToService=2
SlurmdTimeout=10
KillWait=5
OverTimeLimit=0
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePass={top}/munge.socket
AccountingStoragePort=17819
JobAcctGatherType=jobacct_gather/none
SchedulerParameters=bf_interval=2,sched_interval=2,batch_sched_delay=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
NodeName=node[1-3] NodeHostname=localhost Port=[17821-17823] CPUs=4 RealMemory=6000
PartitionName=farm Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
ACCOUNTING = """AuthType=auth/munge
AuthInfo=socket={top}/munge.socket
DbdHost=localhost
DbdPort=17819
SlurmUser=root
LogFile={top}/slurmdbd.log
PidFile={top}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=17306
StorageUser=falx
StoragePass=falx
StorageLoc=slurm_acct
"""
PROFILE = """executor: slurm
retries: 2
slurm-no-requeue: true
slurm-init-seconds-before-status-checks: 3
seconds-between-status-checks: 3
latency-wait: 20
default-resources:
  slurm_account: root
  slurm_partition: {partition}
  runtime: {minutes}
"""


class Cluster:
    """Three nodes on this host, that can be broken."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start authentication, accounting, the controller and the nodes."""
        key = self.top / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        (self.top / "state").mkdir()
        (self.top / "slurmdbd.conf").write_text(ACCOUNTING.format(top=self.top))
        (self.top / "slurmdbd.conf").chmod(0o600)
        (self.top / "slurm.conf").write_text(SLURM.format(top=self.top))
        CONFIGURATION.symlink_to(self.top / "slurm.conf")
        self._daemon(
            "munged", "--foreground", "--force", "--socket", "munge.socket", "--key-file", key,
            "--pid-file", "munged.pid", "--log-file", "munged.log", "--seed-file", "seed",
        )  # fmt: skip
        self._database()
        self._daemon("slurmdbd", "-D")
        time.sleep(6)
        self._daemon("slurmctld", "-D")
        time.sleep(6)
        for node in NODES:
            self.start_node(node)
        _until(lambda: _said("sinfo", "-h", "-o", "%D %t").strip() == "3 idle", 90, "idle nodes")

    def stop(self) -> None:
        """End what was started: daemons, and studies and jobs if it is stopped before its end."""
        for name in reversed(list(self.daemons)):
            _end(self.daemons[name].pid)
        for process in psutil.process_iter(["cmdline"]):
            words = " ".join(process.info["cmdline"] or [])
            if process.pid != os.getpid() and (str(self.top) in words or "slurmstepd: [" in words):
                _end(process.pid)
        CONFIGURATION.unlink(missing_ok=True)

    def start_node(self, node: str) -> None:
        """Start a node, again if it was lost."""
        self._daemon("slurmd", "-D", "-N", node, name=node)

    def lose(self, node: str) -> list[int]:
        """Let a node vanish: its daemon, the watchers of its jobs and these themselves."""
        jobs = [
            int(word) for word in _said("squeue", "-h", "-t", "R", "-w", node, "-o", "%i").split()
        ]
        daemon = psutil.Process(self.daemons[node].pid)
        daemon.suspend()
        stepds = [
            process
            for process in psutil.process_iter(["cmdline"])  # None where it has just ended
            if any(
                f"slurmstepd: [{job}." in " ".join(process.info["cmdline"] or []) for job in jobs
            )
        ]
        for stepd in stepds:
            _end(stepd.pid)
        _end(daemon.pid)
        return jobs

    def _database(self) -> None:
        data = self.top / "db"
        words = ["mysql_install_db", "--user=root", f"--datadir={data}"]
        subprocess.run(words, check=True, capture_output=True)
        socket = self.top / "mysql.socket"
        self._daemon(
            "mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={socket}",
            "--port=17306", "--bind-address=127.0.0.1",
        )  # fmt: skip
        _until(socket.exists, 60, "the database")
        statements = "CREATE DATABASE slurm_acct;" + "".join(
            f"CREATE USER falx@'{host}' IDENTIFIED BY 'falx'; GRANT ALL ON *.* TO falx@'{host}';"
            for host in ("127.0.0.1", "localhost")
        )
        time.sleep(2)
        client = ["mariadb", f"--socket={socket}", "-uroot", "-e", statements]
        subprocess.run(client, check=True)

    def _daemon(self, *words: str | Path, name: str = "") -> None:
        log = (self.top / f"{name or words[0]}.out").open("ab")
        self.daemons[name or str(words[0])] = subprocess.Popen(
            list(map(str, words)), cwd=self.top, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "SLURM_CONF": str(self.top / "slurm.conf")},
        )  # fmt: skip


class Trial:
    """One study, struck by one fault."""

    def __init__(self, top: Path, fault: str, rng: random.Random) -> None:
        self.top, self.fault, self.rng = top, fault, rng
        top.mkdir()
        self.bids = write_dataset(top / "bids", 4)
        profile = top / "profile"
        profile.mkdir()
        partition = "nowhere" if fault == "refused" else "farm"
        minutes = 1 if fault == "time limit" else 10
        (profile / "config.yaml").write_text(PROFILE.format(partition=partition, minutes=minutes))
        for label in ("01", "02", "03", "04"):
            seconds = 25 if fault != "time limit" or label != "02" else 400
            (self.bids / f"sub-{label}" / "anat" / "slow").write_text(str(seconds))
        self.first = self._start("--profile", str(profile))
        self.wounded = ""

    def _start(self, *more: str) -> subprocess.Popen[str]:
        path = os.pathsep.join([str(HERE / "src"), str(HERE / "tests")])
        words = [sys.executable, "-m", "toy_cli", "toy", str(self.bids), str(self.top / "out")]
        return subprocess.Popen(
            [*words, "participant", "--jobs", "2", *more] if not more
            else [*words, "participant", "--jobs", "20", *more],
            env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def run_id(self) -> str:
        """Name of its jobs."""
        with contextlib.suppress(OSError, IndexError):
            log = (self.top / "out" / "logs" / "engine.log").read_text()
            return log.split("SLURM run ID: ")[1].split()[0]
        return ""

    def jobs(self, state: str = "R") -> list[tuple[str, str]]:
        """Its jobs with their nodes."""
        name = self.run_id()
        if not name:
            return []
        said = _said("squeue", "-h", "-t", state, "--name", name, "-o", "%i %N")
        return [tuple(line.split()) for line in said.splitlines() if len(line.split()) == 2]

    def strike(self, cluster: Cluster) -> None:
        """Let the fault happen once two of its jobs run."""
        if self.fault in ("refused", "time limit"):
            return
        _until(lambda: len(self.jobs()) >= 2 or self.first.poll() is not None, 240, "jobs")
        time.sleep(self.rng.uniform(0, 10))
        jobs = self.jobs()
        if not jobs:
            self.wounded = "missed"
            return
        job, node = self.rng.choice(jobs)
        self.wounded = f"job {job} on {node}"
        if self.fault == "node":
            cluster.lose(node)
        elif self.fault == "head":
            _end(self.first.pid)
        elif self.fault == "cancelled":
            _said("scancel", job)
        elif self.fault == "requeued":
            _said("scontrol", "requeue", job)

    def told(self, gold: dict[str, bytes]) -> bool:
        """Say how it went, and return whether it went wrong."""
        try:
            trouble = self.judge(gold)
        except subprocess.TimeoutExpired:
            trouble = "hangs"
            _end(self.first.pid)
        print(f"{self.top.name} {self.fault} {self.wounded}: {trouble or 'good'}", flush=True)
        return bool(trouble)

    def judge(self, gold: dict[str, bytes]) -> str:
        """Give the same command again; return what is wrong, or nothing."""
        said, _ = self.first.communicate(timeout=600)
        named = ""
        if self.fault != "head":
            if self.first.returncode not in (0, 1):
                named = f"ended with {self.first.returncode}: {said[-300:]}"
            named = named or self._unnamed(self.first.returncode)
        for slow in self.bids.glob("*/*/slow"):
            slow.write_text("0")
        second = self._start()
        said, _ = second.communicate(timeout=600)
        if second.returncode:
            return f"second run {second.returncode}: {said[-300:]}"
        if left := self.jobs("R,PD,CG"):
            time.sleep(10)
            if self.jobs("R,PD"):
                return f"jobs of the dead run go on: {left}"
        if results(self.top / "out") != gold:
            return "other bytes"
        words = [sys.executable, "-m", "falx", "verify", str(self.top / "out")]
        verified = subprocess.run(words, check=False, capture_output=True, text=True)
        return named or (verified.stdout if verified.returncode else "")

    def _unnamed(self, code: int) -> str:
        """Return who is not finished without a reason; a code of 0 allows nobody."""
        table = self.top / "out" / "participants_status.tsv"
        with table.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        open_ = [row for row in rows if row["status"] != "finished"]
        if reasons := "; ".join(row["reason"] for row in open_):
            self.wounded += f" ({reasons})"
        silent = [row["participant_id"] for row in open_ if row["reason"] in ("", "n/a")]
        if silent or bool(open_) != bool(code) or len(rows) != 4:
            return f"code {code}, not finished: {open_}"
        return ""


def results(out: Path) -> dict[str, bytes]:
    """Bytes of every output of a study."""
    files = [path for path in out.rglob("*") if path.is_file()]
    names = {path: path.relative_to(out).as_posix() for path in files}
    return {name: path.read_bytes() for path, name in names.items() if name.startswith("sub-")}


def main() -> int:
    """Run the trials, some at a time, and count."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faults", type=int, default=50, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--together", type=int, default=3, metavar="N", help="studies at a time")
    arguments = parser.parse_args()
    if os.geteuid() != 0 or shutil.which("slurmctld") is None or CONFIGURATION.exists():
        print(f"needs root, the packages of its docstring, and no {CONFIGURATION}")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    rng = random.Random(arguments.seed)
    kinds = ("node", "head", "cancelled", "node", "head", "requeued", "time limit", "refused")
    faults = [kinds[i % len(kinds)] for i in range(arguments.faults)]
    with tempfile.TemporaryDirectory(prefix="falx-cluster-") as folder:
        cluster = Cluster(Path(folder))
        try:
            cluster.start()
            gold = _in_peace(Path(folder) / "peace")
            wrong = done = 0
            while todo := faults[done : done + arguments.together]:
                trials = _batch(cluster, Path(folder), list(enumerate(todo, done)), rng)
                done += len(trials)
                wrong += sum(trial.told(gold) for trial in trials)
                # A fault that came too late for any job is tried again.
                faults += [trial.fault for trial in trials if trial.wounded == "missed"]
        finally:
            cluster.stop()
    struck = arguments.faults
    print(f"{struck - wrong} of {struck} faults: same bytes, every lost step named")
    return 1 if wrong else 0


def _batch(
    cluster: Cluster, top: Path, batch: list[tuple[int, str]], rng: random.Random
) -> list[Trial]:
    """Strike some studies at a time, and bring lost nodes back."""
    trials = [Trial(top / f"trial{n}", kind, random.Random(rng.random())) for n, kind in batch]
    for trial in trials:
        trial.strike(cluster)
    time.sleep(15)  # a lost node is away for a while; the controller notices after ten seconds
    for node in NODES:
        if cluster.daemons[node].poll() is not None:
            cluster.start_node(node)
    return trials


def _in_peace(top: Path) -> dict[str, bytes]:
    trial = Trial(top, "none", random.Random(0))
    said, _ = trial.first.communicate(timeout=300)
    if trial.first.returncode:
        raise SystemExit(f"a run in peace failed:\n{said}")
    return results(top / "out")


def _said(*words: str) -> str:
    return subprocess.run(words, check=False, capture_output=True, text=True).stdout


def _until(true: object, seconds: float, what: str) -> None:
    start = time.monotonic()
    while not true():  # type: ignore[operator]
        if time.monotonic() - start > seconds:
            raise SystemExit(f"waited {seconds:g} s for {what}")
        time.sleep(0.5)


def _end(pid: int) -> None:
    """Kill a process that this script has started, and all below it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        for process in [*top.children(recursive=True), top]:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
