// The management API of sockets, `@connections`, asked directly: what it answers is what the functions live with. On AWS
// requests are signed with the credentials of the environment; local-dev looks at no signature.
import { createHash, createHmac } from "node:crypto";
import { connect } from "node:tls";

const hash = (text) => createHash("sha256").update(text).digest("hex");
const hmac = (key, text) => createHmac("sha256", key).update(text).digest();

/** As Signature Version 4 has it: everything but what never needs to be, in capitals. */
const encode = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);

export class Management {
  /** `base` is the URL of the stage, `https://<api>.execute-api.<region>.amazonaws.com/<stage>`. */
  constructor(base, env = process.env) {
    this.base = base.replace(/\/$/, "").replace(/^ws/, "http");
    const [, region] = /\.execute-api\.([^.]+)\./.exec(this.base) ?? [, process.env.AWS_REGION ?? "local"];
    this.region = region;
    const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token } = env;
    this.isLocal = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(new URL(this.base).hostname);
    this.credentials = id && secret ? { id, secret, token } : this.isLocal ? { id: "local", secret: "local" } : undefined;
  }

  /** Whether it can be asked at all. */
  get isReachable() {
    return this.credentials !== undefined;
  }

  /** One request; status, error type and body of the answer. */
  async call(method, connectionId, body = "") {
    const url = new URL(`${this.base}/@connections/${encode(connectionId)}`);
    const answer = await fetch(url, { method, headers: this.#signed(method, url, body), ...(body && { body }) });
    return { status: answer.status, type: answer.headers.get("x-amzn-errortype")?.split(":")[0], body: await answer.text() };
  }

  /** What the TLS handshake agrees on; without TLS there is nothing to agree on. */
  httpVersion() {
    const { protocol, hostname, port } = new URL(this.base);
    if (protocol !== "https:") return Promise.resolve("http/1.1");
    return new Promise((resolve, reject) => {
      const options = { host: hostname, port: port || 443, servername: hostname, ALPNProtocols: ["h2", "http/1.1"] };
      const socket = connect(options, () => {
        resolve(socket.alpnProtocol || "http/1.1");
        socket.end();
      });
      socket.on("error", reject);
    });
  }

  #signed(method, url, body) {
    const { id, secret, token } = this.credentials;
    const time = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
    const headers = { host: url.host, "x-amz-date": time, ...(token && { "x-amz-security-token": token }) };
    const names = Object.keys(headers).sort();
    // The path is encoded once more, as for every service but S3.
    const path = url.pathname.split("/").map((part) => encode(part)).join("/");
    const canonical = [method, path, "", ...names.map((name) => `${name}:${headers[name]}`), "", names.join(";"), hash(body)];
    const scope = [time.slice(0, 8), this.region, "execute-api", "aws4_request"];
    const text = ["AWS4-HMAC-SHA256", time, scope.join("/"), hash(canonical.join("\n"))].join("\n");
    const key = scope.reduce((key, part) => hmac(key, part), `AWS4${secret}`);
    const signature = createHmac("sha256", key).update(text).digest("hex");
    const { host, ...sent } = headers;
    const authorization = `AWS4-HMAC-SHA256 Credential=${id}/${scope.join("/")}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
    return { ...sent, authorization };
  }
}
