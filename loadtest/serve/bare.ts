// What `serve` is measured against: Fastify that takes the same body, parses it and answers at once, in a process of its own.
import Fastify from 'fastify';

const app = Fastify({ logger: false });
app.post('/bare', async () => ({ success: true }));
process.stdout.write(`${await app.listen({ host: '127.0.0.1', port: 0 })}\n`);
process.on('SIGTERM', () => {
  void app.close();
});
