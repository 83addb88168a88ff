// How a server with connections closes. Node ends its own timeouts when a server closes, waits for connections that never carried a
// byte, as browsers and pools open them ahead of need, and keeps one alive for over a minute that was in use when the close began.
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** How often connections that a close need not wait for are looked for. */
const CHECK_MS = 50;
/** A request that has not come whole by then was promised nothing; its client sends it again. */
const WHOLE_WITHIN_MS = 3_000;

/**
 * Watches the app's connections from now on.
 * @param answersWithinMs after the close began, how long a request that came whole may wait for its answer
 * @returns what closes the app: it answers what it can within that time, then cuts what is left, and resolves
 */
export function prepareClose(app: FastifyInstance, answersWithinMs: number): () => Promise<void> {
  /** With the newest answer that each has, or is to get. */
  const open = new Map<Socket, ServerResponse | undefined>();
  app.server.on('connection', (socket: Socket) => {
    open.set(socket, undefined);
    socket.once('close', () => open.delete(socket));
  });
  app.server.on('request', (request, response) => {
    if (open.has(request.socket)) open.set(request.socket, response);
  });

  const isWaitedFor = (socket: Socket, answer: ServerResponse | undefined, closingMs: number): boolean => {
    if (closingMs < WHOLE_WITHIN_MS) return socket.bytesRead > 0;
    const isOwed = answer?.req.complete === true && !answer.writableFinished;
    return isOwed && closingMs < answersWithinMs;
  };
  return async () => {
    const beganAtMs = performance.now();
    const cutting = setInterval(() => {
      app.server.closeIdleConnections();
      const closingMs = performance.now() - beganAtMs;
      for (const [socket, answer] of open) if (!isWaitedFor(socket, answer, closingMs)) socket.destroy();
    }, CHECK_MS);
    try {
      await app.close();
    } finally {
      clearInterval(cutting);
    }
  };
}
