/** What a server answers instead of an event stream. */
export interface Refusal {
  readonly status: number;
  /** What the server says about it, for people. */
  readonly detail?: string;
}

/**
 * Asks for the same URL once more by `fetch`, to learn why the server refuses it.
 *
 * `EventSource` fails without a reason: a topic that one may not read looks the same as a server that
 * is switched off. `fetch` shows the status, and the problem document that explains it. The request is
 * ended as soon as the headers are here, so that no second subscription stays behind.
 *
 * @returns the refusal; `undefined` where the server now streams, or cannot be reached at all.
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
    const problem: unknown = await response.json();
    return { status, ...readDetail(problem) };
  }
  if (status !== 200) return { status };
  if (type.startsWith('text/event-stream')) return undefined;
  return { status, detail: `The answer is ${type || 'of no known type'}, not text/event-stream.` };
}

function readDetail(problem: unknown): { detail?: string } {
  if (typeof problem !== 'object' || problem === null) return {};
  const { detail, title }: { detail?: unknown; title?: unknown } = problem;
  if (typeof detail === 'string') return { detail };
  return typeof title === 'string' ? { detail: title } : {};
}

/** Whether another token could change the answer. */
export function needsToken(refusal: Refusal | undefined): boolean {
  return refusal?.status === 401 || refusal?.status === 403;
}

/** Whether trying again soon is pointless: the request itself is at fault, not the server's condition. */
export function isLasting({ status }: Refusal): boolean {
  const passing = status === 408 || status === 425 || status === 429;
  return status >= 400 && status < 500 && !passing;
}
