/// <reference lib="webworker" />
/** The worker that owns the connections of all tabs. */
import { createHost } from './sharing/host.js';

const accept = createHost();
(globalThis as unknown as SharedWorkerGlobalScope).onconnect = ({ ports: [port] }) => {
  if (port) accept(port);
};
