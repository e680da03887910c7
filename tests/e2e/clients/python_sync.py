"""python-socketio's synchronous client: python_sync.py <url> <token> [path]

What it writes for either entrance is what CLIENTS.md says: a path for API Gateway only.
"""

import json
import sys

import socketio

url, token, *path = sys.argv[1:]
entrance = {"socketio_path": path[0]} if path else {}
client = socketio.Client(reconnection=False)


def say(*line):
    print(json.dumps(line), flush=True)


@client.on("*", namespace="/users")
def heard(event, *args):
    say("event", event, *args)


@client.event(namespace="/users")
def connect():
    say("connect")


@client.event(namespace="/users")
def connect_error(refusal):
    say("refused", refusal["message"] if isinstance(refusal, dict) else refusal)


@client.event(namespace="/users")
def disconnect(reason):
    say("disconnect", reason)


try:
    client.connect(
        url, namespaces=["/users"], transports=["websocket"], auth={"token": token}, wait_timeout=60, **entrance
    )
    client.wait()
except socketio.exceptions.ConnectionError:
    # What there is to say about it was said.
    sys.exit(0)
