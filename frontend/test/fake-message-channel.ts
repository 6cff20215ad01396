/** A port whose messages arrive in a microtask, so that tests with fake timers need not wait for real ones. */
class FakePort {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  peer: FakePort | undefined;

  postMessage(message: unknown) {
    const data: unknown = structuredClone(message);
    const { peer } = this;
    queueMicrotask(() => peer?.onmessage?.({ data }));
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
