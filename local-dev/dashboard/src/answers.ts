// What REST answers, or why not.
import type { components } from "../contract/rest.ts";

type ErrorBody = components["schemas"]["ErrorBody"];

/** A refusal of the service; `code` is what its `message` says. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly status: number;
  readonly code: string;
  readonly details: readonly { field: string; message: string }[];
  /** Seconds until it is worth trying again. */
  readonly retryAfter: number | null;

  constructor({ statusCode, message, details }: Pick<ErrorBody, "statusCode" | "message" | "details">, retryAfter: number | null = null) {
    super(message);
    this.status = statusCode;
    this.code = message;
    this.details = details ?? [];
    this.retryAfter = retryAfter;
  }

  static unauthenticated(): Refused {
    return new Refused({ statusCode: 401, message: "UNAUTHENTICATED" });
  }
}

/** Nobody answered: no network, no service, or one that does not answer pages of this origin. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

/** Whether the same request may be answered otherwise in a moment. */
export function passes(error: unknown): boolean {
  return !(error instanceof Refused) || error.status === 429 || error.status >= 500;
}

export interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of an answer; throws [`Refused`] or [`Unreachable`]. */
export async function unwrap<T>(answered: Promise<Answer<T>>): Promise<NonNullable<T>> {
  const { data, error, response } = await answered.catch((cause: unknown) => {
    if (cause instanceof Refused || cause instanceof Unreachable) throw cause;
    throw new Unreachable("no answer", { cause });
  });
  if (response.ok && data != null) return data;
  const retryAfter = Number(response.headers.get("retry-after")) || null;
  const body = error as Partial<ErrorBody> | undefined;
  // API Gateway answers some things by itself, in its own form.
  const refusal = { statusCode: response.status, message: body?.message ?? `HTTP ${response.status}` };
  throw new Refused({ ...refusal, ...(body?.details && { details: body.details }) }, retryAfter);
}
