"""Does the jobs of one queue: `worker.py careless` or `worker.py careful`.

Careless: the job is popped and lives in this process's memory until it is done.
Careful: the job is moved, in one command, into a list of this worker's own, and leaves it when
it is done. Whatever is in that list when the worker starts was cut off, and is queued again.
"""

import json
import os
import signal
import sys
import time

import redis

NAME = "{}.{}".format(os.environ["DOTCLOUD_SERVICE_NAME"], os.environ["DOTCLOUD_SERVICE_ID"])
# How long a worker waits for a job before it looks whether it should stop.
PATIENCE_SECONDS = 1

database = redis.Redis.from_url(os.environ["DOTCLOUD_QUEUE_REDIS_URL"], socket_timeout=10, decode_responses=True)


class Careless:
    queue = "careless"

    def take(self):
        popped = database.brpop([self.queue], PATIENCE_SECONDS)
        return popped and popped[1]

    def finish(self, text):
        pass

    def put_back(self):
        pass


class Careful:
    queue = "careful"
    held = "held:careful:" + NAME

    def take(self):
        return database.blmove(self.queue, self.held, PATIENCE_SECONDS, "RIGHT", "LEFT")

    def finish(self, text):
        database.lrem(self.held, 1, text)

    def put_back(self):
        """What this worker had in hand when it was cut off, first in the queue."""
        while database.lmove(self.held, self.queue, "LEFT", "RIGHT"):
            print("one job was cut off and is queued again", flush=True)


class Worker:
    def __init__(self, way):
        self.way = way
        self.stopping = False
        # A push or a restart: the job in hand is finished, no other one is taken.
        signal.signal(signal.SIGTERM, self.stop)

    def stop(self, signum, frame):
        self.stopping = True

    def run(self):
        self.way.put_back()
        print("waiting for jobs of the {} queue".format(self.way.queue), flush=True)
        while not self.stopping:
            text = self.way.take()
            if text:
                self.do(json.loads(text))
                self.way.finish(text)

    def do(self, job):
        time.sleep(job["ms"] / 1000)
        # Under the job's id, so that doing it twice counts once: a careful worker that dies
        # right after this line does the job again.
        database.hset("done:" + self.way.queue, job["id"], NAME)


def main():
    way = {"careless": Careless, "careful": Careful}[sys.argv[1]]()
    try:
        Worker(way).run()
    except redis.RedisError as error:
        # The supervisor starts it again, and `put_back` comes first.
        sys.exit("the queue cannot be reached: {}".format(error))


main()
