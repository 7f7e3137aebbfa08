"""Who may ask the playground, what it tells, and what it never does."""

import functools
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from multigan.playground import server
from multigan.playground.library import Library


def raw(address, head, content=""):
    """The answer to a request as it is, without what clients make of its path and headers."""
    host, port = address.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), 100) as opened:
        opened.sendall(f"{head}\r\nHost: {host}\r\nConnection: close\r\n\r\n{content}".encode())
        return b"".join(iter(lambda: opened.recv(65536), b""))


def test_the_first_page_names_starters_and_runs(client):
    found = client.get("/api/models").json()
    names = {row["id"] for row in found["models"]}
    assert {"starter/image", "starter/audio", "starter/text", "runs/first", "runs/labels", "runs/ring"} <= names
    assert client.get("/").headers["content-type"].startswith("text/html")


def test_only_what_is_named_is_offered(inside):
    library = Library(("runs/first", "starter/text"))
    assert [*library.models()] == ["runs/first", "starter/text"]
    assert [*library.runs()] == ["runs/first"]


def test_no_torch_is_imported_before_the_first_page_is_there(inside):
    code = "import sys, multigan.playground.server as s, multigan.playground.library as l\n"
    code += (
        "s.build(l.Library(())); l.Library(()).described(); print([m for m in ('torch', 'numpy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_headers_forbid_other_hosts(client):
    for path in ("/", "/static/app.js", "/api/models", "/nowhere"):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy and "http" not in policy
        assert client.get(path).headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", ""])
def test_a_name_that_is_not_this_machine_s_is_refused(client, host):
    assert client.get("/api/models", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "[::1]:7860", "192.168.0.7:7860"])
def test_addresses_and_localhost_are_this_machine(client, host):
    assert client.get("/api/models", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null"])
def test_other_sites_change_nothing(client, origin):
    values = {"id": "runs/first"}
    for action in ("start", "stop", "resume"):
        assert client.post(f"/api/runs/{action}", json=values, headers={"origin": origin}).status_code == 403
    assert (
        client.post("/api/runs/stop", json=values, headers={"origin": str(client.base_url).rstrip("/")}).status_code
        == 422
    )


@pytest.mark.parametrize("source", ["cross-site", "same-site"])
def test_pictures_and_scripts_that_other_sites_ask_for_are_refused(client, source):
    header = {"sec-fetch-site": source}
    for path in ("/api/models", "/api/form", "/api/directions", "/static/app.js"):
        assert client.get(path, headers=header).status_code == 403
    assert client.get("/", headers=header).status_code == 200  # a link
    assert client.get("/api/models", headers={"sec-fetch-site": "same-origin"}).status_code == 200


def test_a_page_does_not_choose_what_is_imported(client):
    answer = client.get("/api/form", params={"modality": "antigravity:x"})
    assert (answer.status_code, answer.json()["error"]) == (422, "no modality 'antigravity:x' is installed")
    assert "antigravity" not in sys.modules


def test_settings_of_other_types_are_refused(client):
    for values in ({"modality": "image", "name": "x", "settings": ["steps"]}, {"id": "runs/first", "steps": "many"}):
        assert client.post("/api/runs/start", json=values).status_code == 422


def test_a_form_of_another_site_is_no_request(client):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = client.post("/api/runs/stop", content=b"{}", headers={"content-type": kind})
        assert (answer.status_code, answer.text) == (403, "expected JSON")


def test_large_and_broken_requests_are_refused(client, address):
    broken = client.post("/api/draw", content=b"{", headers={"content-type": "application/json"})
    assert (broken.status_code, broken.json()["error"]) == (422, "a request is a JSON object")
    head = "POST /api/draw HTTP/1.1\r\nContent-Type: application/json\r\n"
    assert b"64 MiB at most" in raw(address, f"{head}Content-Length: {server.LARGEST + 1}")
    assert b"64 MiB at most" in raw(address, f"{head}Transfer-Encoding: chunked", "0\r\n\r\n")


@pytest.mark.parametrize("id", ["/etc", "../room", "runs/../../etc", "runs", "starter", ""])
def test_what_is_not_offered_is_not_opened(client, id):
    assert client.get("/api/model", params={"id": id}).status_code == 404
    assert client.get("/api/run", params={"id": id}).status_code == 404
    assert client.get("/api/plane", params={"id": id}).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        *("/static/../server.py", "/static/%2e%2e/server.py", "/static/..%2fserver.py", "/static//etc/passwd"),
        *("/static/%2e%2e%2f%2e%2e%2fstarters/image/config.json", "/static/..\\server.py", "/..%2f..%2fetc/passwd"),
    ],
)
def test_no_path_leads_out_of_the_page(address, path):
    assert raw(address, f"GET {path} HTTP/1.1").split(b" ", 2)[1] == b"404"


