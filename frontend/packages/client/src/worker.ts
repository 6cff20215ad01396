/// <reference lib="webworker" />
/** The worker that owns the connections of all tabs. */
import { createHost } from './sharing/host.js';

const host = createHost();
(globalThis as unknown as SharedWorkerGlobalScope).onconnect = ({ ports: [port] }) => {
  if (port) host.accept(port);
};
