"""Queues jobs and says where they are. The work itself is done by the worker service."""

import json
import os
import uuid
from urllib.parse import parse_qs

import redis

INSTANCE = "{}.{}".format(os.environ["DOTCLOUD_SERVICE_NAME"], os.environ["DOTCLOUD_SERVICE_ID"])
QUEUES = ("careless", "careful")
MOST = 1000

database = redis.Redis.from_url(os.environ["DOTCLOUD_QUEUE_REDIS_URL"], socket_timeout=5, decode_responses=True)


def enqueue(query):
    """Puts `n` jobs of `ms` milliseconds each into one of the queues."""
    queue = query.get("queue", "careful")
    if queue not in QUEUES:
        return "400 Bad Request", {"error": "queue is careless or careful"}
    jobs = [
        json.dumps({"id": uuid.uuid4().hex, "ms": min(whole(query, "ms", 200), 60000)})
        for _ in range(min(whole(query, "n", 1), MOST))
    ]
    with database.pipeline() as together:
        if jobs:
            together.lpush(queue, *jobs)
        together.incrby("queued:" + queue, len(jobs))
        together.execute()
    return "202 Accepted", {"queued": len(jobs)}


def jobs(query):
    """Of each queue: what was put in, what waits, what a worker has in hand, what is done."""
    return "200 OK", {queue: numbers(queue) for queue in QUEUES}


def numbers(queue):
    with database.pipeline() as together:
        together.get("queued:" + queue)
        together.llen(queue)
        together.hlen("done:" + queue)
        together.hvals("done:" + queue)
        queued, waiting, done, workers = together.execute()
    held = {name.rsplit(":", 1)[1]: database.llen(name) for name in database.scan_iter("held:" + queue + ":*")}
    return {
        "queued": int(queued or 0),
        "waiting": waiting,
        "held": held,
        "done": done,
        "by": {name: workers.count(name) for name in sorted(set(workers))},
    }


def whole(query, name, otherwise):
    try:
        return max(int(query.get(name, otherwise)), 0)
    except ValueError:
        return otherwise


ROUTES = {("POST", "/jobs"): enqueue, ("GET", "/jobs"): jobs, ("GET", "/"): jobs}


def handle(environ):
    action = ROUTES.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
    if not action:
        return "404 Not Found", {"error": "POST /jobs?queue=careless|careful&n=20&ms=200, then GET /jobs"}
    query = {name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
    try:
        return action(query)
    except redis.RedisError as error:
        return "503 Service Unavailable", {"error": str(error)}


def application(environ, start_response):
    status, answer = handle(environ)
    answer["instance"] = INSTANCE
    body = json.dumps(answer, indent=1).encode() + b"\n"
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
