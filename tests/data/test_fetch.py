"""Downloads: a real server on this machine, whole files, and files that stop half-way."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from falx.core.errors import InputError, OptionError
from falx.data.fetch import Download, catalogue, fetch, groups, matches

CONTENT = b"falx" * 5000


@pytest.fixture(autouse=True)
def once(monkeypatch):
    """Try once: pooch waits between tries."""
    monkeypatch.setattr("falx.data.fetch.RETRIES", 0)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/missing":
            self.send_error(404)
            return
        body = self.server.body
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.server.asked += 1
        cut = self.path == "/cut" or (self.path == "/flaky" and self.server.asked == 1)
        self.wfile.write(body[: len(body) // 2] if cut else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.body, running.asked = CONTENT, 0
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def described(server, path="/file", **changes):
    fields = {
        "group": "g",
        "path": "sub/file.bin",
        "n_bytes": len(CONTENT),
        "checksum": "sha256:" + hashlib.sha256(CONTENT).hexdigest(),
        "licence": "CC0-1.0",
        "url": f"http://127.0.0.1:{server.server_port}{path}",
        "note": "",
    }
    return Download(**{**fields, **changes})


def test_a_file_is_fetched_once(server, tmp_path):
    seen = []
    first = fetch(
        described(server), tmp_path, progress=lambda done, total: seen.append((done, total))
    )
    assert first.fresh
    assert first.path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert not fetch(described(server, path="/missing"), tmp_path).fresh


@pytest.mark.parametrize(
    ("path", "changes", "message"),
    [
        ("/cut", {}, "stopped half-way|another size"),
        ("/cut", {"n_bytes": None, "checksum": ""}, "stopped half-way"),
        ("/file", {"n_bytes": 7}, "another size"),
        ("/file", {"checksum": "sha256:" + "0" * 64}, "its hash differs"),
        ("/file", {"checksum": "zip", "n_bytes": None}, "a damaged archive"),
        ("/file", {"checksum": "gzip", "n_bytes": None}, "a damaged archive"),
        ("/missing", {}, "does not answer"),
    ],
)
def test_nothing_half_written_is_left(server, tmp_path, path, changes, message):
    with pytest.raises(InputError, match=message):
        fetch(described(server, path=path, **changes), tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_transfer_that_stops_is_tried_again(server, tmp_path):
    got = fetch(described(server, path="/flaky"), tmp_path, retries=1)
    assert server.asked == 2
    assert got.path.read_bytes() == CONTENT


def test_a_damaged_file_on_disk_is_fetched_again(server, tmp_path):
    target = tmp_path / "sub/file.bin"
    target.parent.mkdir()
    target.write_bytes(CONTENT[:-1])
    assert fetch(described(server), tmp_path).fresh
    assert target.read_bytes() == CONTENT


def test_archives_are_checked_by_their_own_sums(server, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.csv", "1,2\n" * 1000)
    server.body = buffer.getvalue()
    archive = described(server, checksum="zip", n_bytes=None)
    assert fetch(archive, tmp_path).fresh
    assert not fetch(archive, tmp_path).fresh
    server.body = gzip.compress(b"1,2\n" * 1000, mtime=0)
    packed = described(server, checksum="gzip", n_bytes=None, path="/packed")
    assert fetch(packed, tmp_path / "other").fresh
    assert not fetch(packed, tmp_path / "other").fresh
    whole = tmp_path / "other" / packed.path
    whole.write_bytes(whole.read_bytes()[:-9])
    assert not matches(whole, packed)


def test_catalogue_is_complete():
    files = catalogue()
    assert all(d.url.startswith("https://") and d.licence for d in files)
    assert len({(d.group, d.path) for d in files}) == len(files)
    assert sum(d.group == "ahba" for d in files) == 8
    assert all(d.checksum for d in files if not d.path.endswith((".obo", "_order.txt")))
    with pytest.raises(OptionError, match="did you mean 'trrust'"):
        groups("trust")


def test_the_controls_of_norms_are_whole_and_named_as_bids_names_them():
    """47 maps of 30 people, 17.9 MB; sizes and hashes are those of the dataset's own keys."""
    files = groups("pet-controls")
    assert len(files) == 47 and sum(f.n_bytes for f in files) == 17_857_016
    assert len({f.checksum for f in files}) == 47
    assert len({f.path.split("/")[0] for f in files}) == 30
    for file in files:
        subject, session, folder, name = file.path.split("/")
        assert folder == "pet" and name.startswith(f"{subject}_{session}_")
        assert file.licence == "CC0-1.0" and file.url.endswith(file.path)
        assert re.fullmatch("sha256:[0-9a-f]{64}", file.checksum)
