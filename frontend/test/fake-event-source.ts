import type { EventSourceLike } from '@sluice/client';

/** An `EventSource` without a network: the test says what happens on the line, and when. */
export class FakeEventSource implements EventSourceLike {
  /** All that were ever opened, in order. */
  static opened: FakeEventSource[] = [];

  /** The one opened last. */
  static get current(): FakeEventSource {
    const current = FakeEventSource.opened.at(-1);
    if (!current) throw new Error('no EventSource was opened');
    return current;
  }

  readyState = 0;
  readonly #listeners = new EventTarget();

  constructor(readonly url: string) {
    FakeEventSource.opened.push(this);
  }

  addEventListener(type: string, listener: (event: MessageEvent<string>) => void) {
    this.#listeners.addEventListener(type, listener as (event: Event) => void);
  }

  close() {
    this.readyState = 2;
  }

  /** The server has answered with the headers of an event stream. */
  accept() {
    this.readyState = 1;
    this.#listeners.dispatchEvent(new Event('open'));
  }

  /** The gateway's greeting. */
  open({
    topics = ['channel:updates'],
    missing = [] as string[],
    resumed = false,
    id = 'start',
  } = {}) {
    this.accept();
    this.emit('stream.open', JSON.stringify({ topics, resumed, missing, node: 'fake' }), id);
  }

  emit(type: string, data: string, lastEventId = '') {
    this.#listeners.dispatchEvent(new MessageEvent(type, { data, lastEventId }));
  }

  message(data: string, lastEventId = '') {
    this.emit('message', data, lastEventId);
  }

  /** The last event of a stream. */
  end(data: string, lastEventId: string) {
    this.emit('stream.end', data, lastEventId);
  }

  /** The connection breaks. A real `EventSource` would reconnect. */
  break() {
    this.readyState = 0;
    this.#listeners.dispatchEvent(new Event('error'));
  }

  /** The server does not answer with an event stream. A real `EventSource` does not reconnect then. */
  refuse() {
    this.readyState = 2;
    this.#listeners.dispatchEvent(new Event('error'));
  }
}
