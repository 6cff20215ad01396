import { type Publication, publishURL } from '../../lib/commands';

export type Outcome =
  | { readonly kind: 'published'; readonly topic: string; readonly id: string | undefined }
  /** In full sentences. */
  | { readonly kind: 'failed'; readonly reason: string };

/** Publishes over HTTP. Every failure is an outcome, never an exception. */
export async function publish(
  publication: Publication,
  gateway: string,
  headers: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const url = publishURL(publication, `${gateway}/events`);
  if (!url) return { kind: 'failed', reason: 'Enter the name of the topic.' };
  try {
    const response = await fetch(url, { method: 'POST', body: publication.data, headers });
    const answer = (await response.json()) as Readonly<Record<string, unknown>>;
    if (!response.ok) return { kind: 'failed', reason: problemText(response.status, answer) };
    const id = typeof answer.id === 'string' ? answer.id : undefined;
    return { kind: 'published', topic: publication.topic, id };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { kind: 'failed', reason: `The gateway at ${gateway} does not answer: ${reason}.` };
  }
}

/** A problem document (RFC 9457) in a line: `Unauthorized (401): channel:a is not open …`. */
function problemText(status: number, { title, detail }: Readonly<Record<string, unknown>>): string {
  const head = `${typeof title === 'string' ? title : 'The gateway refused'} (${status})`;
  return typeof detail === 'string' ? `${head}: ${detail}` : `${head}.`;
}
