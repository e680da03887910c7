"""python-socketio's asynchronous client: python_async.py <url> <token> [path]

What it writes for either entrance is what CLIENTS.md says: a path for API Gateway only.
"""

import asyncio
import json
import sys

import socketio

url, token, *path = sys.argv[1:]
entrance = {"socketio_path": path[0]} if path else {}


def say(*line):
    print(json.dumps(line), flush=True)


async def main():
    client = socketio.AsyncClient(reconnection=False)

    @client.on("*", namespace="/users")
    async def heard(event, *args):
        say("event", event, *args)

    @client.event(namespace="/users")
    async def connect():
        say("connect")

    @client.event(namespace="/users")
    async def connect_error(refusal):
        say("refused", refusal["message"] if isinstance(refusal, dict) else refusal)

    @client.event(namespace="/users")
    async def disconnect(reason):
        say("disconnect", reason)

    try:
        await client.connect(
            url, namespaces=["/users"], transports=["websocket"], auth={"token": token}, wait_timeout=60, **entrance
        )
        await client.wait()
    except socketio.exceptions.ConnectionError:
        # What there is to say about it was said.
        pass


asyncio.run(main())
