"""The proxy of QGIS's network settings reaches the programs that GeoDL starts."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading

import pytest
from qgis.core import QgsSettings

from geodl_plugin.core.errors import WorkerError
from geodl_plugin.core.progress import Progress
from geodl_plugin.worker import indexes
from geodl_plugin.worker.interpreters import ask
from geodl_plugin.worker.pip_install import follow

SHOW = "import json, urllib.request; print(json.dumps(urllib.request.getproxies()))"


@pytest.fixture
def proxy(provider, monkeypatch):
    """Return a function that sets the proxy of QGIS: ``proxy(Host="10.0.0.1")``."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    settings = QgsSettings()
    before = {key: settings.value(key) for key in settings.allKeys() if key.startswith("proxy/")}

    def put(**values):
        settings.remove("proxy")
        for name, value in {"Enabled": True, "Type": "HttpProxy", **values}.items():
            key = name if name[0].islower() else f"proxy{name}"
            settings.setValue(f"proxy/{key}", value)

    yield put
    settings.remove("proxy")
    for key, value in before.items():
        settings.setValue(key, value)


class Recorder:
    """A proxy that notes what it is asked for and lets nothing through."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.asked: list[str] = []  # "CONNECT host:port"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(4096).decode().partition(" HTTP/")[0])
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    def close(self):
        self._socket.close()


@pytest.fixture
def recorder():
    made = Recorder()
    yield made
    made.close()


def told():
    return json.loads(ask(sys.executable, SHOW))


def test_children_are_told_the_proxy_with_its_login(proxy):
    proxy(Host=" proxy.example ", Port="3128", User="grün", Password="a:b@c/d")
    address = "http://gr%C3%BCn:a%3Ab%40c%2Fd@proxy.example:3128"
    assert told() == {"http": address, "https": address}


def test_hosts_without_a_proxy_and_other_kinds(proxy):
    proxy(Host="h", Port="1080", Type="Socks5Proxy", noProxyUrls=["http://maps.example/wms", "ten"])
    assert told() == {
        "http": "socks5h://h:1080",
        "https": "socks5h://h:1080",
        "no": "maps.example,ten",
    }


@pytest.mark.parametrize(
    "values", [{"Host": "h", "Enabled": False}, {"Host": ""}, {"Host": "h", "Type": "DefaultProxy"}]
)
def test_without_a_proxy_the_systems_own_holds(proxy, monkeypatch, values):
    proxy(**values)
    assert told() == {}
    monkeypatch.setenv("https_proxy", "http://of.the.system:80")
    assert told() == {"https": "http://of.the.system:80"}


def test_looking_for_wheels_goes_through_the_proxy(proxy, recorder):
    proxy(Host="127.0.0.1", Port=str(recorder.port))
    assert not indexes._reachable("cpu")
    assert recorder.asked[0] == "CONNECT download.pytorch.org:443"


def test_pip_goes_through_the_proxy(proxy, recorder, tmp_path):
    proxy(Host="127.0.0.1", Port=str(recorder.port))
    options = ["--isolated", "--retries", "0", "--index-url", "https://wheels.example/simple"]
    command = [sys.executable, "-m", "pip", "download", *options, "-d", str(tmp_path), "torch"]
    with contextlib.suppress(WorkerError):
        list(follow(command, "Installing", Progress()))
    assert recorder.asked[0] == "CONNECT wheels.example:443"
