"""The counter in Redis: how to find it, reach it, and what to do when it goes away.

Reads are repeated once on a new connection. Writes are sent once: when the answer does not
come, nobody knows whether the write was done, and repeating it might count it twice.
"""

import json
import os
import time

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

COUNTER = "counter"
ARRIVALS = "arrivals"


class Unacknowledged(Exception):
    """A write got no answer: it may have been done or not."""


class Unreadable(Exception):
    """A read got no answer, twice."""


def environment():
    """The variables dotCloud wrote for this instance; those of the process where there is no file."""
    path = os.path.expanduser("~/environment.json")
    try:
        with open(path) as file:
            return json.load(file)
    except FileNotFoundError:
        return dict(os.environ)


def connect(variables):
    # redis-py repeats commands by itself unless told not to. The address is the service's
    # stable one, so that a new connection finds the new master after a failover.
    return redis.Redis(
        host=variables["DOTCLOUD_DB_REDIS_HOST"],
        port=int(variables["DOTCLOUD_DB_REDIS_PORT"]),
        password=variables.get("DOTCLOUD_DB_REDIS_PASSWORD"),
        socket_connect_timeout=5,
        socket_timeout=5,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


class Database:
    def __init__(self, variables):
        # Connections are made on first use, in each worker after the fork.
        self.redis = connect(variables)

    def value(self):
        return int(self._read(lambda: self.redis.get(COUNTER)) or 0)

    def increment_naively(self, think_seconds):
        """Read, think, write: another worker may have written in between."""
        value = self.value() + 1
        if think_seconds:
            time.sleep(think_seconds)
        self._write(lambda: self.redis.set(COUNTER, value))
        return value

    def increment_atomically(self):
        return self._write(lambda: self.redis.incr(COUNTER))

    def reset(self):
        self._write(lambda: self.redis.delete(COUNTER, ARRIVALS))

    def arrived(self, request_id):
        """Counts how often a request reached this application."""
        self._write(lambda: self.redis.hincrby(ARRIVALS, request_id, 1))

    def arrivals(self):
        return {name: int(count) for name, count in self._read(lambda: self.redis.hgetall(ARRIVALS)).items()}

    def _read(self, command):
        try:
            return command()
        except redis.RedisError:
            try:
                return command()
            except redis.RedisError as error:
                raise Unreadable(str(error)) from error

    def _write(self, command):
        try:
            return command()
        except redis.RedisError as error:
            raise Unacknowledged(str(error)) from error
