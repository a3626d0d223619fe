"""What landing says when it must stop: one clear message with what, where and how to mend it."""

from __future__ import annotations

from orchestration.errors import StockhouseError


class ContractError(StockhouseError):
    """The world's contract, or a file it names, cannot be read as declared; nothing of the delivery
    was loaded (exit code 2)."""

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        self.what, self.where, self.mend = what, where, mend
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.what}" + (f" ({self.mend})" if self.mend else "")
