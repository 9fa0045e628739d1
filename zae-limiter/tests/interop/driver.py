"""Lets a test call the published Python package: one JSON request a line on stdin, one JSON answer a line on stdout.

A request is {"op": name, "ns": namespace, "now_ms": driven time or null, ...arguments}; an answer is {"ok": value},
{"error": class name, "message": text} or, for a refusal, the error with the map form of the package in "map".
"""

import asyncio
import dataclasses
import json
import os
import sys
import time
from datetime import timedelta

from zae_limiter import Limit, OnUnavailable, RateLimiter, Repository, RateLimitExceeded
from zae_limiter.schedule import ScheduleEntry

STACK = "limiter"
ENDPOINT = os.environ["ZAE_DRIVER_ENDPOINT"]
# No cache, so that every step of a test sees what the other side has just written.
CACHES = {"config_cache_ttl": 0, "rejection_cache_ttl": 0.0}


class Abandoned(Exception):
    """What a caller raises whose work failed."""


class Session:
    """Repositories and limiters by namespace, on one clock."""

    def __init__(self):
        self.now_ms = None
        self.root = None
        self.repositories = {}
        self.limiters = {}

    def clock(self):
        return int(time.time() * 1000) if self.now_ms is None else self.now_ms

    def drive(self, repository):
        repository._now_ms = self.clock
        return repository

    async def repository(self, namespace):
        if self.root is None:
            self.root = self.drive(await Repository.connect(namespace, stack=STACK, endpoint_url=ENDPOINT, **CACHES))
            self.repositories[namespace] = self.root
        if namespace not in self.repositories:
            self.repositories[namespace] = self.drive(await self.root.namespace(namespace))
        return self.repositories[namespace]

    async def limiter(self, namespace):
        if namespace not in self.limiters:
            self.limiters[namespace] = RateLimiter(repository=await self.repository(namespace))
        return self.limiters[namespace]


def limits(rows):
    return [limit(row) for row in rows]


def limit(row):
    row = dict(row)
    if "schedule" in row:
        row["schedule"] = tuple(ScheduleEntry(**entry) for entry in row["schedule"])
    if "reset_schedule" in row:
        row["reset_schedule"] = tuple(ScheduleEntry.reset(**entry) for entry in row["reset_schedule"])
    if "reset_after_seconds" in row:
        row["reset_after"] = timedelta(seconds=row.pop("reset_after_seconds"))
    return Limit(**row)


def plain_limits(rows):
    return [
        {
            "name": row.name,
            "capacity": row.capacity,
            "refill_amount": row.refill_amount,
            "refill_period_seconds": row.refill_period_seconds,
        }
        for row in rows
    ]


def plain_entity(entity):
    if entity is None:
        return None
    return {
        "id": entity.id,
        "name": entity.name,
        "parent_id": entity.parent_id,
        "cascade": entity.cascade,
        "metadata": entity.metadata,
    }


async def create_table(session, namespaces, lambda_version, updated_by, **_):
    """What deploying a stack leaves behind, without a stack."""
    root = Repository(name=STACK, endpoint_url=ENDPOINT, _skip_deprecation_warning=True)
    await root.create_table()
    await root.register_namespaces(namespaces)
    await root.set_version_record("0.10.0", lambda_version=lambda_version, updated_by=updated_by)
    await root.close()


async def version_record(session, ns, **_):
    return await (await session.repository(ns)).get_version_record()


async def register_namespace(session, ns, name, **_):
    return await (await session.repository(ns)).register_namespace(name)


async def delete_namespace(session, ns, name, **_):
    await (await session.repository(ns)).delete_namespace(name)


async def get_namespace(session, ns, name, **_):
    return await (await session.repository(ns)).get_namespace(name)


async def create_entity(session, ns, entity, principal=None, **_):
    return plain_entity(await (await session.limiter(ns)).create_entity(**entity, principal=principal))


async def get_entity(session, ns, entity_id, **_):
    return plain_entity(await (await session.limiter(ns)).get_entity(entity_id))


async def get_children(session, ns, entity_id, **_):
    return [plain_entity(child) for child in await (await session.limiter(ns)).get_children(entity_id)]


async def delete_entity(session, ns, entity_id, principal=None, **_):
    await (await session.limiter(ns)).delete_entity(entity_id, principal=principal)


async def set_limits(session, ns, entity_id, resource, rows, principal=None, **_):
    await (await session.limiter(ns)).set_limits(entity_id, limits(rows), resource=resource, principal=principal)


async def get_limits(session, ns, entity_id, resource, **_):
    return plain_limits(await (await session.limiter(ns)).get_limits(entity_id, resource=resource))


