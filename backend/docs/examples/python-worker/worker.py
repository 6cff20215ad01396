"""Takes jobs from the list `jobs` and writes each answer to a stream that ends.

    python3 worker.py
    redis-cli RPUSH jobs '{"id": "42", "prompt": "Say hello"}'
    curl -N 'localhost:4000/events?stream=run:42&from=start'

It needs only the standard library. `pip install redis` has a complete client.
"""

import json
import os
import socket
import time
from urllib.parse import urlsplit

TTL = 3600  # seconds; longer than a user may need to reload the page


class Redis:
    """A connection that sends one command at a time."""

    def __init__(self, url):
        address = urlsplit(url)
        self.socket = socket.create_connection((address.hostname, address.port or 6379))
        self.replies = self.socket.makefile("rb")

    def __call__(self, *words):
        encoded = [str(word).encode() for word in words]
        request = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
        self.socket.sendall(b"*%d\r\n%s" % (len(words), request))
        return self.read()

    def read(self):
        line = self.replies.readline()
        if not line:
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise RuntimeError(rest)
        if kind == b"$":
            return self.replies.read(int(rest) + 2)[:-2].decode() if rest != "-1" else None
        if kind == b"*":
            return [self.read() for _ in range(int(rest))] if rest != "-1" else None
        return rest


def answer(prompt):
    """Stands for a language model: yields one token at a time."""
    for token in ["The ", "prompt ", "has ", str(len(prompt.split())), " words."]:
        time.sleep(0.1)
        yield token


def work(redis, job):
    run = f"run:{job['id']}"
    end = {}
    try:
        for token in answer(job["prompt"]):
            redis("XADD", run, "*", "data", token)
            redis("EXPIRE", run, TTL)  # at each token: the run leaves Redis even if this program dies
    except (LookupError, TypeError, ValueError) as error:
        end = {"error": repr(error)}  # subscribers get the status "failed"
    redis("XADD", run, "*", "event", "stream.end", "data", json.dumps(end))
    redis("EXPIRE", run, TTL)


def main():
    redis = Redis(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"))
    while True:
        _, job = redis("BLPOP", "jobs", 0)
        work(redis, json.loads(job))


main()
