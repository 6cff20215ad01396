// Works on the jobs of the queue `email`, and reports the progress of each.
//
//   npm install
//   node worker.js

import { Worker } from 'bullmq';

const connection = { url: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379' };

new Worker(
  'email',
  async (job) => {
    for (let percent = 25; percent <= 100; percent += 25) await job.updateProgress(percent);
    return 'sent';
  },
  { connection },
);
