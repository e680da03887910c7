// The stack is infra/template.yaml, included as it is. Nothing is declared here, so there is nothing to drift.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type App, type CfnResource, Stack, type StackProps } from "aws-cdk-lib";
import { Asset } from "aws-cdk-lib/aws-s3-assets";
import { CfnInclude } from "aws-cdk-lib/cloudformation-include";
import { parse } from "yaml";

/** Resources that refer to what only exists once SAM's transform has run; they are passed on unread. */
const afterTransform = [
  "RestMapping",
  "SocketMapping",
  "HeartbeatMissingAlarm",
  "UndeliveredRecordsAlarm",
  "NotifyDeadLettersAlarm",
];

/** Every resource of a template as it is written there, for what of it is plain text: short tags are not expanded. */
export function written(template: string): Record<string, Record<string, unknown>> {
  return parse(readFileSync(template, "utf8"), { logLevel: "silent" }).Resources;
}

export interface MoienRealtimeProps extends StackProps {
  /** infra/template.yaml. */
  template: string;
  /** Where cargo lambda left the functions: one folder each, with a `bootstrap` in it. */
  functions: string;
  /** Values for the template's parameters; the others are given at deployment, or keep their defaults. */
  parameters?: Record<string, unknown>;
}

export class MoienRealtime extends Stack {
  readonly template: CfnInclude;

  constructor(app: App, id: string, props: MoienRealtimeProps) {
    super(app, id, props);
    this.template = new CfnInclude(this, "Template", {
      templateFile: props.template,
      parameters: props.parameters,
      // The API's routes name functions that name the API. SAM makes several resources of it, without a cycle.
      allowCyclicalReferences: true,
      dehydratedResources: afterTransform,
    });
    const resources = written(props.template);
    for (const name of afterTransform) this.complete(name, resources[name]);
    for (const child of this.template.node.findAll()) {
      const resource = child as CfnResource;
      if (resource.cfnResourceType !== "AWS::Serverless::Function") continue;
      this.upload(resource, props.functions);
      this.invocations(resource, resources[resource.node.id].Properties as Record<string, any>);
    }
  }

  /** What is passed on unread keeps only its type and its properties by itself, not even its name. */
  private complete(name: string, { Type, Properties, ...attributes }: Record<string, unknown>) {
    const resource = this.template.node.findChild(name) as CfnResource;
    resource.overrideLogicalId(name);
    for (const [attribute, value] of Object.entries(attributes)) resource.addOverride(attribute, value);
  }

  /** CDK's own check wants a destination of success beside one of failure, which neither SAM nor AWS do. */
  private invocations(resource: CfnResource, { EventInvokeConfig: config }: Record<string, any>) {
    const onFailure = config?.DestinationConfig?.OnFailure;
    if (!onFailure) return;
    // A short tag, as it is read here: `!GetAtt Queue.Arn` is the text behind the tag.
    const Destination = { "Fn::GetAtt": String(onFailure.Destination).split(".") };
    (resource as CfnResource & { eventInvokeConfig?: unknown }).eventInvokeConfig = undefined;
    const DestinationConfig = { OnFailure: { ...onFailure, Destination } };
    resource.addPropertyOverride("EventInvokeConfig", { ...config, DestinationConfig });
  }

  /** Puts a built function where CloudFormation finds it. */
  private upload(resource: CfnResource, functions: string) {
    const declared = resource as CfnResource & { codeUri: string };
    const folder = declared.codeUri.split("/").at(-1)!;
    const path = join(functions, folder);
    if (!existsSync(join(path, "bootstrap"))) {
      throw new Error(`${path}/bootstrap is not there; run \`npm run build\` first`);
    }
    const code = new Asset(this, `${resource.node.id}Code`, { path });
    resource.addPropertyOverride("CodeUri", { Bucket: code.s3BucketName, Key: code.s3ObjectKey });
  }
}
