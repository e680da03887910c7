// `/api/openapi.json` as it is served, and whether an answer is one of those it promises: status, content type, headers
// and body, with nothing in an object that the document does not name.
import assert from "node:assert/strict";
import Ajv from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { TIMEOUT_MS } from "./deadline.mjs";

const SCHEMAS = "#/components/schemas/";

/** A route's other methods and paths without a route are answered in the one shape of refusals. */
const REFUSAL = { content: { "application/json": { schema: { $ref: `${SCHEMAS}ErrorBody` } } }, headers: {} };

/** Headers that clients act on: an answer has none of them that the document does not give it. */
const ACTED_ON = ["idempotency-replayed", "link", "retry-after", "www-authenticate"];

/** The place of an object in an answer: it has no other properties than those of its schema and what that refers to. */
function closed(schema) {
  return { ...open(schema), unevaluatedProperties: false };
}

/** A schema that may be a part of others, and so lets theirs pass; all that is inside its properties is closed. */
function open(schema) {
  const { $ref, properties, items, oneOf, anyOf, allOf, ...rest } = schema;
  return {
    ...rest,
    ...($ref && { $ref: $ref.replace(SCHEMAS, "document#/$defs/") }),
    ...(properties && { properties: mapped(properties, closed) }),
    ...(items && { items: closed(items) }),
    ...(oneOf && { oneOf: oneOf.map(closed) }),
    ...(anyOf && { anyOf: anyOf.map(closed) }),
    ...(allOf && { allOf: allOf.map(open) }),
  };
}

function mapped(object, change) {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));
}

/** Something before an `@` without spaces, and after it a host name that a browser reads. */
export function isEmail(text) {
  const [, domain] = /^[^\s@]+@([^\s@/?#:]+)$/.exec(text) ?? [];
  return domain !== undefined && URL.canParse(`https://${domain}/`);
}

export class Document {
  #paths;
  #ajv;
  #validators = new Map();

  /** What is served beside the API at `base`, `…/api/v1`. */
  static async of(base) {
    const answer = await fetch(base.replace(/\/v1$/, "/openapi.json"), { signal: AbortSignal.timeout(TIMEOUT_MS * 3) });
    assert.equal(answer.status, 200);
    return new Document(await answer.json());
  }

  constructor({ paths, components }) {
    this.#paths = Object.entries(paths);
    // A closed place has no type of its own, which is all that `strictTypes` would say.
    this.#ajv = new Ajv({ strict: true, strictTypes: false, allErrors: true });
    formats(this.#ajv);
    this.#ajv.addFormat("idn-email", isEmail);
    this.#ajv.addVocabulary(["example"]);
    this.#ajv.addSchema({ $id: "document", $defs: mapped(components.schemas, open) });
  }

  /** Asserts that the document promises this answer to a request of `path`, `/api/v1/…`. */
  mustKnow(method, path, { status, headers, body }) {
    const place = `${method} ${path} ${status}`;
    const promised = this.#promised(method, path, status);
    assert.ok(promised, `${place}: the document does not know this answer: ${JSON.stringify(body)}`);
    for (const name of ACTED_ON) {
      assert.ok(!headers.has(name) || promised.headers[name], `${place} has ${name}, which the document does not know`);
    }
    for (const [name, { schema }] of Object.entries(promised.headers)) {
      const text = headers.get(name);
      // What clients act on has its occasions; anything else is always there.
      if (text === null && ACTED_ON.includes(name)) continue;
      assert.ok(text !== null, `${place}: the document promises ${name}`);
      this.#mustBe(schema, schema.type === "integer" ? Number(text) : text, `${place}, ${name}`);
    }
    const [type] = headers.get("content-type")?.split(";") ?? [];
    const content = promised.content?.[type];
    assert.ok(content, `${place}: the document does not know the content type ${type}`);
    this.#mustBe(content.schema, body, place);
  }

  /** What there is to an answer, if there is anything. */
  #promised(method, path, status) {
    const variables = (pattern) => pattern.split("{").length;
    const matching = this.#paths.filter(([pattern]) => matches(pattern, path));
    const [found] = matching.sort(([a], [b]) => variables(a) - variables(b));
    if (!found) return status === 404 ? REFUSAL : undefined;
    const operation = found[1][method.toLowerCase()];
    if (!operation) return status === 405 ? REFUSAL : undefined;
    return operation.responses[status];
  }

  #mustBe(schema, value, place) {
    let validate = this.#validators.get(schema);
    if (!validate) this.#validators.set(schema, (validate = this.#ajv.compile(closed(schema))));
    assert.ok(validate(value), `${place}: ${this.#ajv.errorsText(validate.errors)} in ${JSON.stringify(value)}`);
  }
}

function matches(pattern, path) {
  const [wanted, given] = [pattern, path].map((text) => text.split("/"));
  return wanted.length === given.length && wanted.every((part, n) => part.startsWith("{") || part === given[n]);
}
