"""Prints the events of a URL. It reconnects and resumes, with the standard library only.

    python3 subscriber.py 'http://localhost:4000/events?stream=orders'
"""

import sys
import time
import urllib.error
import urllib.request

url = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:4000/events?stream=orders"

last_id, retry = None, 2.0
while True:
    request = urllib.request.Request(url, headers={"Accept": "text/event-stream"})
    if last_id:
        request.add_header("Last-Event-ID", last_id)
    try:
        # The gateway sends a ping every 15 seconds, so a longer silence means a dead connection.
        with urllib.request.urlopen(request, timeout=40) as response:
            if response.status == 204:  # all topics have ended
                break
            event_id, event, data = last_id, "message", []
            for raw in response:
                field, _, value = raw.decode().rstrip("\n").partition(":")
                value = value.removeprefix(" ")
                if field == "id":
                    event_id = value
                elif field == "event":
                    event = value
                elif field == "data":
                    data.append(value)
                elif field == "retry":
                    retry = int(value) / 1000
                elif field == "":
                    if data:
                        print(event, "\n".join(data), flush=True)
                    # Not before: an event that is cut off must arrive again.
                    last_id = event_id
                    event, data = "message", []
    except urllib.error.HTTPError as error:
        if error.code < 500:  # a retry cannot fix it
            sys.exit(f"{error}: {error.read().decode()}")
    except OSError as error:
        print("reconnecting:", error, file=sys.stderr)
    time.sleep(retry)
