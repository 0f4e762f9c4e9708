"""Requests that a hostile page, a hostile name, a hostile file or another user would send."""

from __future__ import annotations

import io
import json
import re
import stat
import zipfile

import pytest

import toy_study
from desk_server import TOKEN, serving
from falx.core.errors import InputError
from falx.desk import app
from falx.desk.guard import LARGEST_BODY, Pass
from falx.desk.workspace import inside

SECRET = "what-lies-outside-the-desk"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    bids = toy_study.write_dataset(folder / "bids", 1)
    (folder / "secret.html").write_text(SECRET)
    (folder / "secret.log").write_text(SECRET)
    with serving(bids) as served:
        out = served.workspace.out
        (out / "logs").mkdir(parents=True)
        (out / "sub-01.html").write_text("<p>page</p>")
        (out / "link.html").symlink_to(folder / "secret.html")
        (out / "logs" / "link.log").symlink_to(folder / "secret.log")
        (out / "up").symlink_to(folder)
        (out / "logs" / "notes.txt").write_text(SECRET)
        served.let_in()
        yield served


def state(desk):
    """Name and content of every file that a request could have changed."""
    top = desk.workspace.bids.parent
    return {p: p.read_bytes() for p in top.rglob("*") if p.is_file() and "uploads" not in p.parts}


def _zip(*entries, link=False, flag=0):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if link:
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, content)
    data = bytearray(stream.getvalue())
    if flag:  # both headers of the first entry
        data[6] |= flag
        data[data.index(b"PK\x01\x02") + 8] |= flag
    return bytes(data)


def host(name):
    return lambda desk: [("Host", name.format(port=desk.port)), *desk.own()[1:]]


def also(*more):
    def headers(desk):
        told = [(name, value.format(port=desk.port)) for name, value in more]
        names = {name for name, _ in told}
        return [pair for pair in desk.own() if pair[0] not in names] + told

    return headers


def without(name):
    return lambda desk: [pair for pair in desk.own() if pair[0] != name]


def own(desk):
    return desk.own()


JSON = ("Content-Type", "application/json")
RUN = b'{"level": "participant"}'

GENES_WISH = b"{%b}"

PLACES = (
    "/", "/import", "/run", "/cohort", "/view", "/assets/desk.css", "/assets/patients.js",
    "/api/patients", "/api/runs", "/api/runs/x/events", "/api/runs/x/log", "/api/cohort",
    "/api/results", "/api/presets", "/api/stamp/sub-01.html", "/reports/sub-01.html",
    "/api/logs/sub-01/warm.log", "/genes", "/api/genes",
)  # fmt: skip
CHANGES = (
    ("POST", "/api/runs"), ("PUT", "/api/sessions"), ("PUT", "/api/cohort"),
    ("POST", "/api/import/transfers"), ("POST", "/api/runs/x/cancel"),
    ("PUT", "/api/import/upload/0123456789abcdef?name=a"), ("POST", "/api/genes/runs"),
    ("POST", "/api/genes/files/0123456789abcdef"), ("POST", "/api/draw/propose"),
)  # fmt: skip

