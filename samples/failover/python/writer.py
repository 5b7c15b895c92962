"""Writes one row after the other, for ever: `writer.py careful|naive <database service>`.

Both ways run the same loop: row n+1 comes after row n was acknowledged, and a row that was not
is tried again. They differ in what they do with a connection that failed.
"""

import collections
import json
import os
import sys
import time

import pymysql

WAY, DATABASE = sys.argv[1:]
NAME = "{}.{} {} {}".format(os.environ["DOTCLOUD_SERVICE_NAME"], os.environ["DOTCLOUD_SERVICE_ID"], WAY, DATABASE)
BOARD = os.path.expanduser("~/board/")
# Each start counts from 1 again, under a number of its own: during a push two of a name run.
RUN = int(time.time() * 1000)
# Between two writes; and after one that failed, since a dead connection fails at once.
PAUSE_SECONDS = float(os.environ.get("PAUSE_MS", 20)) / 1000
RETRY_SECONDS = 0.05


def connect():
    # The service's address stays the same whoever is master. While nobody is, connecting takes
    # as long as that lasts: the platform holds the connection back instead of refusing it.
    address = "DOTCLOUD_{}_MYSQL_".format(DATABASE.upper())
    return pymysql.connect(
        host=os.environ[address + "HOST"],
        port=int(os.environ[address + "PORT"]),
        user=os.environ[address + "LOGIN"],
        password=os.environ[address + "PASSWORD"],
        autocommit=True,
        connect_timeout=10,
        read_timeout=10,
    )


def insert(connection, number):
    """Whether the row was there already: written before, by an attempt that got no answer."""
    with connection.cursor() as cursor:
        # The number is the key, so that writing it twice comes to the same as writing it once.
        # Only that makes it right to try again what may have been done.
        return cursor.execute("INSERT IGNORE INTO failover.numbers VALUES (%s, %s, %s)", (NAME, RUN, number)) == 0


class Naive:
    """One connection, made at the start and kept for ever. Once cut, it stays cut."""

    def __init__(self):
        self.connection = connect()

    def write(self, number):
        return insert(self.connection, number)


class Careful:
    """A connection that failed is thrown away, and the next attempt makes a new one."""

    def __init__(self):
        self.connection = None

    def write(self, number):
        try:
            self.connection = self.connection or connect()
            return insert(self.connection, number)
        except (pymysql.MySQLError, OSError):
            if self.connection:
                # Not `close`, which would first say goodbye to nobody.
                self.connection._force_close()
            self.connection = None
            raise


class Account:
    """What this writer was promised. A file, because the database may be what is missing."""

    def __init__(self):
        self.attempts, self.acknowledged, self.found, self.longest = 0, 0, 0, 0.0
        self.errors = collections.Counter()
        self.answered = self.saved = time.monotonic()

    def answer(self, found):
        self.attempts += 1
        self.acknowledged += 1
        self.found += found
        self.measure()
        self.answered = time.monotonic()

    def failure(self, error):
        self.attempts += 1
        self.errors[str(error)] += 1
        self.measure()

    def measure(self):
        now = time.monotonic()
        self.longest = max(self.longest, now - self.answered)
        if now - self.saved > 0.2:
            self.saved = now
            self.save()

    def save(self):
        account = {
            "writer": NAME,
            "run": RUN,
            "database": DATABASE,
            "attempts": self.attempts,
            "acknowledged": self.acknowledged,
            "found": self.found,
            "errors": self.errors,
            "longest_outage_ms": round(self.longest * 1000),
        }
        # Renamed when it is complete: whoever reads never sees half of it.
        with open(BOARD + NAME + ".new", "w") as file:
            json.dump(account, file)
        os.replace(BOARD + NAME + ".new", BOARD + NAME + ".json")


def begin():
    """Makes room. A failure ends the writer, and the supervisor tries again."""
    connection = connect()
    with connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE IF NOT EXISTS failover")
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS failover.numbers "
            "(writer VARCHAR(60), run BIGINT, number INT, PRIMARY KEY (writer, run, number))"
        )
        # Row 0 says that this run has begun, before the rows of the former one go.
        cursor.execute("INSERT INTO failover.numbers VALUES (%s, %s, 0)", (NAME, RUN))
        cursor.execute("DELETE FROM failover.numbers WHERE writer = %s AND run < %s", (NAME, RUN))
    connection.close()


def main():
    begin()
    way, account, number = {"careful": Careful, "naive": Naive}[WAY](), Account(), 1
    while True:
        try:
            account.answer(way.write(number))
            number += 1
            time.sleep(PAUSE_SECONDS)
        except (pymysql.MySQLError, OSError) as error:
            account.failure(error)
            time.sleep(RETRY_SECONDS)


main()
