"""A counter with two ways to add one: a wrong one and a right one."""

import json
import os
import time
from urllib.parse import parse_qs

from database import Database, Unacknowledged, Unreadable, environment

try:
    import uwsgi  # only there inside uWSGI
except ImportError:
    uwsgi = None

VARIABLES = environment()
INSTANCE = "{}.{}".format(VARIABLES.get("DOTCLOUD_SERVICE_NAME", "www"), VARIABLES.get("DOTCLOUD_SERVICE_ID", "0"))
PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "page.html")
LONGEST_SLEEP = 30.0

database = Database(VARIABLES)


def worker():
    return uwsgi.worker_id() if uwsgi else 1


# --- what each path does; `query` holds the first value of every parameter


def naive(query):
    return {"value": database.increment_naively(seconds(query, "think_ms") / 1000)}


def atomic(query):
    return {"value": database.increment_atomically()}


def value(query):
    return {"value": database.value()}


def slow(query):
    """Takes `s` seconds; as a POST it has added one before it sleeps."""
    counted = database.increment_atomically() if query["method"] == "POST" else database.value()
    time.sleep(min(seconds(query, "s"), LONGEST_SLEEP))
    return {"value": counted}


def reset(query):
    database.reset()
    return {"value": 0}


def arrivals(query):
    """How many logged requests came, and which of them came more than once."""
    counts = database.arrivals()
    return {"requests": len(counts), "twice": sorted(name for name, count in counts.items() if count > 1)}


def who(query):
    return {}


ROUTES = {
    "/naive": (naive, ("POST",)),
    "/atomic": (atomic, ("POST",)),
    "/reset": (reset, ("POST",)),
    "/slow": (slow, ("GET", "HEAD", "POST")),
    "/value": (value, ("GET", "HEAD")),
    "/arrivals": (arrivals, ("GET", "HEAD")),
    "/who": (who, ("GET", "HEAD")),
}


def seconds(query, name):
    try:
        return max(float(query.get(name, 0)), 0.0)
    except ValueError:
        return 0.0


def handle(environ):
    """Status and answer of one request."""
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    if path not in ROUTES:
        return "404 Not Found", {"error": "there is no " + path}
    action, methods = ROUTES[path]
    if method not in methods:
        return "405 Method Not Allowed", {"error": "{} wants {}".format(path, " or ".join(methods))}
    query = {name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
    query["method"] = method
    try:
        if query.get("log") and environ.get("HTTP_X_REQUEST_ID"):
            database.arrived(environ["HTTP_X_REQUEST_ID"])
        return "200 OK", action(query)
    except Unacknowledged as error:
        return "503 Service Unavailable", {"error": "the write may or may not have been done: {}".format(error)}
    except Unreadable as error:
        return "503 Service Unavailable", {"error": "the database does not answer: {}".format(error)}


def application(environ, start_response):
    if environ["PATH_INFO"] == "/":
        with open(PAGE, "rb") as file:
            body, content_type, status = file.read(), "text/html; charset=utf-8", "200 OK"
    else:
        status, answer = handle(environ)
        answer.update(instance=INSTANCE, worker=worker())
        body, content_type = json.dumps(answer).encode() + b"\n", "application/json"
    headers = [("Content-Type", content_type), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
    start_response(status, headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