BATTERY = [
    *[(f"stranger {path}", "GET", path, without("Cookie"), b"") for path in PLACES],
    *[(f"forged {way} {path}", way, path, also(("Origin", "http://evil.example"), JSON), RUN)
      for way, path in CHANGES],
    *[(f"no origin {way} {path}", way, path, without("Origin"), RUN) for way, path in CHANGES],
    *[(f"host {name}", "GET", "/api/patients", host(name), b"") for name in (
        "evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "0.0.0.0:{port}",
        "localhost.evil.example:{port}", "[::1]:{port}", "127.1:{port}", "",
        "127.0.0.1:{port}.evil.example", "evil.example@127.0.0.1:{port}")],
    ("no host", "GET", "/api/patients", without("Host"), b""),
    ("two hosts", "GET", "/api/patients",
     lambda d: [*d.own(), ("Host", "evil.example")], b""),
    *[(f"origin {name}", "POST", "/api/runs", also(("Origin", name), JSON), RUN) for name in (
        "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "http://127.0.0.1",
        "http://127.0.0.1:{port}.evil.example", "http://localhost.evil.example:{port}", "file://",
        "")],
    ("two origins", "POST", "/api/runs",
     lambda d: [*d.own(), ("Origin", "http://evil.example"), JSON], RUN),
    *[(f"fetched {site} {way}", way, path, also(("Sec-Fetch-Site", site), JSON), RUN)
      for site in ("cross-site", "same-site", "anything")
      for way, path in (("POST", "/api/runs"), ("GET", "/reports/sub-01.html"))],
    *[(f"cookie {text[:20]}", "GET", "/api/patients", also(("Cookie", text)), b"") for text in (
        "", "falx-desk-{port}=", "falx-desk-{port}=guess", "falx-desk-1=guess", TOKEN,
        f"falx-desk-{{port}}={TOKEN}", "falx-desk-{port}=a; falx-desk-{port}=b")],
    *[(f"method {way}", way, "/api/patients", own, b"")
      for way in ("TRACE", "OPTIONS", "PATCH", "CONNECT", "PROPFIND", "DEBUG")],
    *[(f"path {path[:40]}", "GET", path, own, b"") for path in (
        "/reports/../secret.html", "/reports/../../secret.html", "/reports/..%2fsecret.html",
        "/reports/%2e%2e/%2e%2e/secret.html", "/reports/up/secret.html", "/reports/link.html",
        "/reports//etc/passwd", "/reports/%2fetc%2fpasswd", "/reports/..%5csecret.html",
        "/reports/sub-01.html%00.html", "/reports/C:%5csecret.html", "/reports/",
        "/reports/dataset_description.json", "/reports/secret.html?study=..",
        "/reports/secret.html?study=", "/api/logs/secret.log?study=../..",
        "/api/stamp/..%2f..%2fsecret.html",
        "/api/logs/..%2f..%2f..%2fsecret.log", "/api/logs/link.log", "/api/logs/notes.txt",
        "/api/logs//etc/passwd",
        "/assets/..%2fapp.py", "/assets/../app.py", "/assets/patients.html", "/assets/",
        "/api/runs/..%2f..%2fsessions/log", "/api/runs/../../x/events",
        "/reports/" + "a/" * 2000 + "x.html", "/api/patients?" + "x" * 20_000)],
    *[(f"body {name}", "POST", "/api/runs", also(JSON), body) for name, body in (
        ("none", b""), ("no json", b"level"), ("list", b"[]"), ("number", b"7"),
        ("pickle", b"cos\nsystem\n(S'true'\ntR."), ("deep", b"[" * 100_000),
        ("other level", b'{"level": "stage"}'), ("preset", b'{"level":"group","preset":"../x"}'),
        ("option", b'{"level":"participant","labels":["--config=/etc/passwd"]}'),
        ("stranger", b'{"level":"participant","labels":["../../x"]}'),
        ("study", b'{"level":"group","study":"../x"}'),
        ("role", b'{"level":"group","study":"resistance","roles":{"config":"/etc/passwd"}}'),
        ("role line", b'{"level":"group","study":"resistance","roles":{"controls":"a\\nb"}}'),
        ("wrong kind", b'{"level":"participant","labels":7}'))],
    *[(f"genes {name}", "POST", "/api/genes/runs", also(JSON), GENES_WISH % body)
      for name, body in (
        ("map", b'"name":"a","map":"signature/../secret.html","expression":"x"'),
        ("option", b'"name":"--config=x","map":"enigma:gge","expression":"x"'),
        ("folder", b'"name":"../../x","map":"enigma:gge","expression":"x"'),
        ("file", b'"name":"a","map":"enigma:gge","expression":"../../../secret.html"'),
        ("root", b'"name":"a","map":"enigma:gge","expression":"/etc/passwd"'),
        ("sets", b'"name":"a","map":"enigma:gge","expression":"x","gene_sets":["--seed"]'))],
    *[(f"genes files {name}", "POST", f"/api/genes/files/{name}", own, b"") for name in (
        "..%2f..", "0123456789abcdef", "%2e%2e")],
    *[(f"propose {name}", "POST", "/api/draw/propose", also(JSON), body) for name, body in (
        ("image", b'{"target":{"subject":"01","image":"../secret.nii","label":"ablation"}}'),
        ("label", b'{"target":{"subject":"--x","image":"a.nii","label":"ablation"}}'),
        ("nothing", b"{}"))],
    *[(f"kind {kind}", "POST", "/api/runs", also(("Content-Type", kind)), RUN) for kind in (
        "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x")],
    ("no kind", "POST", "/api/runs", own, RUN),
    ("too large", "PUT", "/api/cohort",
     also(JSON, ("Content-Length", str(LARGEST_BODY + 1))), b""),
    ("length word", "PUT", "/api/cohort", also(JSON, ("Content-Length", "+7")), b""),
    ("long head", "GET", "/api/patients", also(("X-Long", "x" * 20_000)), b""),
    ("wrong token", "GET", "/?token=guess", without("Cookie"), b""),
    ("used token", "GET", f"/?token={TOKEN}", without("Cookie"), b""),
    ("empty token", "GET", "/?token=", without("Cookie"), b""),
    ("two tokens", "GET", f"/?token={TOKEN}&token=x", without("Cookie"), b""),
    ("token elsewhere", "GET", f"/api/patients?token={TOKEN}", without("Cookie"), b""),
    ("web socket", "GET", "/api/patients", lambda d: [
        ("Host", d.host), ("Upgrade", "websocket"), ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "x3JJHMbDL1EzLkh9GBhXDw==")], b""),
    *[(f"upload to {name}", "PUT", f"/api/import/upload/{name}?name=a", own, b"x") for name in (
        "..", "..%2f..", "0123456789abcdef", "x", "%2e%2e")],
]  # fmt: skip


