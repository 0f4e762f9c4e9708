from desk_server import TOKEN, serving


def test_the_token_is_exchanged_once_and_then_the_cookie_counts(tmp_path):
    with serving(tmp_path / "desk") as desk:
        assert desk.raw("GET", "/", [("Host", desk.host)])[0] == 401
        desk.let_in()
        status, headers, body = desk.raw("GET", "/", desk.own())
        assert status == 200
        assert b"<h1>Patients</h1>" in body
        assert "unsafe-inline" not in headers["content-security-policy"]
        status, _, body = desk.raw("GET", f"/?token={TOKEN}", [("Host", desk.host)])
        assert (status, b"has been used" in body) == (401, True)