async def delete_limits(session, ns, entity_id, resource, principal=None, **_):
    await (await session.limiter(ns)).delete_limits(entity_id, resource=resource, principal=principal)


async def set_resource_defaults(session, ns, resource, rows, principal=None, **_):
    await (await session.limiter(ns)).set_resource_defaults(resource, limits(rows), principal=principal)


async def get_resource_defaults(session, ns, resource, **_):
    return plain_limits(await (await session.limiter(ns)).get_resource_defaults(resource))


async def delete_resource_defaults(session, ns, resource, principal=None, **_):
    await (await session.limiter(ns)).delete_resource_defaults(resource, principal=principal)


async def set_system_defaults(session, ns, rows, on_unavailable=None, principal=None, **_):
    policy = None if on_unavailable is None else OnUnavailable(on_unavailable)
    await (await session.limiter(ns)).set_system_defaults(limits(rows), on_unavailable=policy, principal=principal)


async def get_system_defaults(session, ns, **_):
    rows, policy = await (await session.limiter(ns)).get_system_defaults()
    return {"rows": plain_limits(rows), "on_unavailable": None if policy is None else policy.value}


async def delete_system_defaults(session, ns, principal=None, **_):
    await (await session.limiter(ns)).delete_system_defaults(principal=principal)


async def listed_resources(session, ns, **_):
    limiter = await session.limiter(ns)
    return {
        "defaults": await limiter.list_resources_with_defaults(),
        "entities": await limiter.list_resources_with_entity_configs(),
    }


async def put_provisioner_state(session, ns, state, **_):
    await (await session.repository(ns)).put_provisioner_state(state)


async def get_provisioner_state(session, ns, **_):
    return await (await session.repository(ns)).get_provisioner_state()


async def recover_namespace(session, ns, name, **_):
    """By the name that it had, so that both sides can be told the same."""
    repository = await session.repository(ns)
    orphans = await repository.list_orphan_namespaces()
    for orphan in orphans:
        if orphan["namespace"] == name:
            return await repository.recover_namespace(orphan["namespace_id"])
    raise LookupError(f"{name} is not among {orphans}")


async def purge_namespace(session, ns, name, **_):
    """The same for a deleted namespace that is not to come back."""
    repository = await session.repository(ns)
    for orphan in await repository.list_orphan_namespaces():
        if orphan["namespace"] == name:
            await repository.purge_namespace(orphan["namespace_id"])


async def use_feature(session, ns, feature, entity_id, resource, **_):
    """Uses a feature that releases up to 0.11 do not have."""
    repository, limiter = await session.repository(ns), await session.limiter(ns)
    plain = Limit.per_minute("rpm", 10)
    replaced = {
        "soft": Limit.per_minute("rpm", 10, soft=True),
        "schedule": plain.with_schedule((ScheduleEntry(cron="* 0-8 * * *", scale=0.5),)),
        "quota": Limit.quota("rpm", 10, cron="0 0 * * *"),
        "session": Limit.quota("rpm", 10, reset_after=timedelta(hours=1)),
    }
    if feature in replaced:
        await limiter.set_limits(entity_id, [replaced[feature]], resource=resource)
    elif feature == "disabled resource":
        await repository.disable_resource(resource)
    elif feature == "disabled entity":
        await repository.disable_entity(entity_id, resource=resource)
    elif feature == "bypassed resource":
        await repository.bypass_resource(resource)
    elif feature == "bypassed entity":
        await repository.bypass_entity(entity_id, resource=resource)
    elif feature == "resource cascade":
        await repository.set_resource_cascade(resource, True)
    elif feature == "entity cascade":
        await repository.set_entity_cascade(entity_id, True, resource=resource)
    else:
        raise ValueError(feature)


async def set_access(session, ns, resource, access, entity_id=None, principal=None, **_):
    """Switches a resource, or an entity on a resource or (_default_) everywhere; how many buckets were stamped."""
    repository = await session.repository(ns)
    if entity_id is None:
        verb = {None: repository.clear_resource_disabled, "bypassed": repository.bypass_resource}
        verb |= {"disabled": repository.disable_resource, "enabled": repository.enable_resource}
        return await verb[access](resource, principal=principal)
    verb = {None: repository.clear_entity_disabled, "bypassed": repository.bypass_entity}
    verb |= {"disabled": repository.disable_entity, "enabled": repository.enable_entity}
    return await verb[access](entity_id, resource=None if resource == "_default_" else resource, principal=principal)


async def resolve_access(session, ns, entity_id, resource, **_):
    access = await (await session.repository(ns)).resolve_access(entity_id, resource)
    state = "disabled" if access.disabled else "bypassed" if access.bypass else "enabled"
    return {"access": state, "level": access.disabled_level}


