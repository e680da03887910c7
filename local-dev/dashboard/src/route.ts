// Which page is shown, from the part of the URL after `#`, so that reload, back and forward keep it.
import { signal } from "@preact/signals";

export type Status = "all" | "active" | "banned";

export type Route = { page: "users"; user: string | null; query: string; status: Status } | { page: "account" };

export const route = signal<Route>(parse(location.hash));

addEventListener("hashchange", () => (route.value = parse(location.hash)));

/** Goes to a page; `replace` leaves no way back to this one. */
export function go(to: Route, replace = false): void {
  history[replace ? "replaceState" : "pushState"](null, "", written(to));
  route.value = to;
}

// What was pushed comes back without a `hashchange` where only the state differs.
addEventListener("popstate", () => (route.value = parse(location.hash)));

export function written(to: Route): string {
  if (to.page === "account") return "#/account";
  const search = new URLSearchParams();
  if (to.query) search.set("q", to.query);
  if (to.status !== "all") search.set("status", to.status);
  return `#/users${to.user ? `/${to.user}` : ""}${search.size ? `?${search}` : ""}`;
}

function parse(hash: string): Route {
  const [path = "", search = ""] = hash.replace(/^#/, "").split("?");
  const [, page, user] = path.split("/");
  if (page === "account") return { page };
  const parameters = new URLSearchParams(search);
  const status = parameters.get("status");
  return {
    page: "users",
    user: user || null,
    query: parameters.get("q") ?? "",
    status: status === "active" || status === "banned" ? status : "all",
  };
}
