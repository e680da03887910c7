// REST calls of somebody who is logged in.
import createClient, { type Client } from "openapi-fetch";
import type { PublicUser } from "../contract/events.ts";
import type { paths } from "../contract/rest.ts";
import { Refused, unwrap } from "./answers.ts";
import { apiUrl } from "./config.ts";
import type { Session } from "./session.ts";

/** Users on a page; the most there may be. */
const PAGE = 100;

export class Rest {
  readonly client: Client<paths>;

  /** `replaces` says whether a token that the service does not take any more is replaced, once. */
  constructor(session: Session, { replaces } = { replaces: true }) {
    this.client = createClient<paths>({ baseUrl: apiUrl, fetch: (request) => send(session, request, replaces) });
  }

  /** Every page of the list, newest users first. */
  async *users(signal: AbortSignal): AsyncGenerator<readonly PublicUser[]> {
    let cursor: string | undefined;
    do {
      const query = { limit: PAGE, ...(cursor && { cursor }) };
      const asked = this.client.GET("/api/v1/users", { params: { query }, signal });
      yield await unwrap(asked);
      cursor = nextCursor((await asked).response.headers.get("link"));
    } while (cursor);
  }
}

async function send(session: Session, request: Request, replaces: boolean): Promise<Response> {
  const again = request.clone();
  const token = await session.token();
  const answer = await fetch(bearing(request, token));
  if (!replaces || answer.status !== 401 || !(await isOfToken(answer))) return answer;
  await session.refresh(token);
  return fetch(bearing(again, await session.token()));
}

function bearing(request: Request, token: string): Request {
  request.headers.set("authorization", `Bearer ${token}`);
  return request;
}

/** A wrong password is a 401, too, and no fault of the token. */
async function isOfToken(answer: Response): Promise<boolean> {
  const body = (await answer.clone().json().catch(() => ({}))) as { message?: string };
  return body.message === Refused.unauthenticated().code;
}

function nextCursor(link: string | null): string | undefined {
  const next = /<([^>]+)>\s*;[^,]*\brel="?next"?/.exec(link ?? "")?.[1];
  return next === undefined ? undefined : (new URL(next, apiUrl).searchParams.get("cursor") ?? undefined);
}
