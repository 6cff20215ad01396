/** A port whose messages arrive in a microtask: fake timers do not delay them. */
class FakePort {
  #unread: { data: unknown }[] = [];
  #onmessage: ((event: { data: unknown }) => void) | undefined;
  peer: FakePort | undefined;

  postMessage(message: unknown) {
    const data: unknown = structuredClone(message);
    const { peer } = this;
    queueMicrotask(() => peer?.receive({ data }));
  }

  set onmessage(listener: (event: { data: unknown }) => void) {
    this.#onmessage = listener;
    this.#unread.splice(0).forEach(listener);
  }

  receive(event: { data: unknown }) {
    if (this.#onmessage) this.#onmessage(event);
    else this.#unread.push(event);
  }

  close() {
    this.peer = undefined;
  }
}

/** A `MessageChannel` within one test. */
export class FakeMessageChannel {
  readonly port1 = new FakePort();
  readonly port2 = new FakePort();

  constructor() {
    this.port1.peer = this.port2;
    this.port2.peer = this.port1;
  }
}