def test_previews_are_served_and_nothing_else_of_a_run(client, inside):
    samples = inside / "runs" / "first" / "samples"
    (inside / "outside.png").write_bytes(b"secret")
    link = samples / "step-000009.png"
    link.symlink_to(inside / "outside.png")
    found = client.get("/preview", params={"run": "runs/first", "file": "step-000002.png"})
    assert found.content == (samples / "step-000002.png").read_bytes()
    for file in ("step-000009.png", "../config.yaml", "..%2fconfig.yaml", "/etc/passwd", "step-000002.png/..", "", "."):
        answer = client.get("/preview", params={"run": "runs/first", "file": file})
        assert answer.status_code == 404 and "secret" not in answer.text
    link.unlink()


def test_a_damaged_model_is_named_and_the_others_are_there(client, inside):
    broken = inside / "runs" / "broken" / "model"
    broken.mkdir(parents=True)
    (broken.parent / "config.yaml").write_text("modality: image\n")
    (broken / "config.json").write_text("{")
    rows = {row["id"]: row for row in client.get("/api/models").json()["models"]}
    assert "is not a multigan model" in rows["runs/broken"]["error"] and "error" not in rows["runs/first"]
    assert client.get("/api/model", params={"id": "runs/broken"}).status_code == 422
    (broken / "config.json").unlink()
    (broken.parent / "config.yaml").unlink()


def test_a_port_in_use_is_one_line(command):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = command("playground", "starter/image", "--no-browser", "--port", port).error
    assert found.startswith(f"cannot listen on 127.0.0.1, port {port}: Address already in use")


@pytest.mark.parametrize("name", ["starter/imge", "runs/nothing", "no/such/place"])
def test_what_is_neither_a_model_nor_a_run_is_one_line(command, name):
    assert name in command("playground", name, "--no-browser").error


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_a_missing_extra_is_one_line_with_the_command(command, monkeypatch, missing):
    for module in [name for name in sys.modules if name.split(".")[0] == missing or "playground.server" in name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)
    assert command("playground").error == 'the playground needs more: pip install "multigan[playground]"'


COMMAND = [sys.executable, "-m", "multigan", "playground", "--no-browser", "--port", "0"]


def test_the_command_prints_its_address_serves_and_ends_with_ctrl_c(inside):
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            answer = raw(running.stdout.readline().split()[1], "GET /api/runs HTTP/1.1")
        finally:
            running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=100)
    assert "runs/first" in {row["id"] for row in json.loads(answer.split(b"\r\n\r\n", 1)[1])}
    assert (running.returncode, said) == (0, "")


def test_it_ends_with_the_terminal_and_writes_no_more_to_it(inside):
    terminal, its_end = os.openpty()
    # Which is ignored where tests run under nohup.
    usual = functools.partial(signal.signal, signal.SIGHUP, signal.SIG_DFL)
    with subprocess.Popen(COMMAND, stdout=its_end, stderr=subprocess.PIPE, preexec_fn=usual) as running:
        os.close(its_end)
        raw(os.read(terminal, 1000).decode().split()[1], "GET / HTTP/1.1")
        os.close(terminal)
        running.send_signal(signal.SIGHUP)
        try:
            _, said = running.communicate(timeout=100)
        finally:
            running.kill()
    assert (running.returncode, said) == (0, b"")


def test_listening_for_others_comes_with_a_warning(monkeypatch, inside):
    said = []
    monkeypatch.setattr(server.uvicorn.Server, "run", lambda self, sockets: None)
    server.serve(Library(()), "0.0.0.0", 0, False, said.append)
    assert said[0].startswith("playground: http://0.0.0.0:") and said[1].startswith("warning: whoever reaches")
