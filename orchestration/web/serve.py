"""Keep the desk open: on loopback, or where others reach it behind TLS or a proxy that has it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import uvicorn

from orchestration.home import Home
from orchestration.home.addresses import is_loopback
from orchestration.web.application import create_app
from orchestration.web.single_sign_on import Provider


@dataclass(frozen=True)
class Address:
    """Where the desk is reached. certificate, key: PEM files for HTTPS. proxied_as: the name under
    which a proxy with TLS on this machine shows it."""

    host: str = "127.0.0.1"
    port: int = 8321
    certificate: Path | None = None
    key: Path | None = None
    proxied_as: str = ""

    @property
    def is_secure(self) -> bool:
        """Whether people reach it by HTTPS."""
        return self.certificate is not None or bool(self.proxied_as)

    @property
    def url(self) -> str:
        """What people type."""
        if self.proxied_as:
            return f"https://{self.proxied_as}"
        return f"http{'s' if self.is_secure else ''}://{self.host}:{self.port}"

    def check(self) -> None:
        """Raise ValueError for an address at which passwords could be read by others."""
        if (self.certificate is None) != (self.key is None):
            raise ValueError("--tls-cert and --tls-key belong together")
        for path in (self.certificate, self.key):
            if path is not None and not path.is_file():
                raise ValueError(f"there is no file {path}")
        if not is_loopback(self.host) and self.certificate is None:
            raise ValueError(
                f"{self.host} can be reached by others, and passwords would go in the clear: give "
                "--tls-cert and --tls-key, or let a proxy with TLS on this machine show it "
                "(--behind-proxy NAME) and stay on 127.0.0.1"
            )


def serve(home: Home, address: Address) -> None:
    """Answer until interrupted. Raises ValueError for an unsafe address, or an identity provider
    that the environment half describes."""
    address.check()
    hosts = tuple(name for name in (address.host, address.proxied_as) if name)
    app = create_app(home, hosts=hosts, is_secure=address.is_secure, provider=Provider.named())
    uvicorn.run(
        app,
        host=address.host,
        port=address.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
        proxy_headers=bool(address.proxied_as),
        forwarded_allow_ips="127.0.0.1",
    )