async def set_cascade(session, ns, resource, cascade, entity_id=None, principal=None, **_):
    """Sets the policy of a resource, or of an entity on a resource or (_default_) everywhere; null removes it."""
    repository = await session.repository(ns)
    if entity_id is None:
        if cascade is None:
            return await repository.clear_resource_cascade(resource, principal=principal)
        return await repository.set_resource_cascade(resource, cascade, principal=principal)
    scope = None if resource == "_default_" else resource
    if cascade is None:
        return await repository.clear_entity_cascade(entity_id, resource=scope, principal=principal)
    return await repository.set_entity_cascade(entity_id, cascade, resource=scope, principal=principal)


def operation_result(result):
    return {"shards": result.shards, "amounts": dict(result.amounts)}


async def reset_bucket(session, ns, entity_id, resource, key=None, principal=None, **_):
    repository = await session.repository(ns)
    return operation_result(
        await repository.reset_bucket(entity_id, resource, principal=principal, idempotency_key=key)
    )


async def top_up(session, ns, entity_id, resource, amounts, key=None, principal=None, **_):
    repository = await session.repository(ns)
    return operation_result(
        await repository.top_up(entity_id, resource, amounts, principal=principal, idempotency_key=key)
    )


async def set_parent(session, ns, entity_id, parent_id, principal=None, **_):
    return await (await session.repository(ns)).set_parent(entity_id, parent_id, principal=principal)


async def audit(session, ns, entity_id, limit=100, start_event_id=None, **_):
    events = await (await session.limiter(ns)).get_audit_events(
        entity_id, limit=limit, start_event_id=start_event_id
    )
    return [dataclasses.asdict(event) for event in events]


async def available(session, ns, entity_id, resource, **_):
    return await (await session.limiter(ns)).available(entity_id, resource)


async def wait(session, ns, entity_id, resource, needed, **_):
    return await (await session.limiter(ns)).time_until_available(entity_id, resource, needed)


async def acquire(
    session, ns, entity_id, resource, consume, adjust=None, release=None, abandon=False, also=None, **_
):
    """Acquires, does what is asked of the lease, and ends it: by commit, or by an exception when abandoned."""
    limiter = await session.limiter(ns)
    consumed = {}
    try:
        async with limiter.acquire(entity_id, resource, consume, also=also) as lease:
            if adjust:
                await lease.adjust(**adjust)
            if release:
                await lease.release(**release)
            consumed = lease.consumed
            if abandon:
                raise Abandoned
    except Abandoned:
        return {}
    return consumed


async def burst(session, ns, entity_id, resource, consume, tasks, seconds=None, **_):
    """Many tasks acquire until each is refused, or (given seconds) until the time is over; how often it worked."""
    limiter = await session.limiter(ns)
    end = None if seconds is None else time.monotonic() + seconds

    async def one():
        granted = 0
        while end is None or time.monotonic() < end:
            try:
                async with limiter.acquire(entity_id, resource, consume):
                    granted += 1
            except RateLimitExceeded as refusal:
                # The package also says this of a bucket that is merely contended.
                if end is None and not refusal.as_dict().get("contended"):
                    break
                await asyncio.sleep(0.002)
        return granted

    return sum(await asyncio.gather(*(one() for _ in range(tasks))))


OPERATIONS = {
    function.__name__: function
    for function in (
        create_table,
        version_record,
        register_namespace,
        delete_namespace,
        get_namespace,
        create_entity,
        get_entity,
        get_children,
        delete_entity,
        set_limits,
        get_limits,
        delete_limits,
        set_resource_defaults,
        get_resource_defaults,
        delete_resource_defaults,
        set_system_defaults,
        get_system_defaults,
        delete_system_defaults,
        listed_resources,
        put_provisioner_state,
        get_provisioner_state,
        recover_namespace,
        purge_namespace,
        use_feature,
        set_access,
        set_cascade,
        resolve_access,
        reset_bucket,
        top_up,
        set_parent,
        audit,
        available,
        wait,
        acquire,
        burst,
    )
}


async def answer(session, request):
    session.now_ms = request.pop("now_ms", None)
    operation = OPERATIONS[request.pop("op")]
    try:
        return {"ok": await operation(session, **request)}
    except RateLimitExceeded as refusal:
        return {"error": "RateLimitExceeded", "message": str(refusal), "map": refusal.as_dict()}
    except Exception as error:  # everything is for the test to judge
        return {"error": type(error).__name__, "message": str(error)}


async def main():
    session = Session()
    while line := await asyncio.to_thread(sys.stdin.readline):
        reply = await answer(session, json.loads(line))
        print(json.dumps(reply, default=str), flush=True)
    if session.root is not None:
        await session.root.close()


asyncio.run(main())
