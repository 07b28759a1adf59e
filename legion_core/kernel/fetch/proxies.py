"""Which proxy the environment, or the system's settings, want for an address."""


def proxy_for(scheme: str, host: str) -> str:
    """The proxy's own address; empty for none. May block for a moment."""
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    found = proxies.get(scheme) or proxies.get("all") or ""
    if not found or proxy_bypass(host):
        return ""
    return found if "://" in found else f"http://{found}"
