import { App } from "aws-cdk-lib";
import { MoienRealtime } from "../lib/stack.ts";

const app = new App();
const fromHere = (path: string) => new URL(path, import.meta.url).pathname;
new MoienRealtime(app, "moien-realtime", {
  template: fromHere("../../template.yaml"),
  functions: fromHere("../../../target/lambda"),
});
