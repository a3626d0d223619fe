"""A small identity provider (OpenID Connect, code flow): it asks nobody for a password, checks what
a desk sends as a real one does, and can lie where a test tells it to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import uvicorn
from fastapi import FastAPI, Form, Header, HTTPException
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.responses import HTMLResponse, RedirectResponse

CLIENT, SECRET = "desk", "what only desk and provider know"


class IdentityProvider:
    """Its people by name with their claims; lies: claims of every token that are not true; algorithm:
    how tokens are signed, HS256 by what is published; is_forged: by another key than its own."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.people: dict[str, dict[str, Any]] = {}
        self.lies: dict[str, Any] = {}
        self.algorithm, self.is_forged = "RS256", False
        self.key, self.other = (
            RSAKey.generate_key(2048, {"kid": kid, "use": "sig"}) for kid in ("1", "1")
        )
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[dict[str, str]] = []
        self.server = uvicorn.Server(
            uvicorn.Config(self._app(), port=self.port, log_level="error", access_log=False)
        )

    def __enter__(self) -> IdentityProvider:
        threading.Thread(target=self.server.run, daemon=True).start()
        while not self.server.started:
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True

    def environment(self, **more: str) -> dict[str, str]:
        """What a desk's environment says of it."""
        said = {"issuer": self.issuer, "client_id": CLIENT, "client_secret": SECRET}
        said["roles"] = "stock-admins=admin, buyers=planner, cn=heads=approver"
        return {f"STOCKHOUSE_OIDC_{name.upper()}": value for name, value in (said | more).items()}

    def allow(self, name: str, question: Mapping[str, str]) -> str:
        """Where a person who says yes is sent: back to the desk, with a code of one use."""
        code = secrets.token_urlsafe(16)
        self.codes[code] = {**question, "name": name}
        given = urlencode({"code": code, "state": question["state"]})
        return f"{question['redirect_uri']}?{given}"

    def token(self, name: str, question: Mapping[str, str]) -> str:
        """A signed token of who somebody is."""
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "sub": f"id of {name}", "iat": now}
        claims |= {"exp": now + 300, "nonce": question.get("nonce", "")}
        claims |= self.people[name] | self.lies
        header = {"alg": self.algorithm, "kid": "1"}
        if self.algorithm != "RS256":  # what a library would not let one do
            said = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
            known = self.key.as_pem(private=False)  # a secret that everybody knows
            by_that = hmac.digest(known, said.encode(), "sha256")
            return f"{said}.{b64(by_that) if self.algorithm == 'HS256' else ''}"
        return jwt.encode(header, claims, self.other if self.is_forged else self.key)

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        def configuration() -> dict[str, Any]:
            return {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "id_token_signing_alg_values_supported": ["RS256", "none"],
                "code_challenge_methods_supported": ["S256"],
            }

        @app.get("/keys")
        def keys() -> Any:
            return KeySet([self.key]).as_dict(private=False)

        @app.get("/authorize")
        def authorize(
            client_id: str,
            redirect_uri: str,
            state: str,
            nonce: str,
            scope: str,
            code_challenge: str,
            code_challenge_method: str,
            response_type: str,
        ) -> Any:
            assert (client_id, response_type, code_challenge_method) == (CLIENT, "code", "S256")
            question = {"redirect_uri": redirect_uri, "state": state, "nonce": nonce}
            question |= {"challenge": code_challenge, "scope": scope}
            self.asked.append(question)
            links = [
                f'<li><a href="/yes?{urlencode({"name": name, "k": len(self.asked) - 1})}">{name}</a>'
                for name in self.people
            ]
            return HTMLResponse(f"<h1>Who are you?</h1><ul>{''.join(links)}</ul>")

        @app.get("/yes")
        def yes(name: str, k: int) -> Any:
            return RedirectResponse(self.allow(name, self.asked[k]), 303)

        @app.post("/token")
        def token(
            code: str = Form(),
            redirect_uri: str = Form(),
            code_verifier: str = Form(),
            authorization: str = Header(),
        ) -> dict[str, Any]:
            whom = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
            question = self.codes.pop(code, None)
            if authorization != f"Basic {whom}" or question is None:
                raise HTTPException(400, "invalid_grant")
            challenge = b64(hashlib.sha256(code_verifier.encode()).digest())
            if (challenge, redirect_uri) != (question["challenge"], question["redirect_uri"]):
                raise HTTPException(400, "invalid_grant")
            signed = self.token(question["name"], question)
            return {"access_token": "a", "token_type": "Bearer", "id_token": signed}

        return app


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
