"""python-socketio's synchronous client: python_sync.py <url> <path> <token>"""

import json
import sys

import socketio

url, path, token = sys.argv[1:]
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
        url, socketio_path=path, namespaces=["/users"], transports=["websocket"], auth={"token": token}, wait_timeout=60
    )
    client.wait()
except socketio.exceptions.ConnectionError:
    # What there is to say about it was said.
    sys.exit(0)
