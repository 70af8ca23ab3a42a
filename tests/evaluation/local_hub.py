"""A stand-in of the Hugging Face hub on this machine: the few requests by which files are pushed and fetched."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest.mock import patch

from huggingface_hub import constants

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Repositories in memory: "OWNER/NAME" -> file -> bytes. It takes the token "good" alone."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != "Bearer good":
            self._answer(401, {"error": "Invalid username or password."})
            return
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:3] == ["api", "repos", "create"]:
            asked = json.loads(body)
            name = "/".join(part for part in (asked.get("organization"), asked["name"]) if part)
            self.server.repositories.setdefault(name, {})
            self.server.private[name] = "private" in (
                asked.get("visibility"),
                "private" if asked.get("private") else "",
            )
            self._answer(200, {"url": f"{self.server.url}/{name}", "name": name, "id": name})
        elif parts[4:5] == ["preupload"]:
            files = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                     for file in json.loads(body)["files"]]  # fmt: skip
            self._answer(200, {"files": files})
        elif parts[4:5] == ["commit"]:
            name = "/".join(parts[2:4])
            for line in body.splitlines():
                if (entry := json.loads(line))["key"] == "file":
                    value = entry["value"]
                    self.server.repositories[name][value["path"]] = base64.b64decode(value["content"])
            self._answer(200, {"commitUrl": f"{self.server.url}/{name}/commit/{COMMIT}", "commitOid": COMMIT,
                               "success": True})  # fmt: skip
        else:
            self._answer(200, {})

    def do_HEAD(self) -> None:
        self.do_GET(has_body=False)

    def do_GET(self, *, has_body: bool = True) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        files = self.server.repositories.get("/".join(parts[:2]))
        if len(parts) < 5 or parts[2] != "resolve" or files is None:
            self._answer(404, {"error": "none"}, {"X-Error-Code": "RepoNotFound"})
            return
        data = files.get("/".join(parts[4:]))
        if data is None:
            self._answer(404, {"error": "none"}, {"X-Error-Code": "EntryNotFound"})
            return
        etag = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": COMMIT}
        self._send(200, data if has_body else b"", etag | {"Content-Length": str(len(data))})

    def _answer(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        kind = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        self._send(status, b"" if self.command == "HEAD" else data, kind | (headers or {}))

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def local_hub() -> Iterator[Hub]:
    """Serve until the block ends; its clients wait as long as a busy machine may need."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        with patch.multiple(constants, HF_HUB_ETAG_TIMEOUT=120, HF_HUB_DOWNLOAD_TIMEOUT=120):
            yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
