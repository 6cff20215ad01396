// Adds a job to the queue `email`, and prints the topic to follow.
//
//   node queue.js ada@example.com

import { Queue } from 'bullmq';

const connection = { url: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379' };

const queue = new Queue('email', { connection });
const job = await queue.add('welcome', { to: process.argv[2] ?? 'ada@example.com' });
console.log(`key:bull:email:${job.id}`);
await queue.close();
