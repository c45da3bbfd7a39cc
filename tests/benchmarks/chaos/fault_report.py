"""What came of one kind of fault."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class FaultReport:
    """Attributes:
    fault: its name.
    tried: what was done to the server, with figures.
    survived: how it came through.
    held: promises that were kept.
    lost: promises that were not; empty where all is well.
    not_tried: what could not be done here, and why.
    seconds: how long all this took.
    """

    fault: str
    tried: list[str] = field(default_factory=list)
    survived: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    not_tried: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def expect(self, promise: str, kept: bool, found: object = "") -> None:
        """Counts a promise as held or lost; `found` is what was seen instead."""
        if kept:
            self.held.append(promise)
        else:
            self.lost.append(f"{promise}: found {found}" if found != "" else promise)

    def lines(self) -> list[str]:
        """For the terminal."""
        said = [
            f"=== {self.fault} ({self.seconds:.0f} s): {'LOST' if self.lost else 'nothing lost'}"
        ]
        for word in ("tried", "survived", "held", "not_tried", "lost"):
            said += [f"  {word.replace('_', ' '):9} {one}" for one in getattr(self, word)]
        return said
