"""The ssh endpoints of the bench, for those peers that have no use for a URL."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class SshUrl:
    host: str
    path: str
    config: str


def parse(endpoint: str) -> SshUrl:
    url = urlsplit(endpoint)
    return SshUrl(url.netloc, url.path, parse_qs(url.query)["config"][0])
