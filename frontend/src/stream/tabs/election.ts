/** A tab that would lead; see {@link campaign}. */
export interface Candidacy {
  /** Takes over from a leader that does not answer. */
  readonly takeOver: () => void;
  /** Gives up, the lead too. */
  readonly withdraw: () => void;
}

/**
 * Makes one of the tabs that use the same name its leader. The lead is a Web Lock: the browser gives it
 * to the next tab when its holder is closed or crashes, without any tab noticing by itself.
 *
 * @param onLead - called when the tab leads from now on; the function that it returns when it does no more
 */
export function campaign(name: string, onLead: () => () => void): Candidacy {
  let request = new AbortController();
  let release: (() => void) | undefined;
  let withdrawn = false;

  function run(options: LockOptions) {
    let stop: (() => void) | undefined;
    const lead = () =>
      new Promise<void>((resolve) => {
        if (withdrawn) {
          resolve();
          return;
        }
        release = resolve;
        stop = onLead();
      });
    navigator.locks.request(name, options, lead).then(
      () => stop?.(),
      () => {
        // Another tab took the lead, or the request was given up.
        stop?.();
        if (stop && !withdrawn) wait();
      },
    );
  }

  function wait() {
    request = new AbortController();
    run({ signal: request.signal });
  }

  wait();
  return {
    takeOver: () => {
      request.abort();
      run({ steal: true });
    },
    withdraw: () => {
      withdrawn = true;
      request.abort();
      release?.();
    },
  };
}

/** Lets others know for how long this tab takes part; see {@link liveUnder}. */
export interface Life {
  /** Resolves when others can ask for its end. */
  readonly begun: Promise<void>;
  readonly end: () => void;
}

/** Holds a lock until the life, or the tab, ends. */
export function liveUnder(name: string): Life {
  let end: () => void = () => undefined;
  const life = new Promise<void>((resolve) => {
    end = resolve;
  });
  const begun = new Promise<void>((resolve) => {
    void navigator.locks.request(name, () => {
      resolve();
      return life;
    });
  });
  return { begun, end };
}

/** Calls `onEnd` when the life under a name is over. */
export function awaitEnd(name: string, signal: AbortSignal, onEnd: () => void): void {
  navigator.locks.request(name, { signal }, onEnd).catch(() => undefined);
}
