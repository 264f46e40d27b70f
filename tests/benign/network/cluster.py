"""A cluster of dask's, whose workers send to each other all that they have: most of them in the world, some in the container.

    cluster.py FOLDER world|container"""

import asyncio
import os
import sys

import dask
import dask.bag
from distributed import Client, Scheduler, Worker

FOLDER, place = sys.argv[1:]
SCHEDULER = "tcp://10.50.0.1:8786"
dask.config.set({"distributed.worker.memory.target": False, "distributed.comm.timeouts.connect": "60s"})


def made(name):
    open(os.path.join(FOLDER, name), "w").close()


def worker(host, number):
    return Worker(SCHEDULER, host=host, name=f"{place}{number}", nthreads=1, dashboard=False, memory_limit=0)


async def world():
    async with Scheduler(host="10.50.0.1", port=8786, dashboard=False):
        workers = [await worker(f"10.50.1.{number}", number) for number in range(1, 41)]
        made("cluster")
        await asyncio.gather(*(one.finished() for one in workers))


async def container():
    workers = [await worker("10.9.0.2", number) for number in range(4)]
    async with Client(SCHEDULER, asynchronous=True) as client:
        await client.wait_for_workers(44)
        numbers = dask.bag.range(4400, npartitions=44)
        groups = numbers.groupby(lambda number: number % 44, npartitions=44, shuffle="tasks", max_branch=64)
        sizes = await client.compute(groups.map(lambda group: len(group[1])))
        assert sizes == [100] * 44, sizes
    made("shuffled")
    for one in workers:
        await one.close()


asyncio.run(world() if place == "world" else container())
