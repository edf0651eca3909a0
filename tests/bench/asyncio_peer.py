"""asyncio's side of the bench: `show info` over asyncio's streams, all endpoints at once."""

from __future__ import annotations

import asyncio
import socket
import time
from urllib.parse import urlsplit

from bench.rounds import Round, cpu_us, obey

GREETING = b"prompt\nset severity-output number\n"
COMMAND = b"show info\n"
PROMPT = b"\n> "
PROOF = b"\nPid: "
LIMIT = 1 << 20

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
loop = asyncio.new_event_loop()
kept: list[Stream] = []


async def connect(endpoint: str) -> Stream:
    url = urlsplit(endpoint)
    if url.scheme == "tcp":
        return await asyncio.open_connection(url.hostname, url.port, limit=LIMIT)
    # asyncio takes a full listen queue (EAGAIN) for a connect in progress, and the socket, which
    # never was connected, for one that is. So the connect is made here.
    while True:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            client.connect(url.path)
        except BlockingIOError:
            client.close()
            await asyncio.sleep(0.002)
        else:
            return await asyncio.open_unix_connection(sock=client, limit=LIMIT)


async def ask(endpoint: str) -> tuple[float, bytes]:
    reader, writer = await connect(endpoint)
    sent = time.perf_counter()
    writer.write(GREETING + COMMAND + b"quit\n")
    reply = await reader.read()
    writer.close()
    return sent, reply


async def cold(endpoints: list[str]) -> Round:
    cpu, begun = cpu_us(), time.perf_counter()
    answers = await asyncio.gather(*map(ask, endpoints))
    ended = time.perf_counter()
    used = cpu_us() - cpu
    return Round(
        1e3 * (ended - begun),
        1e3 * (ended - min(sent for sent, _ in answers)),
        used,
        sum(PROOF in reply for _, reply in answers),
    )


async def greeted(endpoint: str) -> Stream:
    reader, writer = await connect(endpoint)
    writer.write(GREETING)
    await reader.readuntil(PROMPT)
    await reader.readuntil(PROMPT)
    return reader, writer


async def warm(endpoints: list[str]) -> Round:
    if not kept:
        kept.extend(await asyncio.gather(*map(greeted, endpoints)))
    cpu, begun = cpu_us(), time.perf_counter()
    for _, writer in kept:
        writer.write(COMMAND)
    replies = await asyncio.gather(*(reader.readuntil(PROMPT) for reader, _ in kept))
    window = 1e3 * (time.perf_counter() - begun)
    return Round(window, window, cpu_us() - cpu, sum(PROOF in reply for reply in replies))


if __name__ == "__main__":
    obey(
        {
            "cold": lambda endpoints: loop.run_until_complete(cold(endpoints)),
            "warm": lambda endpoints: loop.run_until_complete(warm(endpoints)),
        }
    )
