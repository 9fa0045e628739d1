"""The published Python package, as fast as it goes: driver.py hot|distinct TASKS SECONDS.

Every task acquires one token after the other until the time is over, from one bucket or each from its own, which exist
already. Prints {"acquires": count, "seconds": time, "latencies_ms": {"p50": ..., "p99": ...}}.
"""

import asyncio
import json
import os
import sys
import time

from zae_limiter import RateLimiter, Repository

ENDPOINT = os.environ["ZAE_DRIVER_ENDPOINT"]


async def take(limiter, entity):
    async with limiter.acquire(entity, "gpt-4", {"rpm": 1}):
        pass


async def main(mode, tasks, seconds):
    repository = await Repository.connect("default", stack="limiter", endpoint_url=ENDPOINT)
    limiter = RateLimiter(repository=repository)
    entities = ["py-hot" if mode == "hot" else f"py-{task}" for task in range(tasks)]
    for entity in dict.fromkeys(entities):
        await take(limiter, entity)
        await take(limiter, entity)
    latencies = []

    async def work(entity, end):
        while (begin := time.perf_counter()) < end:
            await take(limiter, entity)
            latencies.append(time.perf_counter() - begin)

    start = time.perf_counter()
    await asyncio.gather(*(work(entity, start + seconds) for entity in entities))
    took = time.perf_counter() - start
    await repository.close()
    latencies.sort()
    part = {f"p{p}": 1000 * latencies[(len(latencies) - 1) * p // 100] for p in (50, 99)}
    print(json.dumps({"acquires": len(latencies), "seconds": took, "latencies_ms": part}))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
