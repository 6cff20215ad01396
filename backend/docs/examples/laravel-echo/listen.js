// Prints the orders that ship, and the paid invoices of a user.
//
//   npm install
//   node listen.js http://localhost:4000

import { EventSource } from 'eventsource';
import Echo from 'laravel-echo';
import { SluiceConnector } from './connector.js';

globalThis.EventSource ??= EventSource; // browsers have it

const echo = new Echo({
  broadcaster: SluiceConnector,
  host: process.argv[2] ?? 'http://localhost:4000',
  prefix: 'laravel-database-', // REDIS_PREFIX of the Laravel application
});

echo.channel('orders').listen('OrderShipped', ({ id }) => console.log(`shipped ${id}`));
echo.private('user.7').listen('.invoice.paid', ({ total }) => console.log(`paid ${total}`));
