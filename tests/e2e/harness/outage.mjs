// A DynamoDB that can be taken away for a while, and comes back with everything that was in it.
import { once } from "node:events";
import { connect, createServer } from "node:net";

export class Outage {
  #server;
  #open = new Set();
  #away = false;

  /** `behind` is the URL of another DynamoDB. */
  static async before(behind) {
    const { hostname, port } = new URL(behind);
    const outage = new Outage();
    outage.#server = createServer((client) => outage.#passOn(client, { host: hostname, port: Number(port) }));
    outage.#server.listen(0, "127.0.0.1");
    await once(outage.#server, "listening");
    outage.endpoint = `http://127.0.0.1:${outage.#server.address().port}`;
    return outage;
  }

  #passOn(client, behind) {
    if (this.#away) return client.destroy();
    const server = connect(behind);
    for (const [socket, other] of [[client, server], [server, client]]) {
      this.#open.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#open.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }

  /** From now on there is no database, also for who is connected to it. */
  begin() {
    this.#away = true;
    for (const socket of [...this.#open]) socket.destroy();
  }

  /** It is back. */
  end() {
    this.#away = false;
  }

  close() {
    this.begin();
    this.#server.close();
  }
}