def test_the_battery_is_large():
    assert len({name for name, *_ in BATTERY}) == len(BATTERY) >= 60


@pytest.mark.parametrize(("method", "path", "headers", "body"), [
    pytest.param(*row[1:], id=row[0]) for row in BATTERY
])  # fmt: skip
def test_a_malicious_request_is_refused(desk, method, path, headers, body):
    before = state(desk)
    sent = headers(desk)
    if body and "Content-Length" not in dict(sent):
        sent.append(("Content-Length", str(len(body))))
    status, answered, said = desk.raw(method, path, sent, body)
    assert 400 <= status < 500
    assert SECRET.encode() not in said
    assert answered.get("access-control-allow-origin") is None
    assert answered.get("set-cookie") is None
    assert state(desk) == before


HOSTILE_ZIPS = {
    "slip": _zip(("../../secret.html", b"gone")),
    "slip by backslash": _zip(("..\\..\\secret.html", b"gone")),
    "absolute": _zip(("/etc/falx", b"gone")),
    "drive": _zip(("C:/falx", b"gone")),
    "link": _zip(("link", b"/etc/passwd"), link=True),
    "bomb": _zip(("zeros", bytes(64 << 20))),
    "bomb of many": _zip(*[(f"zeros{k}", bytes(4 << 20)) for k in range(12)]),
    "encrypted": _zip(("a", b"x"), flag=1),
    "cut off": _zip(("a", bytes(5000)))[:60],
    "no archive": b"PK\x03\x04" + bytes(100),
    "nothing in it": b"PK\x03\x04",
}


@pytest.mark.parametrize("name", HOSTILE_ZIPS)
def test_a_hostile_archive_is_refused_and_leaves_nothing(desk, name):
    before = state(desk)
    _, made = desk.ask("POST", "/api/import/transfers", {})
    where = f"/api/import/upload/{made['id']}?name=images.zip"
    assert desk.ask("PUT", where, body=HOSTILE_ZIPS[name])[0] == 200
    status, said = desk.ask("POST", f"/api/import/transfers/{made['id']}/sort", {})
    assert (status, "zip file" in said["error"]) == (400, True)
    assert desk.ask("DELETE", f"/api/import/transfers/{made['id']}")[0] == 200
    assert not any((desk.workspace.private / "uploads").iterdir())
    assert state(desk) == before


@pytest.mark.parametrize(
    "name", ["", "..", "../a", "a/../../b", "/etc/passwd", "a%00b", "%5c..%5ca"]
)
def test_the_name_of_an_upload_leads_nowhere(desk, name):
    before = state(desk)
    _, made = desk.ask("POST", "/api/import/transfers", {})
    status, said = desk.ask("PUT", f"/api/import/upload/{made['id']}?name={name}", body=b"x")
    assert (status, "leads elsewhere" in said["error"]) == (400, True)
    assert desk.ask("DELETE", f"/api/import/transfers/{made['id']}")[0] == 200
    assert state(desk) == before


