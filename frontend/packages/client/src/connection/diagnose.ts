/** An answer that is not an event stream. */
export interface Refusal {
  readonly status: number;
  /** The server's explanation, for people. */
  readonly detail?: string;
}

/**
 * Requests the same URL again by `fetch`, to find out why the server refuses it.
 *
 * `EventSource` fails without a reason: a forbidden topic looks the same as a server that
 * is switched off. `fetch` shows the status and the problem document that explains it. The request is
 * aborted after the headers, so no second subscription stays open.
 *
 * @returns the refusal; `undefined` if the server now sends events, or cannot be reached.
 */
export async function diagnose(url: string, signal: AbortSignal): Promise<Refusal | undefined> {
  const request = new AbortController();
  try {
    const response = await fetch(url, {
      headers: { Accept: 'text/event-stream' },
      cache: 'no-store',
      signal: AbortSignal.any([signal, request.signal]),
    });
    return await readRefusal(response);
  } catch {
    return undefined;
  } finally {
    request.abort();
  }
}

async function readRefusal(response: Response): Promise<Refusal | undefined> {
  const { status } = response;
  const type = response.headers.get('Content-Type') ?? '';
  if (type.startsWith('application/problem+json')) {
    return { status, ...readDetail(await response.text()) };
  }
  if (status !== 200) return { status };
  if (type.startsWith('text/event-stream')) return undefined;
  return { status, detail: `The answer is ${type || 'of no known type'}, not text/event-stream.` };
}

/** Reads a problem document; one that is not JSON has no detail. */
function readDetail(problem: string): { detail?: string } {
  try {
    const { detail, title }: { detail?: unknown; title?: unknown } = {
      ...(JSON.parse(problem) as object | null),
    };
    const text = [detail, title].find((it) => typeof it === 'string');
    return text === undefined ? {} : { detail: text };
  } catch {
    return {};
  }
}

/** Whether another token could change the answer. */
export function needsToken(refusal: Refusal | undefined): boolean {
  return refusal?.status === 401 || refusal?.status === 403;
}

/** Whether the request itself is wrong, so an early retry cannot succeed. */
export function isLasting({ status }: Refusal): boolean {
  const passing = status === 408 || status === 425 || status === 429;
  return status >= 400 && status < 500 && !passing;
}
