// The contract of the events as it is checked in, which is what the types of the service say; and whether what a client
// heard is promised there.
import { readFileSync } from "node:fs";
import Ajv from "ajv";
import formats from "ajv-formats";
import { isEmail } from "./document.mjs";

const FILE = new URL("../../../local-dev/dashboard/contract/asyncapi.json", import.meta.url);
const { components } = JSON.parse(readFileSync(FILE, "utf8"));

const ajv = new Ajv({ allErrors: true, allowUnionTypes: true });
formats(ajv);
ajv.addFormat("idn-email", isEmail);
// That an example is one, and where the schemas are, are no rules for a value.
ajv.addVocabulary(["example", "components"]);
// No object has properties that the contract does not name.
const closed = (schema) => ({ ...schema, ...(schema.properties && { additionalProperties: false }) });
const schemas = Object.fromEntries(Object.entries(components.schemas).map(([name, schema]) => [name, closed(schema)]));
ajv.addSchema({ $id: "contract", components: { schemas } });

/** What is wrong with an event by its contract, if anything. Sockets that `recover` are told an offset with those of the feed. */
export function complaint(name, args, recovers = false) {
  const message = components.messages[name];
  if (!message) return `the contract knows no ${name}`;
  const offset = recovers ? message["x-second-argument"] : undefined;
  if (args.length !== (offset ? 2 : 1)) return `${name} with ${args.length} arguments`;
  if (offset && !new RegExp(offset.pattern).test(args[1])) return `${name} with the offset ${args[1]}`;
  const validate = ajv.getSchema(`contract${message.payload.$ref}`);
  return validate(args[0]) ? undefined : `${name}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(args[0])}`;
}
