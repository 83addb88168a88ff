// Connections that were opened ahead of need, as browsers and pools do, and never carried a byte: Node does not take
// them for idle, so that a close would wait for them.
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Watches the server from now on. @returns what cuts those that are unused at that moment */
export function watchUnusedConnections(server: Server): () => void {
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  return () => {
    for (const socket of open) if (socket.bytesRead === 0) socket.destroy();
  };
}
