"""The proxy of QGIS's network settings, as the variables that other programs read."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from qgis.core import QgsApplication, QgsSettings
from qgis.PyQt.QtNetwork import QNetworkProxy

# QGIS's types of proxies, and how curl, pip and requests spell them. "DefaultProxy" is that of
# the system, which they find by themselves.
SCHEMES = {"HttpProxy": "http", "HttpCachingProxy": "http", "Socks5Proxy": "socks5h"}


def proxy_variables() -> dict[str, str]:
    """Return ``http_proxy``, ``https_proxy`` and ``no_proxy``; nothing without a proxy."""
    settings = QgsSettings()
    scheme = SCHEMES.get(settings.value("proxy/proxyType", "", type=str))
    host = settings.value("proxy/proxyHost", "", type=str).strip()
    if not settings.value("proxy/proxyEnabled", False, type=bool) or scheme is None or not host:
        return {}
    proxy = QNetworkProxy()
    proxy.setUser(settings.value("proxy/proxyUser", "", type=str))
    proxy.setPassword(settings.value("proxy/proxyPassword", "", type=str))
    configuration = settings.value("proxy/authcfg", "", type=str)
    manager = QgsApplication.authManager()
    # Without the master password QGIS would ask for it, here in the midst of a tool.
    if configuration and manager.masterPasswordIsSet():
        manager.updateNetworkProxy(proxy, configuration)
    login = ":".join(quote(each, safe="") for each in (proxy.user(), proxy.password()) if each)
    port = settings.value("proxy/proxyPort", "", type=str).strip()
    address = f"{scheme}://{login}{'@' if login else ''}{host}{':' if port else ''}{port}"
    spared = settings.value("proxy/noProxyUrls", [], type=list)
    hosts = [urlsplit(each).hostname or each for each in spared if each]
    variables = {"http_proxy": address, "https_proxy": address}
    return {**variables, "no_proxy": ",".join(hosts)} if hosts else variables