@pytest.mark.parametrize(("header", "label", "value"), [
    ("age", "01", "4\t7"), ("age", "01", "4\n7"), ("age", "01", "x" * 300),
    ("age", "../../x", "4"), ("participant_id", "01", "sub-02"), ("nothing", "01", "4"),
    ("a\tb", "", ""), ("", "", ""), ("AGE", "", ""),
])  # fmt: skip
def test_the_table_takes_no_entry_that_would_break_it(tmp_path, header, label, value):
    bids = toy_study.write_dataset(tmp_path / "bids", 1)
    (bids / "participants.tsv").write_text("participant_id\tage\nsub-01\t3\n")
    with serving(bids) as desk:
        desk.let_in()
        before = state(desk)
        digest = desk.ask("GET", "/api/cohort")[1]["digest"]
        change = {"digest": digest, "header": header, "label": label, "value": value}
        assert desk.ask("PUT", "/api/cohort", change)[0] == 400
        assert state(desk) == before


def test_the_token_is_exchanged_once_and_then_the_cookie_counts(tmp_path):
    with serving(tmp_path / "desk") as desk:
        assert desk.raw("GET", "/", [("Host", desk.host)])[0] == 401
        elsewhere = [("Host", desk.host), ("Sec-Fetch-Site", "cross-site")]  # a link in a mail
        status, headers, body = desk.raw("GET", f"/?token={TOKEN}", elsewhere)
        assert (status, b"url=/" in body, TOKEN.encode() in body) == (200, True, False)
        cookie = headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and TOKEN not in cookie
        desk.cookie = cookie.partition(";")[0]
        status, headers, body = desk.raw("GET", "/", desk.own())
        assert status == 200
        assert b"<h1>Patients</h1>" in body
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy and "unsafe-inline" not in policy
        assert "unsafe-eval" not in policy.replace("wasm-unsafe-eval", "")
        assert (headers["cache-control"], headers["x-content-type-options"]) == (
            "no-store", "nosniff")  # fmt: skip
        assert desk.raw("GET", f"/?token={TOKEN}", desk.own())[0] == 303  # an open desk, reloaded
        assert desk.raw("GET", f"/?token={TOKEN}", [("Host", desk.host)])[0] == 401


def test_every_route_is_behind_the_cookie(desk):
    tried = 0
    for route in (route for topic in app.TOPICS for route in topic.ROUTES):
        path = re.sub(r"\{[^}]*\}", "x", route.path)
        for method in route.methods - {"HEAD"}:
            sent = [pair for pair in desk.own() if pair[0] != "Cookie"]
            status, _, said = desk.raw(method, path, sent)
            assert (status, "error" in json.loads(said)) == (401, True), path
            tried += 1
    assert tried >= 20


def test_a_page_of_the_study_runs_without_an_origin(desk):
    status, headers, body = desk.raw("GET", "/reports/sub-01.html", desk.own())
    assert (status, body) == (200, b"<p>page</p>")
    policy = headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts") and "allow-same-origin" not in policy
    assert "connect-src data: blob:" in policy and "default-src 'none'" in policy


def test_a_body_in_pieces_is_counted(desk, monkeypatch):
    from falx.desk import guard

    monkeypatch.setattr(guard, "LARGEST_BODY", 1000)
    pieces = b"".join(b"200\r\n" + b"x" * 512 + b"\r\n" for _ in range(4)) + b"0\r\n\r\n"
    sent = [*desk.own(), JSON, ("Transfer-Encoding", "chunked")]
    status, _, said = desk.raw("PUT", "/api/cohort", sent, pieces)
    assert (status, json.loads(said)["error"].startswith("the request is larger")) == (413, True)


def test_a_token_is_used_up_by_the_right_guess_only():
    entry = Pass("right")
    assert not entry.exchange("wrong") and not entry.exchange("")
    assert entry.exchange("right")
    assert not entry.exchange("right") and not entry.exchange("")
    assert entry.admits(entry.secret) and not entry.admits("") and not entry.admits("ü")


def test_a_path_stays_inside(tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "own").symlink_to(tmp_path / "in" / "sub")
    (tmp_path / "in" / "away").symlink_to(tmp_path)
    assert inside("own/x", tmp_path / "in").parent.resolve() == tmp_path / "in" / "sub"
    for text in ("away/x", "../x", "/x", "", "a\0", "a:b", "a\\b", "x" * 2000, "a/../../b"):
        with pytest.raises(InputError, match="leads out of the desk"):
            inside(text, tmp_path / "in")
