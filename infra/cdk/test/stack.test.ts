// The template survives its inclusion: what CDK would deploy is what SAM would.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { App } from "aws-cdk-lib";
import { Match, Template } from "aws-cdk-lib/assertions";
import { MoienRealtime, written } from "../lib/stack.ts";

const here = (path: string) => new URL(path, import.meta.url).pathname;
const file = here("../../template.yaml");
const declared = readFileSync(file, "utf8");
const names = readdirSync(here("../../../functions"));
const built = mkdtempSync(join(tmpdir(), "functions-"));
for (const name of names) {
  mkdirSync(join(built, name));
  writeFileSync(join(built, name, "bootstrap"), name);
}
after(() => rmSync(built, { recursive: true }));

const stack = new MoienRealtime(new App(), "test", { template: file, functions: built });
const template = Template.fromStack(stack);

/** Logical ids in the text of the template, by type. */
const ids = (type: string) =>
  [...declared.matchAll(/^ {2}(\w+):\n(?: {4}#.*\n)*? {4}Type: (\S+)$/gm)].filter((match) => match[2] === type).map((match) => match[1]);

test("every resource of the template is in the stack", () => {
  const all = [...declared.matchAll(/^ {2}(\w+):\n(?: {4}#.*\n)*? {4}Type: (AWS::\S+)$/gm)];
  assert.ok(all.length > 30);
  const { Resources } = template.toJSON();
  for (const [, id, type] of all) assert.equal(Resources[id]?.Type, type, id);
});

test("every resource is made on the template's condition, in the template's order, and kept as it says", () => {
  const { Resources } = template.toJSON();
  const expected = Object.entries(written(file));
  assert.ok(expected.some(([, { Condition, DependsOn }]) => Condition && DependsOn));
  for (const [id, resource] of expected) {
    for (const attribute of ["Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy"]) {
      assert.deepEqual([Resources[id][attribute] ?? []].flat(), [resource[attribute] ?? []].flat(), `${attribute} of ${id}`);
    }
  }
});

test("browsers on other origins are told what they may do", () => {
  template.hasResourceProperties("AWS::Serverless::HttpApi", {
    CorsConfiguration: {
      "Fn::If": [
        "HasOrigins",
        {
          AllowOrigins: { "Fn::Split": [",", { Ref: "Origins" }] },
          AllowMethods: ["GET", "POST", "PATCH", "DELETE"],
          AllowHeaders: ["authorization", "content-type", "idempotency-key", "traceparent", "tracestate", "baggage"],
          ExposeHeaders: ["idempotency-replayed", "link", "retry-after", "www-authenticate", "x-request-id"],
          MaxAge: 600,
        },
        { Ref: "AWS::NoValue" },
      ],
    },
  });
});

test("every function comes from its own asset", () => {
  const functions = template.findResources("AWS::Serverless::Function");
  assert.deepEqual(Object.keys(functions).sort(), ids("AWS::Serverless::Function").sort());
  const keys = Object.values(functions).map((each) => JSON.stringify(each.Properties.CodeUri.Key));
  assert.equal(new Set(keys).size, names.length);
});

test("a function that was not built is named", () => {
  rmSync(join(built, "connect", "bootstrap"));
  const synth = () => new MoienRealtime(new App(), "test", { template: file, functions: built });
  assert.throws(synth, /connect\/bootstrap is not there.*npm run build/);
  writeFileSync(join(built, "connect", "bootstrap"), "connect");
});

test("no route answers by itself: message does it over the management API", () => {
  template.resourceCountIs("AWS::ApiGatewayV2::RouteResponse", 0);
  template.hasResourceProperties("AWS::Serverless::WebSocketApi", {
    Routes: { $default: { RouteResponseSelectionExpression: Match.absent() } },
  });
});

test("users are kept, protected and recoverable", () => {
  template.hasResource("AWS::DynamoDB::Table", {
    DeletionPolicy: "Retain",
    Properties: Match.objectLike({
      DeletionProtectionEnabled: true,
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      SSESpecification: { SSEEnabled: true },
    }),
  });
});

test("filters, retries and dead letters arrive as declared", () => {
  const functions = template.findResources("AWS::Serverless::Function");
  const sources = Object.values(functions).flatMap((each) => Object.values<any>(each.Properties.Events ?? {})).filter((event) => event.Type === "DynamoDB");
  assert.equal(sources.length, declared.match(/Type: DynamoDB$/gm)?.length);
  for (const { Properties } of sources) {
    assert.ok(JSON.parse(Properties.FilterCriteria.Filters[0].Pattern).dynamodb);
    assert.deepEqual(Properties.FunctionResponseTypes, ["ReportBatchItemFailures"]);
    assert.match(Properties.DestinationConfig.OnFailure.Type, /^(SQS|S3)$/);
    assert.ok(Properties.MaximumRecordAgeInSeconds > 0);
  }
});

test("secrets are generated and nobody types them", () => {
  const secrets = Object.keys(template.findResources("AWS::SecretsManager::Secret"));
  assert.deepEqual(secrets.sort(), ["CodeSecret", "TokenSecret"]);
  for (const secret of secrets) assert.ok(!(secret in (template.toJSON().Parameters ?? {})));
});

test("SAM's transform is asked for", () => {
  assert.deepEqual([template.toJSON().Transform].flat(), ["AWS::Serverless-2016-10-31"]);
});
