// The baseline in Node, as the tutorial has it: Express, a list of the open responses, one
// write for each client and message.
import cors from 'cors';
import express from 'express';
import { createClient } from 'redis';

const app = express();
app.use(cors());

let clients = [];

app.get('/events', (req, res) => {
  res.setHeader('Content-Type', 'text/event-stream');
  res.setHeader('Cache-Control', 'no-cache');
  res.setHeader('Connection', 'keep-alive');
  res.flushHeaders();
  res.write(`data: Connected to the server\n\n`);
  clients.push(res);
  req.on('close', () => {
    clients = clients.filter((client) => client !== res);
  });
});

const redis = await createClient({ url: process.env.REDIS_URL }).connect();
await redis.subscribe('updates', (message) => {
  for (const client of clients) {
    client.write(`data: ${message}\n\n`);
  }
});

app.listen(process.env.PORT, '127.0.0.1');
