/** Starts the worker that all tabs share, or connects to it; throws if the page may not. */
export function startWorker(name: string, url: string | URL | undefined): SharedWorker {
  if (url) return new SharedWorker(url, { type: 'module', name });
  // Bundlers recognise this form, so it must not be taken apart.
  return new SharedWorker(new URL('./worker.js', import.meta.url), { type: 'module', name });
}
