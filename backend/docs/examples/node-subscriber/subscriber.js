// Prints the orders of a stream. It reconnects and resumes.
//
//   npm install
//   node subscriber.js 'http://localhost:4000/events?stream=orders'

import { EventSource } from 'eventsource';

const source = new EventSource(process.argv[2] ?? 'http://localhost:4000/events?stream=orders');

// An EventSource delivers only the types that it names. Events without a type are `message`.
for (const type of ['message', 'order.created']) {
  source.addEventListener(type, ({ data }) => console.log(type, data));
}
source.addEventListener('stream.gap', ({ data }) => console.log('events may be missing', data));
source.addEventListener('stream.end', () => source.close());
