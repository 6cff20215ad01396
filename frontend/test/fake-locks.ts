type Callback = () => unknown;

interface Held {
  readonly reject: (reason: unknown) => void;
}

interface Waiting {
  readonly grant: () => void;
  readonly signal: AbortSignal | undefined;
}

/** The part of the Web Locks API that is used, for tabs that all live in one test. */
export class FakeLocks {
  readonly #held = new Map<string, Held>();
  readonly #waiting = new Map<string, Waiting[]>();

  request(name: string, ...more: [Callback] | [LockOptions, Callback]): Promise<unknown> {
    const callback = more.at(-1) as Callback;
    const { signal, steal = false } = more.length === 2 ? more[0] : {};
    return new Promise((resolve, reject) => {
      const grant = () => {
        const held = { reject };
        this.#held.set(name, held);
        const release = () => {
          if (this.#held.get(name) === held) this.#next(name);
        };
        void Promise.resolve().then(callback).then(resolve, reject).finally(release);
      };
      const holder = this.#held.get(name);
      if (steal || !holder) {
        holder?.reject(new DOMException('stolen', 'AbortError'));
        grant();
        return;
      }
      this.#waiting.set(name, [...(this.#waiting.get(name) ?? []), { grant, signal }]);
      signal?.addEventListener('abort', () => reject(new DOMException('given up', 'AbortError')));
    });
  }

  #next(name: string) {
    this.#held.delete(name);
    const queue = (this.#waiting.get(name) ?? []).filter(({ signal }) => !signal?.aborted);
    queue.shift()?.grant();
    this.#waiting.set(name, queue);
  }
}
