"""What every answer of the desk carries, and what no request gets past: headers, sizes, origins."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestration.errors import StockhouseError

#: A form or workbook larger than this is refused before it is read.
LARGEST = 2 * 1024 * 1024
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
}


class TooLargeError(StockhouseError):
    """A request's body is larger than any form of the desk."""


class Guard:
    """Secure headers on every answer, and no body beyond LARGEST."""

    def __init__(self, app: ASGIApp, *, is_secure: bool) -> None:
        self.app = app
        more = {"strict-transport-security": "max-age=31536000"} if is_secure else {}
        self.headers = [(k.encode(), v.encode()) for k, v in (HEADERS | more).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, counting its bytes, and answer it with our headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > LARGEST:
                raise TooLargeError
            return message

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                more = [pair for pair in self.headers if pair[0] not in given]
                if b"cache-control" not in given:
                    more.append((b"cache-control", b"no-store"))
                message["headers"] = [*message["headers"], *more]
            await send(message)

        await self.app(scope, counted, answered)


def is_from_here(headers: dict[str, str], host: str) -> bool:
    """Whether a form was sent from one of our own pages, as far as the browser says."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site not in (None, "same-origin", "none"):
        return False
    return origin in (None, "", "null") or str(origin).split("://")[-1] == host
