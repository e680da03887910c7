// The stack is infra/template.yaml, included as it is. Nothing is declared here, so there is nothing to drift.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type App, type CfnElement, type CfnResource, Stack, type StackProps } from "aws-cdk-lib";
import { Asset } from "aws-cdk-lib/aws-s3-assets";
import { CfnInclude } from "aws-cdk-lib/cloudformation-include";

/** Resources that refer to what only exists once SAM's transform has run; they are passed on unread. */
const afterTransform = ["DefaultRouteResponse", "RestMapping", "SocketMapping"];

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
    // What is passed on unread loses its name otherwise.
    for (const name of afterTransform) (this.template.node.findChild(name) as CfnElement).overrideLogicalId(name);
    for (const child of this.template.node.findAll()) {
      const resource = child as CfnResource;
      if (resource.cfnResourceType === "AWS::Serverless::Function") this.upload(resource, props.functions);
    }
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
