"""A desk that really listens, as a browser or an attacker meets it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from contextlib import contextmanager

import uvicorn

from falx.desk.app import make_app
from falx.desk.workspace import Workspace

TOKEN = "token-of-the-tests"


class Served:
    """A running desk: its port, its address, and a client that has been let in."""

    def __init__(self, workspace: Workspace, port: int) -> None:
        self.workspace, self.port = workspace, port
        self.host = f"127.0.0.1:{port}"
        self.origin = f"http://{self.host}"
        self.cookie = ""

    def raw(self, method, path, headers=(), body=b""):
        """Send exactly these headers; return status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        found = answer.status, answer.headers, answer.read()
        connection.close()
        return found

    def let_in(self, token=TOKEN):
        """Exchange the token for the cookie."""
        status, headers, _ = self.raw("GET", f"/?token={token}", [("Host", self.host)])
        assert status == 200
        self.cookie = headers["set-cookie"].partition(";")[0]

    def own(self):
        """Headers of a request of the desk's own pages."""
        return [("Host", self.host), ("Cookie", self.cookie), ("Origin", self.origin)]

    def ask(self, method, path, content=None, body=None):
        """Send what a page would send; return status and JSON."""
        headers = self.own()
        if content is not None:
            body = json.dumps(content).encode()
            headers.append(("Content-Type", "application/json"))
        body = body or b""
        if method != "GET":
            headers.append(("Content-Length", str(len(body))))
        status, _, text = self.raw(method, path, headers, body)
        return status, json.loads(text)


@contextmanager
def serving(folder):
    """Run the desk of a folder in a thread."""
    workspace = Workspace.open(folder)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        app = make_app(workspace, TOKEN, port)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        started = threading.Event()
        thread = threading.Thread(target=_serve, args=(server, listening, started))
        thread.start()
        while not server.started and thread.is_alive():
            started.wait(0.01)
        try:
            yield Served(workspace, port)
        finally:
            server.should_exit = True
            thread.join()


def _serve(server, listening, _started):
    server.run(sockets=[listening])
