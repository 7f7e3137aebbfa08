"""A small Hub: models in memory, behind the addresses of the Hugging Face Hub that fetching and pushing need."""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKENS = {"hf_writer": "me", "hf_reader": "other"}


class Hub:
    """A server of this machine; ``repositories`` maps names to their branches, and those to files."""

    def __init__(self):
        self.repositories = {}
        self.private = set()
        self.pull_requests = []
        self.messages = []
        self.log = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments):
                hub.log.append(f"{self.command} {unquote(self.path)}")

            def do_GET(self):
                self.answer(*hub.get(urlsplit(self.path), self.user()))

            do_HEAD = do_GET  # noqa: N815  # named by the library

            def do_POST(self):
                size = int(self.headers.get("Content-Length") or 0)
                self.answer(*hub.post(urlsplit(self.path), self.rfile.read(size), self.user()))

            def user(self):
                return TOKENS.get((self.headers.get("Authorization") or "").removeprefix("Bearer "))

            def answer(self, status, body, headers=()):
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Length": len(content), **dict(headers)}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *details):
        self.server.shutdown()
        self.server.server_close()

    def missing(self, code, status=404):
        return status, {"error": code}, {"X-Error-Code": code, "X-Error-Message": code}

    def visible(self, name, user):
        return name in self.repositories and (name not in self.private or name.split("/")[0] == user)

    def files(self, name, revision):
        """Of a branch or a commit, or None."""
        branches = self.repositories[name]
        return branches.get(revision, next((one for one in branches.values() if commit(one) == revision), None))

    def get(self, address, user):
        if address.path == "/api/whoami-v2":
            return (200, {"name": user, "type": "user", "orgs": []}) if user else self.missing("Unauthorized", 401)
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", unquote(address.path))
        if found:
            name, kind, revision = found.groups()
            if not self.visible(name, user):
                return self.missing("RepoNotFound", 401 if user is None else 404)
            files = self.files(name, revision or "main")
            if files is None:
                return self.missing("RevisionNotFound")
            if kind == "tree":
                return 200, [
                    {"type": "file", "path": path, "size": len(content), "oid": blob(content)}
                    for path, content in files.items()
                ]
            siblings = [{"rfilename": path} for path in files]
            return 200, {"id": name, "sha": commit(files), "siblings": siblings, "private": name in self.private}
        found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", unquote(address.path))
        if found:
            name, revision, path = found.groups()
            files = self.files(name, revision) or {}
            if path not in files:
                return self.missing("EntryNotFound")
            return 200, files[path], {"ETag": f'"{blob(files[path])}"', "X-Repo-Commit": commit(files)}
        return self.missing("Unknown")

    def post(self, address, body, user):
        if address.path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if user is None:
            return self.missing("Unauthorized", 401)
        if address.path == "/api/repos/create":
            given = json.loads(body)
            name = f"{given.get('organization') or user}/{given['name']}"
            if name.split("/")[0] != user:
                return self.missing("Forbidden", 403)
            if name in self.repositories:
                return 409, {"error": "exists", "url": f"{self.address}/{name}"}
            self.repositories[name] = {"main": {}}
            if given.get("private") or given.get("visibility") == "private":
                self.private.add(name)
            return 200, {"url": f"{self.address}/{name}", "name": name}
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit|branch)/(.+)", unquote(address.path))
        if not found or not self.visible(found[1], user):
            return self.missing("RepoNotFound")
        name, kind, revision = found.groups()
        if name.split("/")[0] != user:
            return self.missing("Forbidden", 403)
        branches = self.repositories[name]
        if kind == "branch":
            branches.setdefault(revision, dict(branches["main"]))
            return 200, {}
        if kind == "preupload":
            return 200, {
                "files": [
                    {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for file in json.loads(body)["files"]
                ]
            }
        lines = [json.loads(line) for line in body.splitlines()]
        files = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines if line["key"] == "file"
        }
        self.messages += [line["value"]["summary"] for line in lines if line["key"] == "header"]
        answer = {"commitUrl": f"{self.address}/{name}/commit/{commit(files)}", "commitOid": commit(files)}
        if "create_pr=1" in address.query:
            self.pull_requests.append(files)
            return 200, answer | {"pullRequestUrl": f"{self.address}/{name}/discussions/1"}
        branches[revision].update(files)
        return 200, answer


def blob(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def commit(files):
    return hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
