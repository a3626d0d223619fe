"""Sign-in by an identity provider of the company's (OpenID Connect, code flow with PKCE), where the
environment names one; Authlib speaks the protocol.

The provider says who somebody is, and of which groups; the environment says which claim is the
name, and which group has which role. Nobody is let in without a group that has one.
"""

from __future__ import annotations

import os
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from starlette.responses import Response

from orchestration.errors import StockhouseError
from orchestration.home.addresses import is_private
from orchestration.web.people import ROLES

PREFIX = "STOCKHOUSE_OIDC_"
#: Signatures of a key pair alone: what the provider's public keys can check and nobody else make.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
#: Seconds that a provider is waited for, that a clock may be wrong, and that signing in may take.
PATIENCE, LEEWAY, LASTS = 10, 60, 600
#: So many forms that an ended session cut off wait for their writers, of so many bytes each.
MOST_FORMS, LARGEST_FORM = 200, 64 * 1024


class SignOnError(StockhouseError):
    """The identity provider does not vouch for anybody who may come in."""


@dataclass(frozen=True)
class Vouched:
    """Whom the provider vouches for: its own unchanging id of them, their name here, their role."""

    identity: str
    name: str
    role: str


@dataclass(frozen=True)
class Provider:
    """An identity provider as the environment describes it. issuer: its address; name_claim: what
    the record calls somebody; roles: role by group, groups being in groups_claim."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    roles: Mapping[str, str]
    title: str = ""
    name_claim: str = "preferred_username"
    groups_claim: str = "groups"
    scopes: str = "openid profile email"

    def __post_init__(self) -> None:
        place = urlsplit(self.issuer)
        if not (place.hostname and is_private(self.issuer)):
            raise ValueError(f"{PREFIX}ISSUER is the https address of a provider: {self.issuer!r}")
        if not self.client_id:
            raise ValueError(f"{PREFIX}CLIENT_ID is missing: what the provider calls this desk")
        if not self.roles or (odd := set(self.roles.values()) - set(ROLES)):
            what = f"there is no role {min(odd)!r}" if self.roles else "no group has a role"
            raise ValueError(f"{what}: {PREFIX}ROLES is group=role, …, of {', '.join(ROLES)}")
        if "openid" not in self.scopes.split():
            raise ValueError(f"{PREFIX}SCOPES has to contain openid: {self.scopes!r}")

    @classmethod
    def named(cls, environment: Mapping[str, str] = os.environ) -> Provider | None:
        """The provider of the environment; None where it names none. Raises ValueError for one that
        is half described."""
        said = {
            name.removeprefix(PREFIX).lower(): value.strip()
            for name, value in environment.items()
            if name.startswith(PREFIX) and value.strip()
        }
        if not said:
            return None
        known = {"issuer", "client_id", "client_secret", "roles", "title"}
        known |= {"name_claim", "groups_claim", "scopes"}
        if unknown := sorted(said.keys() - known):
            said_so = ", ".join(sorted(PREFIX + name.upper() for name in known))
            raise ValueError(f"{PREFIX}{unknown[0].upper()} means nothing: there are {said_so}")
        usual = {"issuer": "", "client_id": "", "client_secret": ""}
        return cls(**usual | said | {"roles": _roles(said.get("roles", ""))})  # type: ignore[arg-type]

    def vouched(self, claims: Mapping[str, Any]) -> Vouched:
        """Whom the claims of a checked token are about, with the highest role of their groups.

        Raises SignOnError for a token without a name, an unverified address as a name, or groups of
        which none has a role.
        """
        name = claims.get(self.name_claim)
        if not (isinstance(name, str) and name.strip()):
            raise SignOnError(f"the provider does not say your {self.name_claim}")
        if self.name_claim == "email" and claims.get("email_verified") is not True:
            raise SignOnError(f"the provider has not verified that {name} is yours")
        said = claims.get(self.groups_claim) or []
        groups = {said} if isinstance(said, str) else {str(group) for group in said}
        held = [ROLES.index(role) for group, role in self.roles.items() if group in groups]
        if not held:
            raise SignOnError(
                f"{name} is in no group that may come in here; an admin of the provider can put "
                f"you in one of {', '.join(self.roles)}"
            )
        return Vouched(f"{self.issuer} {claims['sub']}", name.strip(), ROLES[max(held)])


def _roles(said: str) -> dict[str, str]:
    """Roles by group out of group=role, …; the role stands behind the last sign of equality, as the
    groups of a directory have some of their own."""
    pairs = [part.rpartition("=") for part in said.split(",") if part.strip()]
    return {group.strip(): role.strip() for group, _, role in pairs}


class SignOn:
    """The door to one provider: a redirect there, and what its answer says."""

    def __init__(self, provider: Provider) -> None:
        from authlib.integrations.starlette_client import OAuth  # noqa: PLC0415 - an extra

        self.provider = provider
        self.forms = Forms()
        self.client = OAuth().register(
            "provider",
            client_id=provider.client_id,
            client_secret=provider.client_secret or None,
            server_metadata_url=f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": provider.scopes,
                "code_challenge_method": "S256",
                "timeout": PATIENCE,
                "token_endpoint_auth_method": "client_secret_basic"
                if provider.client_secret
                else "none",
            },
        )

    async def begin(self, request: Request, back: str) -> Response:
        """A redirect to the provider, with a state, a nonce and a challenge of this visit's own;
        what proves them stands in the request's session."""
        await self._known()
        answer: Response = await self.client.authorize_redirect(request, back)
        return answer

    async def end(self, request: Request) -> Vouched:
        """Whom the provider sent back. Raises SignOnError for an answer that was not asked for, or
        a token that is not the provider's, not for this desk, or over."""
        from authlib.integrations.base_client import OAuthError  # noqa: PLC0415 - an extra
        from joserfc.errors import JoseError  # noqa: PLC0415 - an extra

        await self._known()
        wanted = {
            "iss": {"essential": True, "value": self.provider.issuer},
            "aud": {"essential": True, "value": self.provider.client_id},
        }
        try:
            token = await self.client.authorize_access_token(
                request, claims_options=wanted, leeway=LEEWAY
            )
        except (OAuthError, JoseError, ValueError) as error:
            raise SignOnError(f"the provider's answer does not hold: {error}") from error
        except Exception as error:
            raise _unreachable(error) from error
        if not token.get("userinfo"):
            raise SignOnError("the provider's answer says of nobody who they are")
        return self.provider.vouched(token["userinfo"])

    async def _known(self) -> None:
        """The provider's own description, once; signatures that anybody could make are struck."""
        try:
            said = await self.client.load_server_metadata()
        except Exception as error:
            raise _unreachable(error) from error
        if said.get("issuer") != self.provider.issuer:
            raise SignOnError(
                f"{self.provider.issuer} calls itself {said.get('issuer')!r}: write {PREFIX}ISSUER "
                "as the provider does"
            )
        signed = said.get("id_token_signing_alg_values_supported") or ALGORITHMS[:1]
        usable = [name for name in signed if name in ALGORITHMS]
        if not usable:
            raise SignOnError(f"the provider signs by {', '.join(signed)}, which proves nothing")
        said["id_token_signing_alg_values_supported"] = usable


