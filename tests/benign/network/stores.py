"""Opens a hundred stores over HTTP at once, as libraries for arrays in clouds do: of each its metadata, then some chunks. Some
of them have gone.

    stores.py FOLDER"""

import asyncio
import sys

import aiohttp

FOLDER = sys.argv[1]


async def read(session, store):
    for path in ("hello?.zmetadata", "hello?0.0", "hello?0.1"):
        async with session.get(f"http://{store}.test/{path}") as answer:
            assert await answer.read() == b"hello"


async def main():
    limits = aiohttp.ClientTimeout(connect=5)
    async with aiohttp.ClientSession(timeout=limits, connector=aiohttp.TCPConnector(limit=100)) as session:
        stores = [f"site{number}" for number in range(100)] + [f"dead{number}" for number in range(15)]
        ends = await asyncio.gather(*(read(session, store) for store in stores), return_exceptions=True)
    assert [end for end in ends[:100] if end] == [], ends
    open(f"{FOLDER}/read", "w").close()


asyncio.run(main())
