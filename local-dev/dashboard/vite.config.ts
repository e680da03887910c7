// The development server is one of the four origins the service allows; the build is what local-dev serves at `/`.
import { defineConfig } from "vite";

export default defineConfig({
  server: { port: 5173, strictPort: true },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  // A picture inside a script would be a `data:` URL, which the page's policy does not allow.
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
});