def _unreachable(error: Exception) -> Exception:
    """A provider that does not answer, or not as one, in words; a defect of ours as it is."""
    import httpx  # noqa: PLC0415 - only where something went wrong

    if not isinstance(error, httpx.HTTPError | ValueError | KeyError):
        return error
    return SignOnError(
        f"the identity provider does not answer as one ({type(error).__name__}): try again, or "
        "sign in by your password"
    )


class Forms:
    """Forms that an ended session cut off, kept while their writers are at the provider."""

    def __init__(self) -> None:
        self.kept: OrderedDict[str, tuple[dict[str, list[str]], str]] = OrderedDict()
        self.lock = Lock()

    def keep(self, typed: dict[str, list[str]], action: str) -> str:
        """The key under which a form waits; empty where there is none, or it is too large."""
        size = sum(len(name) + sum(map(len, values)) for name, values in typed.items())
        if not typed or size > LARGEST_FORM:
            return ""
        key = secrets.token_urlsafe(18)
        with self.lock:
            self.kept[key] = (typed, action)
            while len(self.kept) > MOST_FORMS:
                self.kept.popitem(last=False)
        return key

    def take(self, key: str) -> tuple[dict[str, list[str]], str]:
        """A form that waits, for the one time it is asked for; nothing where it is gone."""
        with self.lock:
            return self.kept.pop(key, ({}, ""))
