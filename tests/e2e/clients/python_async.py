"""python-socketio's asynchronous client: python_async.py <url> <path> <token>"""

import asyncio
import json
import sys

import socketio

url, path, token = sys.argv[1:]


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
            url, socketio_path=path, namespaces=["/users"], transports=["websocket"], auth={"token": token}, wait_timeout=60
        )
        await client.wait()
    except socketio.exceptions.ConnectionError:
        # What there is to say about it was said.
        pass


asyncio.run(main())
