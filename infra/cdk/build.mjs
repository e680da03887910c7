// Builds the functions for Lambda: `npm run build`, or `npm run build -- x86_64` to match that Architecture.
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";

const [architecture = "arm64"] = process.argv.slice(2);
const root = new URL("../..", import.meta.url).pathname;
const functions = readdirSync(`${root}functions`);
execFileSync(
  "cargo",
  ["lambda", "build", "--release", "--locked", `--${architecture.replace("_", "-")}`, ...functions.flatMap((name) => ["-p", name])],
  { cwd: root, stdio: "inherit" },
);
